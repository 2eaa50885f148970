import { limits } from '../core/limits.ts';
import { attributeValues, type CanonicalName, canonicalName, isWithin } from './canonical-name.ts';
import type { NameConstraints, NameKind, RawName } from './extensions.ts';
import { isCanonicalHostName } from './host-name.ts';
import { ipOctets } from './ip-address.ts';
import { oids } from './oids.ts';

/** Every name of a certificate that constraints of a CA above it can be about, made ready to be compared. */
export interface ConstrainedNames {
  /** Lower case; a wildcard as it stands, and names that are no host names too: those break any constraint. */
  readonly dns: readonly string[];
  readonly ip: readonly Buffer[];
  readonly email: readonly string[];
  readonly uri: readonly string[];
  readonly directory: readonly CanonicalName[];
  readonly other: readonly Buffer[];
}

/** Constraints made ready: each subtree by its kind. */
export interface CompiledConstraints {
  readonly permitted: ConstrainedNames;
  readonly excluded: ConstrainedNames;
  readonly subtrees: number;
}

/** Collects the names of a certificate: subject, mail addresses in it, and subjectAltName. Throws DerError. */
export function constrainedNames(
  subject: Buffer,
  own: CanonicalName,
  alternative: readonly RawName[],
): ConstrainedNames {
  const names = namesByKind(alternative);
  // RFC 5280 section 4.2.1.10: the subject is a directory name, and old certificates carry mail addresses in it.
  const email = attributeValues(subject, oids.emailAddress).map(text);
  return {
    ...names,
    directory: own.parts.length === 0 ? names.directory : [own, ...names.directory],
    email: email.length === 0 ? names.email : [...names.email, ...email],
  };
}

/** Reads subtrees. Throws DerError; undefined when one is of a form that nothing can be compared with. */
export function compileConstraints({ permitted, excluded }: NameConstraints): CompiledConstraints | undefined {
  if (![...permitted, ...excluded].every(isUsable)) return undefined;
  return {
    permitted: namesByKind(permitted),
    excluded: namesByKind(excluded),
    subtrees: permitted.length + excluded.length,
  };
}

/**
 * Why constraints forbid a certificate with these names; undefined when they allow it. `verified` is the host that the
 * certificate is used for: exclusions are held against it too, for a wildcard may reach a name that is excluded
 * (`*.example.com` and `bad.example.com`, the class of CVE-2025-61727).
 */
export function constraintFault(
  { permitted, excluded, subtrees }: CompiledConstraints,
  names: ConstrainedNames,
  verified: string | undefined,
): string | undefined {
  const address = verified === undefined ? undefined : ipOctets(verified);
  const dns = verified === undefined || address !== undefined ? names.dns : [verified, ...names.dns];
  const held = { ...names, dns, ip: address === undefined ? names.ip : [address, ...names.ip] };
  if (subtrees * countOf(held) > limits.constraintComparisons)
    return 'more names and name constraints than are compared';
  for (const kind of kinds) {
    const fault = kindFault(kind, held, permitted, excluded);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

const kinds: readonly NameKind[] = ['dns', 'ip', 'email', 'uri', 'directory', 'other'];

function kindFault(
  kind: NameKind,
  names: ConstrainedNames,
  permitted: ConstrainedNames,
  excluded: ConstrainedNames,
): string | undefined {
  switch (kind) {
    case 'dns':
      return faultAmong(names.dns, permitted.dns, excluded.dns, coversHost, isHostOrWildcard);
    case 'ip':
      return faultAmong(names.ip, permitted.ip, excluded.ip, coversAddress, isAddress);
    case 'email':
      return faultAmong(names.email, permitted.email, excluded.email, coversMail, (name) => name.includes('@'));
    case 'uri':
      return faultAmong(names.uri, permitted.uri, excluded.uri, coversUri, (name) => hostOfUri(name) !== undefined);
    case 'directory':
      return faultAmong(names.directory, permitted.directory, excluded.directory, (tree, name) => isWithin(name, tree));
    case 'other':
      // Forms that cannot be compared: a certificate with one, below a constraint on one, cannot be judged.
      return faultAmong(
        names.other,
        permitted.other,
        excluded.other,
        () => true,
        () => false,
      );
  }
}

function faultAmong<Name>(
  names: readonly Name[],
  permitted: readonly Name[],
  excluded: readonly Name[],
  covers: (subtree: Name, name: Name) => boolean,
  isComparable: (name: Name) => boolean = () => true,
): string | undefined {
  if (names.length === 0 || (permitted.length === 0 && excluded.length === 0)) return undefined;
  for (const name of names) {
    if (!isComparable(name)) return 'a name that a CA of the chain constrains cannot be read';
    if (excluded.some((subtree) => covers(subtree, name))) return 'a CA of the chain is constrained away from the name';
    if (permitted.length > 0 && !permitted.some((subtree) => covers(subtree, name))) {
      return 'a CA of the chain is constrained to other names';
    }
  }
  return undefined;
}

function namesByKind(names: readonly RawName[]): ConstrainedNames {
  const of = (kind: NameKind): readonly Buffer[] => names.flatMap((name) => (name.kind === kind ? [name.octets] : []));
  return {
    dns: of('dns').map((octets) => text(octets).toLowerCase()),
    ip: of('ip'),
    email: of('email').map(text),
    uri: of('uri').map(text),
    directory: of('directory').map(canonicalName),
    other: of('other'),
  };
}

function countOf(names: ConstrainedNames): number {
  return kinds.reduce((sum, kind) => sum + names[kind].length, 0);
}

/** Whether a subtree can be compared: anything else would be a constraint that binds nobody. */
function isUsable({ kind, octets }: RawName): boolean {
  switch (kind) {
    case 'dns': {
      // The leading dot is not in RFC 5280, but CAs write it and mean what is below.
      const base = text(octets).toLowerCase().replace(/^\./, '');
      return base === '' || isCanonicalHostName(base);
    }
    case 'ip':
      return (octets.length === 8 || octets.length === 32) && isMask(octets.subarray(octets.length / 2));
    default:
      return true;
  }
}

/** Ones, then zeros (RFC 4632 section 5.1). */
function isMask(mask: Buffer): boolean {
  const bits = [...mask].map((octet) => octet.toString(2).padStart(8, '0')).join('');
  return !bits.includes('01');
}

function isHostOrWildcard(name: string): boolean {
  return isCanonicalHostName(name.startsWith('*.') ? name.slice(2) : name);
}

function isAddress(octets: Buffer): boolean {
  return octets.length === 4 || octets.length === 16;
}

/** RFC 5280 section 4.2.1.10: a host constraint covers itself and all below; a leading dot, only what is below. */
function coversHost(base: string, name: string): boolean {
  if (base === '') return true;
  if (base.startsWith('.')) return name.endsWith(base);
  return name === base || name.endsWith(`.${base}`);
}

/** An address constraint is the network's octets followed by its mask. */
function coversAddress(subtree: Buffer, address: Buffer): boolean {
  if (subtree.length !== address.length * 2) return false;
  return address.every((octet, index) => {
    const mask = subtree[address.length + index] ?? 0;
    return (octet & mask) === ((subtree[index] ?? 0) & mask);
  });
}

/** A mailbox, all mailboxes of a host, or with a leading dot those of every host below it. */
function coversMail(subtree: string, name: string): boolean {
  const at = name.lastIndexOf('@');
  const host = name.slice(at + 1).toLowerCase();
  const subtreeAt = subtree.lastIndexOf('@');
  if (subtreeAt >= 0) {
    return subtree.slice(0, subtreeAt) === name.slice(0, at) && subtree.slice(subtreeAt + 1).toLowerCase() === host;
  }
  return coversExactHost(subtree.toLowerCase(), host);
}

function coversUri(subtree: string, name: string): boolean {
  return coversExactHost(subtree.toLowerCase(), hostOfUri(name) ?? '');
}

/** Unlike a DNS constraint, one on mail or URIs covers what is below a host only where it begins with a dot. */
function coversExactHost(base: string, host: string): boolean {
  return base === '' || (base.startsWith('.') ? host.endsWith(base) : host === base);
}

/** The host of a URI; undefined when there is none, or an address, which section 4.2.1.10 has refused. */
function hostOfUri(uri: string): string | undefined {
  const host = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#]*@)?([^/?#:]+)(?::\d*)?(?:[/?#]|$)/i.exec(uri)?.[1]?.toLowerCase();
  return host !== undefined && isCanonicalHostName(host) ? host : undefined;
}

function text(octets: Buffer): string {
  return octets.toString('latin1');
}
