/** A set of byte values: 256 flags. */
export type ByteSet = Uint8Array;

/** The set of the given bytes and ranges, both ends included. */
export function byteSet(...members: readonly (number | readonly [from: number, to: number])[]): ByteSet {
  const set = new Uint8Array(256);
  for (const member of members) {
    if (typeof member === 'number') set[member] = 1;
    else set.fill(1, member[0], member[1] + 1);
  }
  return set;
}

/** All bytes that are not in the set. */
export function complement(set: ByteSet): ByteSet {
  return set.map((flag) => 1 - flag);
}

/** The bytes that are in either set. */
export function union(a: ByteSet, b: ByteSet): ByteSet {
  return a.map((flag, byte) => flag | (b[byte] ?? 0));
}

/** The set with both cases of every ASCII letter in it. */
export function foldCase(set: ByteSet): ByteSet {
  const folded = set.slice();
  for (let lower = 0x61; lower <= 0x7a; lower++) {
    const either = (set[lower] ?? 0) | (set[lower - 0x20] ?? 0);
    folded[lower] = either;
    folded[lower - 0x20] = either;
  }
  return folded;
}

export const digits = byteSet([0x30, 0x39]);
/** What `\w` and `\b` call a word: ASCII letters, digits and the underscore. */
export const wordBytes = byteSet([0x30, 0x39], [0x41, 0x5a], 0x5f, [0x61, 0x7a]);
export const spaces = byteSet([0x09, 0x0d], 0x20);
/** What `.` is: any byte that ends no line. */
export const lineBytes = complement(byteSet(0x0a, 0x0d));
