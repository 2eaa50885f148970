import type { Header } from '../core/http.ts';
import type { FieldScan, FieldSummary } from './http1-fields.ts';

/** Longer sections are not kept: connections are many. */
const keptBytes = 1_024;
/** Sections in a row that differed from the one before, after which this direction is taken for one that never repeats. */
const mostMisses = 16;

/**
 * The field section that came last in one direction of a connection. Clients send the same fields with request after
 * request, and origins with the responses of one second: a section of the same bytes means the same, so that it is
 * compared instead of scanned and cut up again. The headers it gives out are the same array each time.
 */
export class SectionMemo {
  #bytes: Buffer | undefined;
  #length = 0;
  #headers: readonly Header[] = [];
  #summary: FieldSummary | undefined;
  #misses = 0;

  /** Length of the section at `start` when it is the one that came last, whose summary is then in `fields`; else 0. */
  recall(bytes: Buffer, start: number, end: number, fields: FieldScan): number {
    const length = this.#length;
    if (length === 0 || this.#bytes === undefined || this.#summary === undefined || start + length > end) return 0;
    if (bytes.compare(this.#bytes, 0, length, start, start + length) !== 0) return 0;
    fields.restore(this.#summary);
    this.#misses = 0;
    return length;
  }

  /** The headers of the section that was recalled. */
  get headers(): readonly Header[] {
    return this.#headers;
  }

  /** Keeps a section that was scanned just now. */
  keep(bytes: Buffer, start: number, end: number, fields: FieldScan, headers: readonly Header[]): void {
    const length = end - start;
    this.#misses += 1;
    if (this.#misses > mostMisses) {
      this.#bytes = undefined;
      return;
    }
    this.#length = length <= keptBytes ? length : 0;
    if (this.#length === 0) return;
    if (this.#bytes === undefined || this.#bytes.length < length) this.#bytes = Buffer.allocUnsafeSlow(length);
    bytes.copy(this.#bytes, 0, start, end);
    this.#headers = headers;
    this.#summary = fields.summary();
  }
}
