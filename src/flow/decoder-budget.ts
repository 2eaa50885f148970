import type { DecoderBounds } from '../codec/content-decoder.ts';
import { limits } from '../core/limits.ts';
import { strikes } from '../core/simulation.ts';
import { HeldBudget, mostOf } from './relay/held-budget.ts';

/** Native memory of all decoders of this process, and what of it each client has. */
const reserved = new HeldBudget();
const most = mostOf(limits.decoderMemoryBytes);

/** What undoing the codings of one body may cost: memory shared with all others, size, growth and time of its own. */
export class DecoderBudget implements DecoderBounds {
  readonly #decodedLimit: number;
  readonly #shareKey: string;
  /** It cost more than any honest body does: in growth, time or memory, whatever its size. */
  isBomb = false;
  readonly #startMs = performance.now();
  #readBytes = 0;
  #madeBytes = 0;
  /** Time that passed between the calls of this body does not count. */
  #pausedMs = 0;
  #pausedAtMs = this.#startMs;

  /** `shareKey` is the one whose share of the memory it is. */
  constructor(decodedLimit: number, shareKey: string) {
    this.#decodedLimit = decodedLimit;
    this.#shareKey = shareKey;
  }

  /** A chunk is taken up. */
  resume(chunkBytes: number): void {
    this.#readBytes += chunkBytes;
    this.#pausedMs += performance.now() - this.#pausedAtMs;
  }

  pause(): void {
    this.#pausedAtMs = performance.now();
  }

  spend(bytes: number): string | undefined {
    this.#madeBytes += bytes;
    const made = this.#madeBytes;
    if (made > this.#decodedLimit) return `more than ${this.#decodedLimit} bytes when decoded`;
    if (made > limits.decodedRatioFromBytes && made > limits.decodedBodyRatio * this.#readBytes) {
      return this.#bomb(`more than ${limits.decodedBodyRatio} times as large when decoded`);
    }
    if (performance.now() - this.#startMs - this.#pausedMs <= limits.decodedBodyMs) return undefined;
    return this.#bomb('decoding takes too long');
  }

  reserve(bytes: number): boolean {
    if (reserved.shortage(this.#shareKey, bytes, most) !== undefined || strikes('decoding')) {
      this.isBomb = true;
      return false;
    }
    reserved.take(this.#shareKey, bytes);
    return true;
  }

  release(bytes: number): void {
    if (bytes > 0) reserved.give(this.#shareKey, bytes);
  }

  #bomb(problem: string): string {
    this.isBomb = true;
    return problem;
  }
}
