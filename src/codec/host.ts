import { domainToASCII } from 'node:url';
import { canonicalIp } from './ip-address.ts';

export { compileCidrs } from './cidr.ts';

/**
 * The canonical form of a host from CONNECT, SOCKS, a Host header or a URL: a lower-case host name, or the canonical text
 * of an IP address without brackets. Undefined for anything else, and for what inet_aton would take for an address but
 * other programs for a name (`127.1`, `0x7f.1`, `2130706433`): two readings of one host are a way around policy.
 */
export function canonicalHost(host: string): string | undefined {
  if (host.startsWith('[')) {
    return host.endsWith(']') && host.includes(':') ? canonicalIp(host.slice(1, -1)) : undefined;
  }
  return canonicalIp(host) ?? canonicalHostName(host);
}

/**
 * The canonical form of a DNS host name: LDH labels (RFC 5890 section 2.3.1) of 1 to 63 bytes, 253 in all, lower case,
 * one trailing dot removed. Underscores are allowed, because hosts use them. IP addresses are not host names.
 */
export function canonicalHostName(name: string): string | undefined {
  const bare = name.endsWith('.') ? name.slice(0, -1) : name;
  if (bare.length > 253 || !hostNamePattern.test(bare) || endsInNumber(bare)) return undefined;
  return bare.toLowerCase();
}

/**
 * The canonical form of a host pattern: `example.com`, `*.example.com` (every subdomain at any depth, not the domain
 * itself), `*` (every host), or an IP address. An operator may write a name in Unicode. Undefined when it is none of these.
 */
export function canonicalHostPattern(pattern: string): string | undefined {
  if (pattern === '*') return pattern;
  const wildcard = pattern.startsWith('*.');
  const written = wildcard ? pattern.slice(2) : pattern;
  const ascii = nonAscii.test(written) ? domainToASCII(written) : written;
  const host = wildcard ? canonicalHostName(ascii) : canonicalHost(ascii);
  if (host === undefined) return undefined;
  return wildcard ? `*.${host}` : host;
}

/** Whether a canonical pattern covers a canonical host. */
export function matchesHostPattern(pattern: string, host: string): boolean {
  if (pattern === '*') return true;
  if (!pattern.startsWith('*.')) return pattern === host;
  return host.length >= pattern.length && host.endsWith(pattern.slice(1));
}

/**
 * Compiles patterns into a test of canonical hosts that costs one look-up per label, however many patterns there are.
 * Throws on an invalid pattern.
 */
export function compileHostPatterns(patterns: readonly string[]): (host: string) => boolean {
  const canonical = patterns.map((pattern) => {
    const form = canonicalHostPattern(pattern);
    if (form === undefined) throw new RangeError(`not a host pattern: ${pattern}`);
    return form;
  });
  if (canonical.length === 0) return () => false;
  if (canonical.includes('*')) return () => true;
  const exact = new Set(canonical.filter((pattern) => !pattern.startsWith('*.')));
  const parents = new Set(canonical.filter((pattern) => pattern.startsWith('*.')).map((pattern) => pattern.slice(2)));
  return (host) => exact.has(host) || (parents.size > 0 && hasParentIn(parents, host));
}

const hostNamePattern = /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;
const numberPattern = /(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$/i;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is all of ASCII.
const nonAscii = /[^\x00-\x7f]/;

/** A name whose last label is a number would be read as an IPv4 address by half of the programs (WHATWG URL, section 3.5). */
function endsInNumber(name: string): boolean {
  return numberPattern.test(name);
}

function hasParentIn(parents: ReadonlySet<string>, host: string): boolean {
  // A leading dot is not a label: `*.example.com` does not cover `.example.com`.
  for (let dot = host.indexOf('.', 1); dot > 0; dot = host.indexOf('.', dot + 1)) {
    if (parents.has(host.slice(dot + 1))) return true;
  }
  return false;
}
