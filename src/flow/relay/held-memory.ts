import { limits } from '../../core/limits.ts';
import { HeldBudget, mostOf, type Shortage } from './held-budget.ts';
import type { Refusal } from './http1-pipeline.ts';

/** Bounds of what messages hold. */
export const heldMost = mostOf(limits.heldBytes);

/** How a message is refused for which there is no room. */
export function shortageRefusal(shortage: Shortage): Refusal {
  return shortage === 'full'
    ? { code: 'GATEWAY_OVERLOADED', detail: 'no room to hold a message' }
    : { code: 'CLIENT_HOARDING', detail: 'its address has its share of the memory for held messages' };
}

/** Of what waits in relays: held in HTTP/2, and let go but not taken in either version. */
const budget = new HeldBudget();
const holders = new Set<HeldMemory>();

/** Memory of what waits in one connection. */
export class HeldMemory {
  readonly #address: string;
  readonly #giveUp: () => void;
  #heldBytes = 0;
  /** Of what waits for its receiver alone, so much was not taken for a while; found out on each tick. */
  stalledBytes = 0;

  /** `giveUp` gives all memory back, if a receiver still takes nothing. */
  constructor(address: string, giveUp: () => void) {
    this.#address = address;
    this.#giveUp = giveUp;
  }

  get isEmpty(): boolean {
    return this.#heldBytes === 0;
  }

  /** Takes memory, or says why there is none. */
  take(bytes: number): Shortage | undefined {
    if (this.#heldBytes + bytes > limits.http2HeldBytes) return 'full';
    const shortage = this.#makeRoom(bytes);
    if (shortage !== undefined) return shortage;
    if (this.#heldBytes === 0) holders.add(this);
    this.#heldBytes += bytes;
    budget.take(this.#address, bytes);
    return undefined;
  }

  giveAll(): void {
    if (!this.isEmpty) this.give(this.#heldBytes);
  }

  give(bytes: number): void {
    this.#heldBytes -= bytes;
    budget.give(this.#address, bytes);
    if (this.#heldBytes > 0) return;
    this.stalledBytes = 0;
    holders.delete(this);
  }

  /** Has others give up what nobody takes, the one with most of it first; those of the same client where that has its share. */
  #makeRoom(bytes: number): Shortage | undefined {
    for (;;) {
      const shortage = budget.shortage(this.#address, bytes, heldMost);
      if (shortage === undefined) return undefined;
      let worst: HeldMemory | undefined;
      for (const memory of holders) {
        const isAsked = shortage === 'full' || memory.#address === this.#address;
        if (isAsked && memory.stalledBytes > (worst?.stalledBytes ?? 0)) worst = memory;
      }
      if (worst === undefined || worst === this) return shortage;
      worst.stalledBytes = 0;
      worst.#giveUp();
    }
  }
}

/** Finds out whether a receiver takes what waits for it alone. */
export class StallClock {
  /** Since when it has taken next to nothing, and what it took since. */
  #stillSinceMs: number | undefined;
  #takenBytes = 0;

  took(bytes: number): void {
    this.#takenBytes += bytes;
  }

  /** It owes nothing. */
  reset(): void {
    this.#stillSinceMs = undefined;
  }

  /** What of so many bytes its receiver has kept waiting for a while; asked for about once a second, while it waits for that. */
  stalledBytes(nowMs: number, bytes: number): number {
    const isTaken = this.#takenBytes * limits.heldStallShare >= bytes;
    if (this.#stillSinceMs === undefined || isTaken) {
      this.#stillSinceMs = nowMs;
      this.#takenBytes = 0;
    }
    return nowMs - this.#stillSinceMs >= limits.heldStallMs ? bytes : 0;
  }
}
