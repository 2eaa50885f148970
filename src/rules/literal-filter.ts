import { foldByte } from './fold-byte.ts';

/** Bytes of a literal that the filter looks at. */
const windowBytes = 3;
/** A window begins no further behind the start of its literal: so far is read again where one is met. */
const furthestOffset = 6;
const buckets = 4;
const firstPair = 0x0f;

/**
 * Finds the places of a text where a literal may stand, so that the bytes between need not be walked. Of each literal it
 * knows three adjacent bytes, its rarest by how often bytes stand in text: two pairs, of which a look at every second
 * byte of the text meets one whatever the parity. Only where the other pair stands beside it too is a place reported;
 * pairs of different literals are held apart by four buckets.
 */
export class LiteralFilter {
  /** By pair as the machine loads it: the buckets that have it first in a window (low bits), and second (high bits). */
  readonly #pairs = new Uint8Array(0x10000);
  /** Bytes before a place that may belong to the literal that is met there. */
  readonly reachBytes: number;

  /** Undefined when a literal is too short for it. */
  static of(literals: readonly Uint8Array[]): LiteralFilter | undefined {
    return literals.some(({ length }) => length < windowBytes) ? undefined : new LiteralFilter(literals);
  }

  private constructor(literals: readonly Uint8Array[]) {
    let furthest = 0;
    for (const [id, literal] of literals.entries()) {
      const offset = rarestWindow(literal);
      const bucket = 1 << (id % buckets);
      this.#add(literal, offset, bucket);
      this.#add(literal, offset + 1, bucket << buckets);
      furthest = Math.max(furthest, offset);
    }
    this.reachBytes = furthest + 1;
  }

  /**
   * The next place at or behind an index, or the last byte, whose pair the next chunk completes. No literal that begins at
   * or behind `from` begins more than `reachBytes` before it.
   */
  next(bytes: Uint8Array, words: Uint16Array, from: number): number {
    const pairs = this.#pairs;
    const skew = bytes.byteOffset & 1;
    const end = words.length;
    let index = (from + 1 - skew) >> 1;
    while (index < end) {
      // Four looks at a time: ordinary text has nothing at most of them.
      while (
        index + 4 <= end &&
        ((pairs[words[index] as number] as number) |
          (pairs[words[index + 1] as number] as number) |
          (pairs[words[index + 2] as number] as number) |
          (pairs[words[index + 3] as number] as number)) ===
          0
      ) {
        index += 4;
      }
      const stop = Math.min(index + 4, end);
      for (; index < stop; index++) {
        const found = pairs[words[index] as number] as number;
        const place = 2 * index + skew;
        if (found !== 0 && this.#stands(bytes, place, found)) return place;
      }
    }
    return bytes.length - 1;
  }

  #stands(bytes: Uint8Array, place: number, found: number): boolean {
    const pairs = this.#pairs;
    const first = found & firstPair;
    if (first !== 0) {
      // What comes with the next chunk may be the second pair.
      if (place + 2 >= bytes.length) return true;
      const after = pairs[pairOf(bytes[place + 1] as number, bytes[place + 2] as number)] as number;
      if ((first & (after >> buckets)) !== 0) return true;
    }
    const second = found >> buckets;
    if (second === 0 || place === 0) return false;
    const before = pairs[pairOf(bytes[place - 1] as number, bytes[place] as number)] as number;
    return (second & before) !== 0;
  }

  #add(literal: Uint8Array, offset: number, bits: number): void {
    for (const one of casesOf(literal[offset] ?? 0)) {
      for (const other of casesOf(literal[offset + 1] ?? 0)) {
        const pair = pairOf(one, other);
        this.#pairs[pair] = (this.#pairs[pair] ?? 0) | bits;
      }
    }
  }
}

/** A text as pairs of bytes, from its first byte at an even address on: one load gives two bytes. */
export function wordsOf(bytes: Uint8Array): Uint16Array {
  const skew = bytes.byteOffset & 1;
  return new Uint16Array(bytes.buffer, bytes.byteOffset + skew, Math.max(0, bytes.length - skew) >> 1);
}

const firstShift = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 0 : 8;
const secondShift = 8 - firstShift;

function pairOf(one: number, other: number): number {
  return (one << firstShift) | (other << secondShift);
}

function casesOf(byte: number): readonly number[] {
  const lower = foldByte(byte);
  return lower >= 0x61 && lower <= 0x7a ? [lower, lower & 0xdf] : [lower];
}

/** Offset of the window whose pairs stand least often in text, were bytes independent of each other. */
function rarestWindow(literal: Uint8Array): number {
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let offset = 0; offset <= Math.min(literal.length - windowBytes, furthestOffset); offset++) {
    const [one, two, three] = [0, 1, 2].map((index) => commonness(literal[offset + index] ?? 0));
    const score = (two ?? 0) * ((one ?? 0) + (three ?? 0));
    if (score >= least) continue;
    least = score;
    best = offset;
  }
  return best;
}

/** How often a byte stands in a thousand of ordinary text: pages, programs, JSON. */
function commonness(byte: number): number {
  const lower = foldByte(byte);
  if (lower === 0x20) return 130;
  if (lower >= 0x61 && lower <= 0x7a) return letters[lower - 0x61] ?? 1;
  if (lower >= 0x30 && lower <= 0x39) return 15;
  return common.includes(lower) ? 12 : 3;
}

/** From a to z. */
const letters = [55, 12, 30, 28, 85, 15, 15, 25, 55, 2, 6, 32, 20, 50, 55, 20, 1, 48, 52, 68, 22, 8, 12, 4, 12, 2];
const common = Buffer.from('"\'<>=/,.:;-\n');
