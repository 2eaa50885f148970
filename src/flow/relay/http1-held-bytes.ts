import { limits } from '../../core/limits.ts';

/** Received bytes that wait their turn, in order. The sender is paused meanwhile, so this is what was on its way. */
export class HeldBytes {
  readonly chunks: Buffer[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.chunks.length === 0;
  }

  /** Whether the sender goes on in spite of its pause. */
  get isFull(): boolean {
    return this.#bytes > limits.sendBufferBytes;
  }

  push(bytes: Buffer): void {
    this.#insert(this.chunks.length, bytes);
  }

  /** Puts bytes back before all others. */
  putBack(bytes: Buffer): void {
    this.#insert(0, bytes);
  }

  /** Puts bytes behind those that were put back last. */
  putBackSecond(bytes: Buffer): void {
    this.#insert(1, bytes);
  }

  shift(): Buffer | undefined {
    const bytes = this.chunks.shift();
    this.#bytes -= bytes?.length ?? 0;
    return bytes;
  }

  clear(): void {
    this.chunks.length = 0;
    this.#bytes = 0;
  }

  #insert(index: number, bytes: Buffer): void {
    this.chunks.splice(index, 0, bytes);
    this.#bytes += bytes.length;
  }
}
