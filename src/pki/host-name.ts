import { isRegistrySuffix } from './public-suffix.ts';

/**
 * Whether a name is a canonical DNS host name: lower-case LDH labels (A-labels for IDN) and underscores, which real hosts
 * use. No trailing dot, and the last label is not a number, so that no IP address passes as a name.
 */
export function isCanonicalHostName(name: string): boolean {
  if (name.length === 0 || name.length > 253) return false;
  const labels = name.split('.');
  return labels.every((label) => /^[a-z0-9_][a-z0-9_-]{0,62}$/.test(label)) && !/^\d+$/.test(labels.at(-1) ?? '');
}

/**
 * A dNSName of a certificate made canonical, or undefined when no verified name may rest on it: bytes outside the host
 * name alphabet (NUL, blanks, commas, U-labels), or a wildcard other than one whole left-most label over a registrable
 * domain (RFC 9525 section 6.3; CA/B baseline requirements section 3.2.2.6).
 */
export function presentedHostName(bytes: Buffer): string | undefined {
  const text = bytes.toString('latin1').toLowerCase();
  if (!text.startsWith('*.')) return isCanonicalHostName(text) ? text : undefined;
  const base = text.slice(2);
  return isCanonicalHostName(base) && !isRegistrySuffix(base) ? text : undefined;
}

/** The wildcard name that would cover a host name: its first label replaced. Undefined for a single label. */
export function wildcardOver(name: string): string | undefined {
  const dot = name.indexOf('.');
  return dot < 0 ? undefined : `*${name.slice(dot)}`;
}
