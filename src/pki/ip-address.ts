import { isIPv4, isIPv6 } from 'node:net';

/** Octets of an IP address in text form: 4 or 16; undefined for anything else, zone identifiers included. */
export function ipOctets(text: string): Buffer | undefined {
  if (isIPv4(text)) return Buffer.from(text.split('.').map(Number));
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const [head = '', tail] = withoutDottedQuad(text).split('::');
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const gap = new Array<number>(8 - left.length - right.length).fill(0);
  return Buffer.from([...left, ...gap, ...right].flatMap((group) => [group >> 8, group & 0xff]));
}

/** Canonical text of 4 or 16 octets (RFC 5952 for IPv6); undefined for any other number of octets. */
export function ipText(octets: Buffer): string | undefined {
  if (octets.length === 4) return octets.join('.');
  if (octets.length !== 16) return undefined;
  const words = Array.from({ length: 8 }, (_, index) => octets.readUInt16BE(index * 2));
  const gap = longestZeroRun(words);
  const text = (part: readonly number[]): string => part.map((word) => word.toString(16)).join(':');
  // One zero group alone is written out (RFC 5952 section 4.2.2).
  if (gap.length < 2) return text(words);
  return `${text(words.slice(0, gap.start))}::${text(words.slice(gap.start + gap.length))}`;
}

function withoutDottedQuad(text: string): string {
  const quad = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (quad === null) return text;
  const [, head = '', ...octets] = quad;
  const [a = 0, b = 0, c = 0, d = 0] = octets.map(Number);
  return `${head}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}

function groups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

function longestZeroRun(words: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < words.length; start++) {
    let length = 0;
    while (words[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}
