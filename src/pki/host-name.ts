/** A function that says whether a domain is a public suffix, below which strangers register names. */
export type PublicSuffixTest = (domain: string) => boolean;

/** Second-level labels under which two-letter country domains sell names (the common part of the public suffix list). */
const registryLabels = new Set(
  'ac biz co com ed edu gen go gob gouv gov govt gub id info ind int ltd me mil mod ne net nhs nic nom or org plc police pro sch'.split(
    ' ',
  ),
);

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
export function presentedHostName(
  bytes: Buffer,
  isPublicSuffix: PublicSuffixTest = likelyPublicSuffix,
): string | undefined {
  const text = bytes.toString('latin1').toLowerCase();
  if (!text.startsWith('*.')) return isCanonicalHostName(text) ? text : undefined;
  const base = text.slice(2);
  return isCanonicalHostName(base) && !isPublicSuffix(base) ? text : undefined;
}

/** The wildcard name that would cover a host name: its first label replaced. Undefined for a single label. */
export function wildcardOver(name: string): string | undefined {
  const dot = name.indexOf('.');
  return dot < 0 ? undefined : `*${name.slice(dot)}`;
}

/** The built-in rule: every top-level domain, and the common second levels of country domains such as co.uk. */
export function likelyPublicSuffix(domain: string): boolean {
  const labels = domain.split('.');
  const [second = '', top = ''] = labels;
  return labels.length < 2 || (labels.length === 2 && top.length === 2 && registryLabels.has(second));
}
