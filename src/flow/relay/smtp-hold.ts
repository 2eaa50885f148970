import type { HeldBudget, HeldMost } from './held-budget.ts';

/** Memory for held mails that those of one client have together, of what all of them may have. */
export class HoldShare {
  readonly #budget: HeldBudget;
  readonly #address: string;
  readonly #most: HeldMost;

  constructor(budget: HeldBudget, address: string, most: HeldMost) {
    this.#budget = budget;
    this.#address = address;
    this.#most = most;
  }

  /** Accounts for more bytes; false when there should be no more. */
  take(bytes: number): boolean {
    this.#budget.take(this.#address, bytes);
    return this.#budget.shortage(this.#address, 0, this.#most) === undefined;
  }

  give(bytes: number): void {
    this.#budget.give(this.#address, bytes);
  }
}
