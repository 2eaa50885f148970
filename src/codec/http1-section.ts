import { cr, lf, partial } from './http1-bytes.ts';
import { SectionMemo } from './http1-section-memo.ts';

/** What `append` answers for a line that ends in LF alone. */
export const bareLineFeed = -2;
/** What `append` answers for a section that outgrows its limit. */
export const outgrown = -3;

/**
 * Collects a head or a trailer section that comes in pieces, up to and including its empty line. Only the slow path
 * comes here: a section that lies in one chunk is read where it lies. Linear in time for one-byte pieces.
 */
export class SectionBuffer {
  /** The section that came before, in the same direction. */
  readonly memo = new SectionMemo();
  readonly #limitBytes: number;
  #bytes = empty;
  #length = 0;
  /** Bytes of the present line. */
  #lineBytes = 0;
  #lines = 0;
  #lastByte = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Whether part of a section is kept. */
  get isActive(): boolean {
    return this.#length > 0;
  }

  /** Lines that are complete. */
  get lines(): number {
    return this.#lines;
  }

  /** Adds bytes up to the end of the section. Returns the position after it, `partial`, `bareLineFeed` or `outgrown`. */
  append(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end) {
      const next = bytes.indexOf(lf, at);
      if (next < 0 || next >= end) break;
      const before = next > start ? bytes[next - 1] : this.#lastByte;
      if (before !== cr) return bareLineFeed;
      this.#lineBytes += next + 1 - at;
      at = next + 1;
      if (this.#lineBytes === 2) return this.#keep(bytes, start, at) ? at : outgrown;
      this.#lineBytes = 0;
      this.#lines++;
    }
    this.#lineBytes += end - at;
    return this.#keep(bytes, start, end) ? partial : outgrown;
  }

  /** What was collected so far; a view that is good until the next `append`. */
  peek(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Hands the section over and starts anew. */
  take(): Buffer {
    const section = this.peek();
    this.#bytes = empty;
    this.#length = 0;
    this.#lineBytes = 0;
    this.#lines = 0;
    this.#lastByte = 0;
    return section;
  }

  #keep(bytes: Buffer, start: number, end: number): boolean {
    if (end === start) return true;
    const length = this.#length + end - start;
    if (length > this.#limitBytes) return false;
    if (length > this.#bytes.length) this.#grow(length);
    bytes.copy(this.#bytes, this.#length, start, end);
    this.#length = length;
    this.#lastByte = bytes[end - 1] ?? 0;
    return true;
  }

  #grow(length: number): void {
    // Doubling keeps a section that comes byte by byte linear; the start is the size of a usual head.
    const capacity = Math.min(this.#limitBytes, Math.max(512, length, 2 * this.#bytes.length));
    const grown = Buffer.allocUnsafeSlow(capacity);
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}

const empty = Buffer.alloc(0);

/**
 * The position after the empty line that ends a head in a growing prefix, or `partial`. `scanned` bytes were searched by
 * an earlier call. For the listener that peeks at its first head; the head itself is judged by `parseRequestHead`.
 */
export function findHeadEnd(bytes: Buffer, scanned = 0): number {
  const found = bytes.indexOf(emptyLine, Math.max(0, scanned - 3));
  return found < 0 ? partial : found + emptyLine.length;
}

const emptyLine = Buffer.from('\r\n\r\n');
