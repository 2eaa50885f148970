import { FairShares } from '../../net/fair-shares.ts';
import { FairTurns } from '../../net/fair-turns.ts';

/** Tasks of one host, with those that wait: beyond it they are given up at once, since answers would come too late. */
const mostPerHost = 64;

interface Slots {
  readonly places: FairShares;
  readonly turns: FairTurns;
  tasks: number;
}

/** Lets a few tasks run for each host at once; the others wait, each client for its share, or are turned away when too many do. */
export class FetchSlots {
  readonly #atOnce: number;
  readonly #hosts = new Map<string, Slots>();

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** Resolves when the task may run; undefined when too many wait. Whoever was let in calls `leave`. */
  enter(host: string, client: string): Promise<void> | undefined {
    const slots = this.#hosts.get(host) ?? this.#open();
    if (!slots.places.take(client)) return undefined;
    slots.tasks += 1;
    this.#hosts.set(host, slots);
    if (slots.turns.take(client)) return Promise.resolve();
    return new Promise((resolve) => {
      slots.turns.wait(client, resolve);
    });
  }

  leave(host: string, client: string): void {
    const slots = this.#hosts.get(host);
    if (slots === undefined) return;
    slots.turns.end(client);
    slots.places.give(client);
    slots.tasks -= 1;
    if (slots.tasks === 0) this.#hosts.delete(host);
  }

  #open(): Slots {
    return { places: new FairShares(mostPerHost), turns: new FairTurns(this.#atOnce), tasks: 0 };
  }
}
