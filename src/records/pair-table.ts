import { sensitiveLiterals } from '../core/sensitive.ts';
import { type ShortName, shortNames } from '../core/short-secret.ts';

/**
 * What a scan that looks at two bytes at a time has to know of each of the 65 536 pairs. Wherever a literal stands, an
 * aligned pair of it is seen: of the pairs at its even and of those at its odd offsets, the one that is rarest in text
 * calls for a look at the whole literal.
 */

/** How many of the two are digits. */
export const digitsMask = 0x03;
/** Both are digits or stand between the digits of one number. */
export const numberFlag = 0x04;
/** One is a control character, which no text has. */
export const controlFlag = 0x08;
/** Some literal is found by this pair. */
export const literalFlag = 0x10;

interface Candidate {
  /** Bytes of the literal, folded. */
  readonly literal: Uint8Array;
  /** Where in the literal the pair stands. */
  readonly offset: number;
  /** Bytes that may go before it and follow it, by their value; undefined where any may. */
  readonly edges?: { readonly before: Uint8Array; readonly behind: Uint8Array };
}

/** How often a letter stands in a thousand of English; marks are guessed. */
const frequencies: Readonly<Record<string, number>> = {
  ...{ a: 82, b: 15, c: 28, d: 43, e: 127, f: 22, g: 20, h: 61, i: 70, j: 2, k: 8, l: 40, m: 24, n: 67, o: 75, p: 19 },
  ...{ q: 1, r: 60, s: 63, t: 91, u: 28, v: 10, w: 24, x: 2, y: 20, z: 1, ' ': 150, '-': 40, '.': 40, '/': 40 },
};

interface Look {
  /** By the byte behind the pair: 0 where no candidate goes on with it, which is known without a look at each. */
  readonly next: Uint8Array;
  readonly candidates: readonly Candidate[];
}

/** By the two bytes of the pair, folded. */
const looks: (Look | undefined)[] = new Array(65_536).fill(undefined);
for (const literal of sensitiveLiterals) addLiteral(Buffer.from(literal));
for (const kind of shortNames) for (const name of kind.names) addShortName(name, kind);

/** Flags of every pair, by its value as a number of 16 bits in the order of this machine. */
export const pairs = pairTable();

/** Whether one of the literals with the pair at `index` stands there as a whole. */
export function isLiteralAt(bytes: Uint8Array, index: number, end: number): boolean {
  const look = looks[keyOf(bytes[index] ?? 0, bytes[index + 1] ?? 0)];
  if (look === undefined || look.next[bytes[index + 2] ?? 0] === 0) return false;
  for (const { literal, offset, edges } of look.candidates) {
    const start = index - offset;
    if (start < 0 || start + literal.length > end || !standsAt(bytes, start, literal)) continue;
    if (edges === undefined || standsBetween(bytes, start, start + literal.length, end, edges)) return true;
  }
  return false;
}

function standsBetween(
  bytes: Uint8Array,
  start: number,
  behind: number,
  end: number,
  edges: NonNullable<Candidate['edges']>,
): boolean {
  if (behind >= end || edges.behind[bytes[behind] ?? 0] === 0) return false;
  return start === 0 || edges.before[bytes[start - 1] ?? 0] === 1;
}

function standsAt(bytes: Uint8Array, start: number, literal: Uint8Array): boolean {
  for (let index = 0; index < literal.length; index += 1) {
    if (folded(bytes[start + index] ?? 0) !== literal[index]) return false;
  }
  return true;
}

/** Letters without case; a mark may be taken for another one, which only costs a look. */
function folded(byte: number): number {
  return byte | 0x20;
}

function keyOf(first: number, second: number): number {
  return (folded(first) << 8) | folded(second);
}

function addLiteral(bytes: Buffer): void {
  const literal = Uint8Array.from(bytes, folded);
  for (const first of [0, 1]) {
    const offset = rarestPair(literal, first);
    addCandidate(literal[offset] ?? 0, literal[offset + 1] ?? 0, { literal, offset });
  }
}

/**
 * A name of three letters has one pair alone in one of the alignments, and that is frequent: there the byte before it makes
 * a rare one, as the byte behind it does in the other.
 */
function addShortName(name: string, { before, behind }: ShortName): void {
  const literal = Uint8Array.from(Buffer.from(name), folded);
  const edges = { before: setOf(before), behind: setOf(behind) };
  const last = literal.length - 1;
  if (literal.length % 2 === 0) {
    for (const first of [0, 1]) {
      const offset = rarestPair(literal, first);
      addCandidate(literal[offset] ?? 0, literal[offset + 1] ?? 0, { literal, offset, edges });
    }
    return;
  }
  for (const byte of before) addCandidate(byte.charCodeAt(0), literal[0] ?? 0, { literal, offset: -1, edges });
  for (const byte of behind) addCandidate(literal[last] ?? 0, byte.charCodeAt(0), { literal, offset: last, edges });
}

function setOf(characters: readonly string[]): Uint8Array {
  const set = new Uint8Array(256);
  for (const character of characters) {
    for (const each of [character, character.toUpperCase()]) set[each.charCodeAt(0)] = 1;
  }
  return set;
}

/** Offset of the rarest of the pairs at every second offset from the first on. */
function rarestPair(literal: Uint8Array, first: number): number {
  let rarest = first;
  for (let offset = first; offset + 2 <= literal.length; offset += 2) {
    if (frequencyAt(literal, offset) < frequencyAt(literal, rarest)) rarest = offset;
  }
  return rarest;
}

function addCandidate(first: number, second: number, candidate: Candidate): void {
  const key = keyOf(first, second);
  const { literal, offset } = candidate;
  const before = looks[key];
  const next = before?.next ?? new Uint8Array(256);
  for (let byte = 0; byte < 256; byte += 1) {
    if (offset + 2 >= literal.length || folded(byte) === literal[offset + 2]) next[byte] = 1;
  }
  looks[key] = { next, candidates: [...(before?.candidates ?? []), candidate] };
}

function frequencyAt(literal: Uint8Array, offset: number): number {
  return frequencyOf(literal[offset]) + frequencyOf(literal[offset + 1]);
}

function frequencyOf(byte: number | undefined): number {
  return frequencies[String.fromCharCode(byte ?? 0)] ?? 20;
}

function pairTable(): Uint8Array {
  const table = new Uint8Array(65_536);
  const bytes = new Uint8Array(2);
  const view = new Uint16Array(bytes.buffer);
  for (let first = 0; first < 256; first += 1) {
    for (let second = 0; second < 256; second += 1) {
      bytes.set([first, second]);
      const literal = looks[keyOf(first, second)] === undefined ? 0 : literalFlag;
      table[view[0] ?? 0] = flagsOf(String.fromCharCode(first), String.fromCharCode(second)) | literal;
    }
  }
  return table;
}

function flagsOf(first: string, second: string): number {
  const digits = Number(isDigit(first)) + Number(isDigit(second));
  return (
    digits |
    (inNumber(first) && inNumber(second) ? numberFlag : 0) |
    (isControl(first) || isControl(second) ? controlFlag : 0)
  );
}

function isDigit(char: string): boolean {
  return char >= '0' && char <= '9';
}

/** Plain separators and those in percent escapes: `%20`, `%2B`, `%2D`. */
function inNumber(char: string): boolean {
  return isDigit(char) || ' +-%bBdD'.includes(char);
}

function isControl(char: string): boolean {
  return (char < ' ' && !'\t\n\r'.includes(char)) || char === '\x7f';
}
