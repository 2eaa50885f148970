import { limits } from '../core/limits.ts';
import { HeldBudget, type Shortage } from './relay/held-budget.ts';
import { heldMost } from './relay/held-memory.ts';

/** How much of a message may wait for rules. */
export interface HoldLimits {
  readonly startBytes: number;
  readonly bodyBytes: number;
}

/** Of all messages of this process that wait. */
const budget = new HeldBudget();

/** Counts what of one message waits for a rule, and says when it is enough. */
export class MessageHold {
  readonly #limits: HoldLimits;
  readonly #address: string;
  #passed = 0;
  #reserved = 0;
  #isOver = false;
  /** More came than may wait, before the rules were decided. */
  hasOverflowed = false;

  /** `address` is the client's, whose share of the memory it is. */
  constructor(holdLimits: HoldLimits, address: string) {
    this.#limits = holdLimits;
    this.#address = address;
  }

  /** Whether the message waits on with these further bytes, a piece of their own, or why there is no room for them. */
  waits(part: 'none' | 'start' | 'body', bytes: number): boolean | Shortage {
    this.#passed += bytes;
    if (this.#isOver || part === 'none') return this.#end(false);
    const limit = part === 'body' ? this.#limits.bodyBytes : this.#limits.startBytes;
    if (this.#passed > limit) return this.#end(part === 'body');
    if (bytes === 0) return true;
    const memoryBytes = bytes + limits.heldPieceBytes;
    const shortage = budget.shortage(this.#address, memoryBytes, heldMost);
    if (shortage !== undefined) return shortage;
    budget.take(this.#address, memoryBytes);
    this.#reserved += memoryBytes;
    return true;
  }

  /** Where there is no room: whether that is rather this client's doing than that of others. */
  get isOfThisClient(): boolean {
    return budget.hasMoreThanPart(this.#address);
  }

  /** Nothing of the message waits any more. */
  release(): void {
    this.#end(false);
  }

  #end(hasOverflowed: boolean): false {
    this.hasOverflowed ||= hasOverflowed && !this.#isOver;
    this.#isOver = true;
    if (this.#reserved > 0) budget.give(this.#address, this.#reserved);
    this.#reserved = 0;
    return false;
  }
}
