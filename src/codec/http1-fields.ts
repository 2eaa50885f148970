import type { Header } from '../core/http.ts';
import { limits } from '../core/limits.ts';
import { colon, cr, lf, partial, refused, space, tab, tokenBytes, valueBytes } from './http1-bytes.ts';
import type { Http1Fault } from './http1-fault.ts';

/** Fields that decide framing, routing or hops: the scan notes where each stands, all others are only listed. */
export const knownFields = {
  host: 0,
  contentLength: 1,
  transferEncoding: 2,
  connection: 3,
  upgrade: 4,
  http2Settings: 5,
  proxyConnection: 6,
  proxyAuthorization: 7,
  expect: 8,
  te: 9,
  trailer: 10,
} as const;

const unknownField = -1;
const underscoredField = -2;

/** What a scan found of the known fields, to be put back when the same section comes again. */
export interface FieldSummary {
  readonly count: number;
  readonly seen: number;
  readonly repeated: number;
  readonly first: readonly number[];
}

/**
 * Scans a field section (RFC 9112 section 5): the lines of a head after its first, or trailers. Strict: every line ends
 * in CR LF, no folding, no blank before the colon, no control characters. Offsets of the last scan stay in the scanner,
 * which one caller reads before the next scan: an object per head would cost more than the scan itself.
 */
export class FieldScan {
  fault: Http1Fault = 'malformed';
  detail = '';
  count = 0;
  /** Bit per known field that occurs, and per known field that occurs more than once. */
  #seen = 0;
  #repeated = 0;
  readonly #first = new Int32Array(Object.keys(knownFields).length);
  readonly #offsets = new Int32Array(4 * limits.httpHeaderCount);

  /** Scans from the start of a line up to and including the empty line. Returns the position after it, `partial` or `refused`. */
  run(bytes: Buffer, start: number, end: number): number {
    this.count = 0;
    this.#seen = 0;
    this.#repeated = 0;
    const offsets = this.#offsets;
    let at = start;
    for (;;) {
      if (at >= end) return partial;
      if (bytes[at] === cr) return this.#emptyLine(bytes, at, end);
      const nameStart = at;
      while (at < end && tokenBytes[bytes[at] as number] === 1) at++;
      if (at >= end) return partial;
      if (bytes[at] !== colon || at === nameStart) return this.#badName(bytes, at, nameStart);
      if (this.count === limits.httpHeaderCount) return this.refuse('too-large', 'too many header fields');
      const slot = this.count * 4;
      offsets[slot] = nameStart;
      offsets[slot + 1] = at;
      if (!this.#note(bytes, nameStart, at)) return refused;
      at++;
      while (at < end && (bytes[at] === space || bytes[at] === tab)) at++;
      offsets[slot + 2] = at;
      while (at < end && valueBytes[bytes[at] as number] === 1) at++;
      if (at + 1 >= end) return at < end && bytes[at] !== cr ? this.#badValue() : partial;
      if (bytes[at] !== cr || bytes[at + 1] !== lf) return this.#badValue();
      offsets[slot + 3] = this.#trimmed(bytes, offsets[slot + 2] as number, at);
      this.count++;
      at += 2;
    }
  }

  summary(): FieldSummary {
    return { count: this.count, seen: this.#seen, repeated: this.#repeated, first: [...this.#first] };
  }

  restore({ count, seen, repeated, first }: FieldSummary): void {
    this.count = count;
    this.#seen = seen;
    this.#repeated = repeated;
    this.#first.set(first);
  }

  has(field: number): boolean {
    return (this.#seen & (1 << field)) !== 0;
  }

  isRepeated(field: number): boolean {
    return (this.#repeated & (1 << field)) !== 0;
  }

  /** Index of the first line of a known field that occurs. */
  indexOf(field: number): number {
    return this.#first[field] as number;
  }

  /** All fields, from the section's text, which starts at offset `base` of the scanned bytes. */
  headers(text: string, base: number): Header[] {
    const offsets = this.#offsets;
    const headers: Header[] = [];
    for (let slot = 0; slot < this.count * 4; slot += 4) {
      headers.push([
        text.slice((offsets[slot] as number) - base, (offsets[slot + 1] as number) - base),
        text.slice((offsets[slot + 2] as number) - base, (offsets[slot + 3] as number) - base),
      ]);
    }
    return headers;
  }

  refuse(fault: Http1Fault, detail: string): number {
    this.fault = fault;
    this.detail = detail;
    return refused;
  }

  #emptyLine(bytes: Buffer, at: number, end: number): number {
    if (at + 1 >= end) return partial;
    return bytes[at + 1] === lf ? at + 2 : this.refuse('ambiguous', 'a bare CR');
  }

  #badName(bytes: Buffer, at: number, nameStart: number): number {
    const byte = bytes[at];
    if (byte === space || byte === tab) {
      return at === nameStart
        ? this.refuse('ambiguous', 'a folded header line')
        : this.refuse('ambiguous', 'a blank before the colon of a header');
    }
    if (byte === cr || byte === lf) return this.refuse('ambiguous', 'a header line without colon, or a bare CR or LF');
    return this.refuse('malformed', at === nameStart ? 'an empty or invalid header name' : 'an invalid header name');
  }

  #badValue(): number {
    return this.refuse('ambiguous', 'a control character, bare CR or bare LF in a header value');
  }

  #trimmed(bytes: Buffer, from: number, to: number): number {
    let end = to;
    while (end > from && (bytes[end - 1] === space || bytes[end - 1] === tab)) end--;
    return end;
  }

  #note(bytes: Buffer, from: number, to: number): boolean {
    const field = knownField(bytes, from, to);
    if (field === unknownField) return true;
    if (field === underscoredField) {
      // CGI and WSGI turn `-` and `_` into the same variable: such an origin would frame by a field that we do not see.
      this.refuse('ambiguous', 'a framing field spelt with an underscore');
      return false;
    }
    const bit = 1 << field;
    if ((this.#seen & bit) !== 0) this.#repeated |= bit;
    else this.#first[field] = this.count;
    this.#seen |= bit;
    return true;
  }
}

/** By length first: most fields of a head are sorted out with one comparison. */
function knownField(bytes: Buffer, from: number, to: number): number {
  switch (to - from) {
    case 2:
      return isName(bytes, from, names.te) ? knownFields.te : unknownField;
    case 4:
      return isName(bytes, from, names.host) ? knownFields.host : unknownField;
    case 6:
      return isName(bytes, from, names.expect) ? knownFields.expect : unknownField;
    case 7:
      if (isName(bytes, from, names.upgrade)) return knownFields.upgrade;
      return isName(bytes, from, names.trailer) ? knownFields.trailer : unknownField;
    case 10:
      return isName(bytes, from, names.connection) ? knownFields.connection : unknownField;
    case 14:
      if (isName(bytes, from, names.contentLength)) return knownFields.contentLength;
      if (isName(bytes, from, names.http2Settings)) return knownFields.http2Settings;
      return isName(bytes, from, names.contentLengthUnderscored) ? underscoredField : unknownField;
    case 16:
      return isName(bytes, from, names.proxyConnection) ? knownFields.proxyConnection : unknownField;
    case 17:
      if (isName(bytes, from, names.transferEncoding)) return knownFields.transferEncoding;
      return isName(bytes, from, names.transferEncodingUnderscored) ? underscoredField : unknownField;
    case 19:
      return isName(bytes, from, names.proxyAuthorization) ? knownFields.proxyAuthorization : unknownField;
    default:
      return unknownField;
  }
}

/** Lower-cased, as `isName` folds what it compares. `_` folds to DEL. */
const names = {
  te: folded('te'),
  host: folded('host'),
  expect: folded('expect'),
  upgrade: folded('upgrade'),
  trailer: folded('trailer'),
  connection: folded('connection'),
  contentLength: folded('content-length'),
  contentLengthUnderscored: folded('content_length'),
  http2Settings: folded('http2-settings'),
  proxyConnection: folded('proxy-connection'),
  transferEncoding: folded('transfer-encoding'),
  transferEncodingUnderscored: folded('transfer_encoding'),
  proxyAuthorization: folded('proxy-authorization'),
} as const;

function folded(name: string): Uint8Array {
  return Uint8Array.from(Buffer.from(name), (byte) => byte | 0x20);
}

/** Compares without regard to case. The name is a token already, so folding by bit 0x20 confuses no two letters. */
function isName(bytes: Buffer, from: number, name: Uint8Array): boolean {
  for (let index = 0; index < name.length; index++) {
    if (((bytes[from + index] as number) | 0x20) !== name[index]) return false;
  }
  return true;
}
