import type { Http2Field } from './http2-field.ts';

/** The dynamic table of one direction (RFC 7541 section 2.3.2): newest entry first, the oldest leave when it is full. */
export class HpackTable {
  /** Oldest first, so that an entry is added and found without moving the others. */
  #entries: Http2Field[] = [];
  #oldest = 0;
  #bytes = 0;
  #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get capacity(): number {
    return this.#capacity;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#entries.length - this.#oldest;
  }

  /** The entry at an index that counts from 0, the newest. */
  at(index: number): Http2Field | undefined {
    return index < this.length ? this.#entries[this.#entries.length - 1 - index] : undefined;
  }

  add(field: Http2Field): void {
    const bytes = field.bytes;
    this.#shrinkTo(this.#capacity - bytes);
    // RFC 7541 section 4.4: one that is larger than the table empties it, which is no error.
    if (bytes > this.#capacity) return;
    field.isStored = true;
    this.#entries.push(field);
    this.#bytes += bytes;
  }

  resize(capacity: number): void {
    this.#capacity = capacity;
    this.#shrinkTo(capacity);
  }

  #shrinkTo(bytes: number): void {
    while (this.#bytes > 0 && this.#bytes > bytes) {
      this.#bytes -= this.#entries[this.#oldest]?.bytes ?? 0;
      this.#oldest += 1;
    }
    if (this.#oldest < 32 || this.#oldest < this.#entries.length / 2) {
      if (this.#bytes > 0 || this.#oldest === 0) return;
    }
    this.#entries = this.#entries.slice(this.#oldest);
    this.#oldest = 0;
  }
}
