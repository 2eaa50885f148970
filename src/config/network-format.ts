import { parseCidr } from '../codec/cidr.ts';
import { canonicalHostPattern } from '../codec/host.ts';
import { canonicalIp, formatIp } from '../codec/ip-address.ts';
import type { ListenAddress } from '../core/policy.ts';
import type { ScannerService } from '../core/scanner.ts';
import { type Format, value, wrong } from './format.ts';

interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** An address to listen on. Port 0 lets the system choose. */
export const listenAddress: Format<ListenAddress> = {
  expected: 'an IP address and a port such as "127.0.0.1:8080" or "[::1]:8080"',
  pattern: '^([0-9.]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5}$',
  parse(text) {
    const parts = splitPort(text);
    if (parts === undefined) return wrong(`must be ${this.expected}`);
    const ip = canonicalIp(parts.host);
    if (ip === undefined) return wrong(`must be ${this.expected}: "${parts.host}" is no IP address`);
    if (parts.port > 65_535) return wrong(`port ${parts.port} is above 65535`);
    return value({ ip, port: parts.port });
  },
};

/** A host and port to connect to. */
export const endpoint: Format<HostAndPort> = {
  expected: 'a host and a port such as "10.0.0.5:443", "shop.example:443" or "[2001:db8::5]:443"',
  pattern: '^(\\[[0-9A-Fa-f:.]+\\]|[^\\s:/@*]+):[0-9]{1,5}$',
  parse(text) {
    const parts = splitPort(text);
    if (parts === undefined) return wrong(`must be ${this.expected}`);
    const host = canonicalIp(parts.host) ?? canonicalName(parts.host);
    if (host === undefined) return wrong(`"${parts.host}" is neither a host name nor an IP address`);
    if (parts.port === 0 || parts.port > 65_535) return wrong(`port ${parts.port} is not between 1 and 65535`);
    return value({ host, port: parts.port });
  },
};

/** A service of a content scanner. What is no part of it, such as credentials, is not understood. */
export const icapUrl: Format<ScannerService> = {
  expected: 'a URL such as "icap://127.0.0.1:1344/avscan"',
  pattern: "^icap://(\\[[0-9A-Fa-f:.]+\\]|[^\\s:/?#@*]+)(:[0-9]{1,5})?/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*$",
  parse(text) {
    const [, authority, path] = /^icap:\/\/([^/]+)(\/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)$/.exec(text) ?? [];
    if (authority === undefined || path === undefined) return wrong(`must be ${this.expected}`);
    const named = /:\d+$/.test(authority) ? authority : `${authority}:1344`;
    const address = endpoint.parse(named);
    if (address.kind === 'wrong') return wrong(address.message);
    return value({ ...address.value, url: `icap://${named}${path}`, authority: named });
  },
};

/** A host name; its value is in lower case, as an A-label (RFC 5890). */
export const hostName: Format<string> = {
  expected: 'a host name such as "shop.example"',
  pattern: '^[^\\s:/@*]+$',
  parse(text) {
    const name = canonicalName(text);
    return name === undefined ? wrong(`must be ${this.expected}`) : value(name);
  },
};

/** A host name, all names below one, an IP address, or `*`. */
export const hostPattern: Format<string> = {
  expected: 'a host such as "shop.example", all hosts below one such as "*.shop.example", or "*" for every host',
  pattern: '^(\\*|(\\*\\.)?[^\\s/@*]+)$',
  parse(text) {
    if (text.includes('/')) return wrong('must be a host alone, without scheme and path');
    if (/.\*|^\*[^.]/.test(text)) return wrong('"*" may only stand alone or as the whole first label: "*.example"');
    const pattern = canonicalHostPattern(text);
    return pattern === undefined ? wrong(`must be ${this.expected}`) : value(pattern);
  },
};

/** A block of addresses; a single address is a block of one. */
export const cidr: Format<string> = {
  expected: 'an address block such as "10.1.0.0/24", "2001:db8::/32" or "10.1.0.5"',
  pattern: '^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$',
  parse(text) {
    const block = parseCidr(text);
    if (block === undefined) return wrong(`must be ${this.expected}`);
    const [address = '', prefix] = text.split('/');
    const first = addressText(block.first, block.family);
    // Host bits that are set are a slip of the pen: the block meant may be smaller or larger than the one written.
    if (canonicalIp(address) !== first) return wrong(`has bits set beyond /${prefix}: write "${first}/${prefix}"`);
    const width = block.family === 4 ? 32 : 128;
    return value(`${first}/${width - bitsOf(block.last - block.first)}`);
  },
};

/** An operator may write a name in Unicode; what this gives is what clients and certificates name. */
function canonicalName(text: string): string | undefined {
  const pattern = text.includes('*') ? undefined : canonicalHostPattern(text);
  return pattern === undefined || canonicalIp(pattern) !== undefined ? undefined : pattern;
}

function splitPort(text: string): HostAndPort | undefined {
  const [, bracketed, bare, port] = /^(?:\[([^\]]*)\]|([^:[]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed?.includes(':') ? bracketed : bare;
  return host === undefined ? undefined : { host, port: Number(port) };
}

function addressText(bits: bigint, family: 4 | 6): string {
  const bytes = family === 4 ? 4 : 16;
  return formatIp(Buffer.from(bits.toString(16).padStart(bytes * 2, '0'), 'hex'));
}

function bitsOf(mask: bigint): number {
  return mask === 0n ? 0 : mask.toString(2).length;
}
