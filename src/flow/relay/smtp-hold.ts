/** Memory that held mails of one relay share, so that many of them at once cannot exhaust it. */
export class HoldBudget {
  readonly #mostBytes: number;
  #bytes = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** Accounts for more bytes; false when there should be no more. */
  take(bytes: number): boolean {
    this.#bytes += bytes;
    return this.#bytes <= this.#mostBytes;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}
