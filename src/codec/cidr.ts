import { parseIp } from './ip-address.ts';

/** A block of addresses: `10.1.0.0/24`, `2001:db8::/32`, or one address. */
export interface Cidr {
  readonly family: 4 | 6;
  /** First and last address of the block. */
  readonly first: bigint;
  readonly last: bigint;
}

/**
 * Parses a block of addresses; a bare address is a block of one. Bits beyond the prefix are ignored, as routers and
 * proxies do. A block of IPv4-mapped addresses is IPv4, because all addresses here are written so.
 */
export function parseCidr(text: string): Cidr | undefined {
  const [address = '', prefix, ...more] = text.split('/');
  const bytes = parseIp(address);
  if (bytes === undefined || more.length > 0) return undefined;
  const width = bytes.length * 8;
  const writtenWidth = address.includes(':') ? 128 : 32;
  if (prefix !== undefined && !prefixPattern.test(prefix)) return undefined;
  const length = width - writtenWidth + Number(prefix ?? writtenWidth);
  if (length < 0 || length > width) return undefined;
  const hostBits = BigInt(width - length);
  const first = (numberOf(bytes) >> hostBits) << hostBits;
  return { family: bytes.length === 4 ? 4 : 6, first, last: first | ((1n << hostBits) - 1n) };
}

/** Compiles blocks into a test of addresses: a binary search, however many blocks there are. Throws on an invalid block. */
export function compileCidrs(cidrs: readonly string[]): (ip: string) => boolean {
  const blocks = cidrs.map((text) => {
    const block = parseCidr(text);
    if (block === undefined) throw new RangeError(`not a block of addresses: ${text}`);
    return block;
  });
  const ipv4 = mergedRanges(blocks.filter((block) => block.family === 4));
  const ipv6 = mergedRanges(blocks.filter((block) => block.family === 6));
  if (blocks.length === 0) return () => false;
  return (ip) => {
    const bytes = parseIp(ip);
    return bytes !== undefined && holds(bytes.length === 4 ? ipv4 : ipv6, numberOf(bytes));
  };
}

const prefixPattern = /^(?:0|[1-9][0-9]{0,2})$/;

type Range = Pick<Cidr, 'first' | 'last'>;

function numberOf(bytes: Buffer): bigint {
  if (bytes.length === 4) return BigInt(bytes.readUInt32BE(0));
  return (bytes.readBigUInt64BE(0) << 64n) | bytes.readBigUInt64BE(8);
}

/** Sorted and without overlap, so that the only range that can hold an address is the last that starts at or before it. */
function mergedRanges(blocks: readonly Range[]): readonly Range[] {
  const sorted = blocks.toSorted((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const merged: Range[] = [];
  for (const block of sorted) {
    const last = merged.at(-1);
    if (last === undefined || block.first > last.last) merged.push(block);
    else if (block.last > last.last) merged[merged.length - 1] = { first: last.first, last: block.last };
  }
  return merged;
}

function holds(ranges: readonly Range[], value: bigint): boolean {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const range = ranges[middle];
    if (range === undefined || value < range.first) high = middle;
    else if (value > range.last) low = middle + 1;
    else return true;
  }
  return false;
}
