import { tags } from './der-tags.ts';

/** Bytes are not the DER that was expected. The message names the fault, never the bytes. */
export class DerError extends Error {}

/** One value: its tag, its content, and all of its bytes with tag and length. Both are views, not copies. */
export interface DerValue {
  readonly tag: number;
  readonly content: Buffer;
  readonly whole: Buffer;
}

/**
 * Reads DER values one after another, strictly (X.690 section 10): definite minimal lengths, no high tag numbers, nothing
 * beyond the end. It never recurses, so that depth is bounded by the code that calls it.
 */
export class DerReader {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  /** The tag of the next value, or undefined at the end. */
  get nextTag(): number | undefined {
    return this.#bytes[this.#offset];
  }

  /** The next value, which must have the tag when one is named. */
  read(tag?: number): DerValue {
    const start = this.#offset;
    const found = this.#byte();
    if (tag !== undefined && found !== tag) throw new DerError(`tag ${hex(found)} where ${hex(tag)} belongs`);
    if ((found & 0x1f) === 0x1f) throw new DerError('high tag number');
    const length = this.#length();
    const contentStart = this.#offset;
    if (length > this.#bytes.length - contentStart) throw new DerError('value longer than its container');
    this.#offset += length;
    return {
      tag: found,
      content: this.#bytes.subarray(contentStart, this.#offset),
      whole: this.#bytes.subarray(start, this.#offset),
    };
  }

  /** The next value if it has the tag; else nothing is consumed. */
  optional(tag: number): DerValue | undefined {
    return this.nextTag === tag ? this.read(tag) : undefined;
  }

  /** A reader over the content of the next value. */
  enter(tag: number = tags.sequence): DerReader {
    return new DerReader(this.read(tag).content);
  }

  /** Throws unless every byte was read. */
  end(): void {
    if (!this.atEnd) throw new DerError('bytes after the last value');
  }

  #byte(): number {
    const byte = this.#bytes[this.#offset];
    if (byte === undefined) throw new DerError('ends too early');
    this.#offset++;
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const octets = first & 0x7f;
    // Three octets hold 16 MiB, more than any certificate or PKCS#12 file that is read here.
    if (octets === 0 || octets > 3) throw new DerError('indefinite or oversized length');
    let length = 0;
    for (let index = 0; index < octets; index++) length = length * 256 + this.#byte();
    if (length < 0x80 || length < 2 ** (8 * (octets - 1))) throw new DerError('length not minimal');
    return length;
  }
}

/** Content of an OBJECT IDENTIFIER as dotted text. */
export function readOid(content: Buffer): string {
  // 64 octets hold every identifier in use many times over; the bound keeps hostile ones cheap.
  if (content.length === 0 || content.length > 64) throw new DerError('object identifier empty or too long');
  const arcs: number[] = [];
  let value = 0;
  let started = false;
  for (const byte of content) {
    if (!started && byte === 0x80) throw new DerError('object identifier not minimal');
    value = value * 128 + (byte & 0x7f);
    if (value > Number.MAX_SAFE_INTEGER) throw new DerError('object identifier arc too large');
    started = (byte & 0x80) !== 0;
    if (started) continue;
    arcs.push(value);
    value = 0;
  }
  if (started) throw new DerError('object identifier ends too early');
  const [first = 0, ...rest] = arcs;
  const root = Math.min(Math.floor(first / 40), 2);
  return [root, first - root * 40, ...rest].join('.');
}

/** Content of a BOOLEAN. DER knows just 00 and FF (X.690 section 11.1). */
export function readBoolean(content: Buffer): boolean {
  const byte = content[0];
  if (content.length !== 1 || (byte !== 0 && byte !== 0xff)) throw new DerError('boolean neither 00 nor FF');
  return byte === 0xff;
}

/** Content of an INTEGER, checked to be minimal; a view. */
export function readInteger(content: Buffer): Buffer {
  const [first, second] = content;
  if (first === undefined) throw new DerError('integer without octets');
  const padded = second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
  if (padded) throw new DerError('integer not minimal');
  return content;
}

/** INTEGER that must lie between 0 and 32767, such as a path length or a version. */
export function readSmallInteger(content: Buffer): number {
  const octets = readInteger(content);
  const number = octets.readIntBE(0, Math.min(octets.length, 2));
  if (octets.length > 2 || number < 0) throw new DerError('integer out of range');
  return number;
}

/** Content of a BIT STRING that fills whole octets, as keys and signatures do. */
export function readOctetBits(content: Buffer): Buffer {
  if (content[0] !== 0) throw new DerError('bit string with unused bits');
  return content.subarray(1);
}

/** Content of a named-bit BIT STRING: the numbers of the set bits (bit 0 is the most significant of the first octet). */
export function readNamedBits(content: Buffer): ReadonlySet<number> {
  const unused = content[0];
  if (unused === undefined || unused > 7 || (content.length === 1 && unused !== 0) || content.length > 9) {
    throw new DerError('named bits malformed');
  }
  const bits = new Set<number>();
  for (let bit = 0; bit < (content.length - 1) * 8; bit++) {
    if (((content[1 + (bit >> 3)] ?? 0) >> (7 - (bit & 7))) & 1) bits.add(bit);
  }
  return bits;
}

/** UTCTime or GeneralizedTime as RFC 5280 section 4.1.2.5 restricts them, in milliseconds since the epoch. */
export function readTime(value: DerValue): number {
  const text = value.content.toString('latin1');
  const pattern = value.tag === tags.utcTime ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : undefined;
  const match = (pattern ?? /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/).exec(text);
  if (match === null || (value.tag !== tags.utcTime && value.tag !== tags.generalizedTime)) {
    throw new DerError('time malformed');
  }
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const fullYear = pattern === undefined ? year : year + (year < 50 ? 2000 : 1900);
  const date = new Date(0);
  date.setUTCFullYear(fullYear, month - 1, day);
  date.setUTCHours(hour, minute, second);
  // A date that rolls over, such as 31 February, is malformed too.
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day || date.getUTCHours() !== hour) {
    throw new DerError('time malformed');
  }
  if (minute > 59 || second > 59) throw new DerError('time malformed');
  return date.getTime();
}

function hex(tag: number): string {
  return tag.toString(16).padStart(2, '0');
}
