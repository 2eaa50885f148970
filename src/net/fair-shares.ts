/**
 * A number of places that many clients share: one may take no more than it leaves to all others. The first gets half of
 * them, the next half of what is left, and so on, so that nobody alone keeps the others out.
 */
export class FairShares {
  /** Who has more than a lower number allows keeps it. */
  places: number;
  #taken = 0;
  /** Of clients that have a place, and of no others. */
  readonly #own = new Map<string, number>();

  constructor(places: number) {
    this.places = places;
  }

  /** Takes a place; false when there is none for this client. One that is not known has no share to keep to. */
  take(client: string | undefined): boolean {
    const free = this.places - this.#taken;
    const own = client === undefined ? 0 : (this.#own.get(client) ?? 0);
    if (own >= free) return false;
    this.#taken += 1;
    if (client !== undefined) this.#own.set(client, own + 1);
    return true;
  }

  /** Whether a client has a place. */
  has(client: string): boolean {
    return this.#own.has(client);
  }

  give(client: string | undefined): void {
    this.#taken -= 1;
    if (client === undefined) return;
    const left = (this.#own.get(client) ?? 0) - 1;
    if (left > 0) this.#own.set(client, left);
    else this.#own.delete(client);
  }
}
