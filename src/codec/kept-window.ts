interface Segment {
  readonly start: number;
  readonly bytes: Buffer;
}

/** The newest bytes of a body, by their offset in it: views of memory that was not forwarded yet and may still change. */
export class KeptWindow {
  #segments: Segment[] = [];
  #end = 0;
  /** The segment that was asked last: bytes are mostly asked for in a row. */
  #last = 0;

  /** Offset of the first byte that is still here. */
  get start(): number {
    return this.#segments[0]?.start ?? this.#end;
  }

  get end(): number {
    return this.#end;
  }

  push(bytes: Buffer): void {
    this.#segments.push({ start: this.#end, bytes });
    this.#end += bytes.length;
  }

  /** Lets go of segments that end at an offset or before it. */
  forget(before: number): void {
    let count = 0;
    for (const { start, bytes } of this.#segments) if (start + bytes.length <= before) count++;
    if (count > 0) this.#segments.splice(0, count);
    this.#last = 0;
  }

  forgetAll(): void {
    this.#segments = [];
    this.#last = 0;
  }

  fill(value: number, from: number, to: number): void {
    for (const { start, bytes } of this.#segments) {
      if (from >= start + bytes.length || to <= start) continue;
      bytes.fill(value, Math.max(0, from - start), Math.min(bytes.length, to - start));
    }
  }

  /** A copy of all that is here. */
  bytes(): Buffer {
    return Buffer.concat(this.#segments.map(({ bytes }) => bytes));
  }

  /** Puts others in their place, as many. */
  set(others: Buffer): void {
    for (const { start, bytes } of this.#segments)
      others.copy(bytes, 0, start - this.start, start - this.start + bytes.length);
  }

  /** Undefined where the byte is not here. */
  byteAt(offset: number): number | undefined {
    const segment = this.#segmentOf(offset);
    return segment?.bytes[offset - segment.start];
  }

  setByte(offset: number, value: number): void {
    const segment = this.#segmentOf(offset);
    if (segment !== undefined) segment.bytes[offset - segment.start] = value;
  }

  #segmentOf(offset: number): Segment | undefined {
    const last = this.#segments[this.#last];
    if (last !== undefined && offset >= last.start && offset < last.start + last.bytes.length) return last;
    this.#last = this.#segments.findIndex(({ start, bytes }) => offset >= start && offset < start + bytes.length);
    return this.#segments[this.#last];
  }
}
