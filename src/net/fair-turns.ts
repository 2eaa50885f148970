import { FairShares } from './fair-shares.ts';

/** Places for what is done at once, and who waits for one: each client for its share, and the clients by turns. */
export class FairTurns {
  readonly #shares: FairShares;
  /** What each client has begin, the client that was served last at the end. */
  readonly #waiting = new Map<string | undefined, (() => void)[]>();

  constructor(atOnce: number) {
    this.#shares = new FairShares(atOnce);
  }

  set atOnce(places: number) {
    this.#shares.places = places;
    this.#beginNext();
  }

  /** Takes a place at once; false when its client has to wait. */
  take(client: string | undefined): boolean {
    return this.#shares.take(client);
  }

  /** Has `begin` called when a place was taken for it; what it returns takes it out of those who wait. */
  wait(client: string | undefined, begin: () => void): () => void {
    const before = this.#waiting.get(client);
    const queue = before ?? [];
    queue.push(begin);
    if (before === undefined) this.#waiting.set(client, queue);
    return () => {
      const at = queue.indexOf(begin);
      if (at >= 0) queue.splice(at, 1);
      if (queue.length === 0 && this.#waiting.get(client) === queue) this.#waiting.delete(client);
    };
  }

  /** Gives a place back. */
  end(client: string | undefined): void {
    this.#shares.give(client);
    this.#beginNext();
  }

  #beginNext(): void {
    // A client that is put back at the end comes up again: it goes on while there are places.
    for (const [client, queue] of this.#waiting) {
      if (!this.#shares.take(client)) continue;
      const begin = queue.shift();
      this.#waiting.delete(client);
      if (queue.length > 0) this.#waiting.set(client, queue);
      begin?.();
    }
  }
}
