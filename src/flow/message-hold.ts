import { limits } from '../core/limits.ts';

/** How much of a message may wait for rules. */
export interface HoldLimits {
  readonly startBytes: number;
  readonly bodyBytes: number;
}

/** Bytes of all messages of this process that wait. */
let heldBytes = 0;

/** Counts what of one message waits for a rule, and says when it is enough. */
export class MessageHold {
  readonly #limits: HoldLimits;
  #passed = 0;
  #reserved = 0;
  #isOver = false;
  /** More came than may wait, before the rules were decided. */
  hasOverflowed = false;

  constructor(holdLimits: HoldLimits) {
    this.#limits = holdLimits;
  }

  /** Whether the message waits on with these further bytes: `full` when there is no room for them. */
  waits(part: 'none' | 'start' | 'body', bytes: number): boolean | 'full' {
    this.#passed += bytes;
    if (this.#isOver || part === 'none') return this.#end(false);
    const limit = part === 'body' ? this.#limits.bodyBytes : this.#limits.startBytes;
    if (this.#passed > limit) return this.#end(part === 'body');
    if (heldBytes + bytes > limits.heldBytes) return 'full';
    heldBytes += bytes;
    this.#reserved += bytes;
    return true;
  }

  /** Nothing of the message waits any more. */
  release(): void {
    this.#end(false);
  }

  #end(hasOverflowed: boolean): false {
    this.hasOverflowed ||= hasOverflowed && !this.#isOver;
    this.#isOver = true;
    heldBytes -= this.#reserved;
    this.#reserved = 0;
    return false;
  }
}
