/** What a peer may do without being useful: spent by frames that carry nothing, earned back by time and by those that do. */
export class Budget {
  readonly #most: number;
  readonly #perSecond: number;
  readonly #usual: number;
  #left: number;

  constructor(usual: number, perSecond: number, most = usual) {
    this.#usual = usual;
    this.#perSecond = perSecond;
    this.#most = most;
    this.#left = usual;
  }

  /** False when nothing is left. */
  spend(amount: number): boolean {
    this.#left -= amount;
    return this.#left >= 0;
  }

  earn(amount: number): void {
    if (this.#left < this.#most) this.#left += amount;
  }

  /** A second has passed. */
  refill(): void {
    if (this.#left < this.#usual) this.#left = Math.min(this.#usual, this.#left + this.#perSecond);
  }
}
