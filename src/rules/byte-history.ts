import { limits } from '../core/limits.ts';

/** Bytes kept of what went before: a window on either side of a literal, and the literal. */
const keptBytes = 2 * limits.ruleWindowBytes;

/** The present chunk of a body and the last bytes before it, by their offsets in the body. */
export class ByteHistory {
  #kept: Buffer | undefined;
  #keptLength = 0;
  #chunk: Buffer = Buffer.alloc(0);
  #start = 0;

  /** Offset of the present chunk. */
  get start(): number {
    return this.#start;
  }

  /** Offset of the first byte that is still here. */
  get first(): number {
    return this.#start - this.#keptLength;
  }

  /** Offset behind the last byte seen. */
  get end(): number {
    return this.#start + this.#chunk.length;
  }

  /** Takes the next chunk, which must live until `close`. */
  open(chunk: Buffer): void {
    this.#chunk = chunk;
  }

  /** Keeps the end of the chunk; the chunk itself may go. `keep` false forgets all. */
  close(keep: boolean): void {
    const chunk = this.#chunk;
    this.#start += chunk.length;
    this.#chunk = chunk.subarray(0, 0);
    if (!keep) {
      this.#keptLength = 0;
      return;
    }
    this.#kept ??= Buffer.allocUnsafe(keptBytes);
    const room = Math.max(0, keptBytes - chunk.length);
    const stay = Math.min(room, this.#keptLength);
    this.#kept.copyWithin(0, this.#keptLength - stay, this.#keptLength);
    chunk.copy(this.#kept, stay, Math.max(0, chunk.length - keptBytes));
    this.#keptLength = stay + Math.min(chunk.length, keptBytes);
  }

  /** The bytes from one offset to another, as far as they are still here: a view where possible. */
  slice(from: number, to: number): Buffer {
    const first = Math.max(from, this.#start - this.#keptLength);
    if (first >= this.#start) return this.#chunk.subarray(first - this.#start, to - this.#start);
    const shift = this.#start - this.#keptLength;
    const old = (this.#kept ?? this.#chunk).subarray(first - shift, Math.min(to, this.#start) - shift);
    return to <= this.#start ? old : Buffer.concat([old, this.#chunk.subarray(0, to - this.#start)]);
  }

  /** The byte before an offset; undefined at the start of the body. */
  byteBefore(offset: number): number | undefined {
    return offset === 0 ? undefined : this.slice(offset - 1, offset)[0];
  }
}
