/** The four bytes of an IPv4 address or the sixteen of an IPv6 address, in network order. */
export type IpBytes = Buffer;

/**
 * Parses the text of an IP address, strictly: dotted decimal with four parts and no leading zeros (none of inet_aton's
 * octal, hexadecimal or short forms), or RFC 4291 text without zone. IPv4-mapped IPv6 becomes IPv4.
 */
export function parseIp(text: string): IpBytes | undefined {
  if (text.length > longestIpv6) return undefined;
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

/** Writes an IP address in its canonical text form (RFC 5952 for IPv6). */
export function formatIp(bytes: IpBytes): string {
  return bytes.length === 4 ? bytes.join('.') : formatIpv6(bytes);
}

/** The canonical text of an IP address, or undefined when it is none. */
export function canonicalIp(text: string): string | undefined {
  const bytes = parseIp(text);
  return bytes === undefined ? undefined : formatIp(bytes);
}

/** `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255` */
const longestIpv6 = 45;
const groupPattern = /^[0-9a-f]{1,4}$/i;

/** By characters, because every flow has several addresses parsed: a tenth of the time of split and regular expressions. */
function parseIpv4(text: string): IpBytes | undefined {
  if (text.length > 15) return undefined;
  const bytes = Buffer.allocUnsafe(4);
  let part = 0;
  let digits = 0;
  let value = 0;
  for (let index = 0; index <= text.length; index += 1) {
    const code = index < text.length ? text.charCodeAt(index) : dot;
    if (code === dot) {
      if (digits === 0 || value > 255 || part > 3) return undefined;
      bytes[part] = value;
      part += 1;
      digits = 0;
      value = 0;
    } else {
      const digit = code - zero;
      const isLeadingZero = digits > 0 && value === 0;
      if (digit < 0 || digit > 9 || isLeadingZero || digits > 2) return undefined;
      value = value * 10 + digit;
      digits += 1;
    }
  }
  return part === 4 ? bytes : undefined;
}

const dot = 0x2e;
const zero = 0x30;

function parseIpv6(text: string): IpBytes | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [front = '', back] = halves;
  const head = groupsOf(front, back === undefined);
  const tail = back === undefined ? [] : groupsOf(back, true);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 16 - head.length - tail.length;
  // `::` stands for at least one group (RFC 4291 section 2.2 allows one or more).
  if (back === undefined ? missing !== 0 : missing < 2) return undefined;
  const bytes = Buffer.from([...head, ...new Array<number>(missing).fill(0), ...tail]);
  return isMapped(bytes) ? bytes.subarray(12) : bytes;
}

/** The bytes of a run of groups; the last may be a dotted quad where `quad` allows it. */
function groupsOf(text: string, quad: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [index, group] of groups.entries()) {
    if (groupPattern.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
      continue;
    }
    const ipv4 = quad && index === groups.length - 1 ? parseIpv4(group) : undefined;
    if (ipv4 === undefined) return undefined;
    bytes.push(...ipv4);
  }
  return bytes;
}

function isMapped(bytes: Buffer): boolean {
  return bytes.readUIntBE(0, 6) === 0 && bytes.readUIntBE(6, 6) === 0xffff;
}

function formatIpv6(bytes: Buffer): string {
  const groups: number[] = [];
  for (let offset = 0; offset < 16; offset += 2) groups.push(bytes.readUInt16BE(offset));
  const { start, length } = longestZeroRun(groups);
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  if (length < 2) return text(groups);
  return `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`;
}

/** RFC 5952 section 4.2.3: the longest run is shortened, the first of equals. */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let length = 0;
  for (const [index, group] of groups.entries()) {
    length = group === 0 ? length + 1 : 0;
    if (length > best.length) best = { start: index - length + 1, length };
  }
  return best;
}
