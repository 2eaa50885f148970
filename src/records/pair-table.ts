import { sensitiveLiterals } from '../core/sensitive.ts';

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
}

/** How often a letter stands in a thousand of English; marks are guessed. */
const frequencies: Readonly<Record<string, number>> = {
  ...{ a: 82, b: 15, c: 28, d: 43, e: 127, f: 22, g: 20, h: 61, i: 70, j: 2, k: 8, l: 40, m: 24, n: 67, o: 75, p: 19 },
  ...{ q: 1, r: 60, s: 63, t: 91, u: 28, v: 10, w: 24, x: 2, y: 20, z: 1, ' ': 150, '-': 40, '.': 40, '/': 40 },
};

/** By the two bytes of the pair, folded. */
const candidates: (Candidate[] | undefined)[] = new Array(65_536).fill(undefined);
for (const literal of sensitiveLiterals) addLiteral(Buffer.from(literal));

/** Flags of every pair, by its value as a number of 16 bits in the order of this machine. */
export const pairs = pairTable();

/** Whether one of the literals with the pair at `index` stands there as a whole. */
export function isLiteralAt(bytes: Uint8Array, index: number, end: number): boolean {
  const found = candidates[keyOf(bytes[index] ?? 0, bytes[index + 1] ?? 0)];
  if (found === undefined) return false;
  for (const { literal, offset } of found) {
    const start = index - offset;
    if (start >= 0 && start + literal.length <= end && standsAt(bytes, start, literal)) return true;
  }
  return false;
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
    let rarest = first;
    for (let offset = first; offset + 2 <= literal.length; offset += 2) {
      if (frequencyAt(literal, offset) < frequencyAt(literal, rarest)) rarest = offset;
    }
    const key = keyOf(literal[rarest] ?? 0, literal[rarest + 1] ?? 0);
    candidates[key] = [...(candidates[key] ?? []), { literal, offset: rarest }];
  }
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
      const literal = candidates[keyOf(first, second)] === undefined ? 0 : literalFlag;
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
