import { limits } from '../../core/limits.ts';

/** Streams that were reset while a side was still sending: its frames for them are late, not wrong (RFC 9113 section 5.4.2). */
export class ResetMemory {
  readonly #ids = new Set<number>();

  add(streamId: number): void {
    this.#ids.add(streamId);
    if (this.#ids.size <= limits.http2ResetMemory) return;
    const oldest = this.#ids.values().next();
    if (!oldest.done) this.#ids.delete(oldest.value);
  }

  has(streamId: number): boolean {
    return this.#ids.has(streamId);
  }

  /** The side has ended the stream as well: nothing more is late. */
  delete(streamId: number): void {
    this.#ids.delete(streamId);
  }
}
