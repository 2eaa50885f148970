import type { DecoderBounds } from '../codec/content-decoder.ts';
import { limits } from '../core/limits.ts';
import { strikes } from '../core/simulation.ts';

/** Native memory of all decoders of this process. */
let reservedBytes = 0;

/** What undoing the codings of one body may cost: memory shared with all others, size, growth and time of its own. */
export class DecoderBudget implements DecoderBounds {
  readonly #decodedLimit: number;
  /** It cost more than any honest body does: in growth, time or memory, whatever its size. */
  isBomb = false;
  readonly #startMs = performance.now();
  #readBytes = 0;
  #madeBytes = 0;
  /** Time that passed between the calls of this body does not count. */
  #pausedMs = 0;
  #pausedAtMs = this.#startMs;

  constructor(decodedLimit: number) {
    this.#decodedLimit = decodedLimit;
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
    if (reservedBytes + bytes > limits.decoderMemoryBytes || strikes('decoding')) {
      this.isBomb = true;
      return false;
    }
    reservedBytes += bytes;
    return true;
  }

  release(bytes: number): void {
    reservedBytes -= bytes;
  }

  #bomb(problem: string): string {
    this.isBomb = true;
    return problem;
  }
}
