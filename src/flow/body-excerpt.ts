/** The first bytes of a body, copied: the chunks are views on receive buffers that do not outlive the call. */
export class BodyExcerpt {
  readonly #limit: number;
  #bytes: Buffer | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isFull(): boolean {
    return (this.#bytes?.length ?? 0) >= this.#limit;
  }

  add(chunk: Buffer): void {
    const kept = this.#bytes?.length ?? 0;
    if (kept >= this.#limit) return;
    const part = chunk.subarray(0, this.#limit - kept);
    this.#bytes = this.#bytes === undefined ? Buffer.from(part) : Buffer.concat([this.#bytes, part]);
  }

  /** Makes unreadable what is masked in the body. */
  mask(from: number, to: number): void {
    this.#bytes?.fill('*', Math.min(from, this.#bytes.length), Math.min(to, this.#bytes.length));
  }

  bytes(): Buffer | undefined {
    return this.#bytes;
  }
}
