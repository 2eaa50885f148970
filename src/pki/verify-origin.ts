import type { X509Certificate } from 'node:crypto';
import { limits } from '../core/limits.ts';
import type { OriginException } from '../core/policy.ts';
import type { OriginIdentity, OriginVerification, SubjectName } from '../core/tls.ts';
import { isCanonicalHostName, type PublicSuffixTest, wildcardOver } from './host-name.ts';
import { ipOctets, ipText } from './ip-address.ts';
import { constraintFault } from './name-constraints.ts';
import { type CertificateFault, type OriginCertificate, originCertificateOf } from './origin-certificate.ts';

export interface OriginCheck {
  /** Canonical host name (lower-case A-labels) or IP address that was asked for. */
  readonly name: string;
  readonly peer: X509Certificate;
  /** Issuers of `peer`, nearest first; what came with it in the handshake when left out. */
  readonly chain?: readonly X509Certificate[];
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** What policy forgives this origin. */
  readonly exceptions?: OriginException['allow'];
  /** Public suffixes beyond the built-in rule, below which no wildcard is believed. */
  readonly isPublicSuffix?: PublicSuffixTest;
}

/**
 * Decides who the origin is, once OpenSSL has verified that its chain leads to a trusted root and that the origin holds
 * the key. Identity rests on subjectAltName alone (RFC 9525), never on the subject, and on rules of our own: OpenSSL and
 * Node accept CA certificates as servers, partial wildcards, X.509 v1 and the subject's common name.
 */
export function verifyOrigin(check: OriginCheck): OriginVerification {
  const leaf = originCertificateOf(check.peer);
  const chain = (check.chain ?? issuersOf(check.peer)).map(originCertificateOf);
  const fault = faultOf(check, leaf, chain);
  if (fault !== undefined) return { kind: 'failed', ...fault, certificate: leaf.facts };
  return { kind: 'verified', identity: identityOf(check.name, leaf, chain) };
}

/** Whether names of a certificate cover a canonical host name or IP address, by the rules of verifyOrigin. */
export function coversName(names: readonly SubjectName[], name: string): boolean {
  const wildcard = wildcardOver(name);
  const address = ipOctets(name);
  const text = address === undefined ? undefined : ipText(address);
  return names.some(({ kind, value }) =>
    text === undefined ? kind === 'dns' && (value === name || value === wildcard) : kind === 'ip' && value === text,
  );
}

/** The only place where the brand is given. */
function identityOf(name: string, leaf: OriginCertificate, chain: readonly OriginCertificate[]): OriginIdentity {
  return {
    name,
    certificate: leaf.facts,
    chainFingerprints: [leaf, ...chain].map(({ facts }) => facts.fingerprint256),
  } as unknown as OriginIdentity;
}

function issuersOf(peer: X509Certificate): readonly X509Certificate[] {
  const issuers: X509Certificate[] = [];
  for (let issuer = peer.issuerCertificate; issuer !== undefined; issuer = issuer.issuerCertificate) {
    // A root is its own issuer, and the walk is over.
    if (issuers.length >= limits.chainCertificates || issuer.raw.equals((issuers.at(-1) ?? peer).raw)) break;
    issuers.push(issuer);
  }
  return issuers;
}

function faultOf(
  check: OriginCheck,
  leaf: OriginCertificate,
  chain: readonly OriginCertificate[],
): CertificateFault | undefined {
  return (
    leaf.fault ??
    timeFault(leaf, check.now) ??
    purposeFault(leaf, check.exceptions ?? []) ??
    nameFault(leaf, check.name, check.isPublicSuffix) ??
    chain.map((issuer) => issuerFault(issuer, check.name)).find((fault) => fault !== undefined)
  );
}

/** OpenSSL compared with its own clock at the handshake; this compares with the caller's. */
function timeFault({ facts }: OriginCertificate, now: number): CertificateFault | undefined {
  if (now < facts.notBefore) return { code: 'ORIGIN_CERT_NOT_YET_VALID', detail: `valid from ${iso(facts.notBefore)}` };
  // notAfter names the last second that is valid (RFC 5280 section 4.1.2.5), and that second is valid to its end.
  if (now >= facts.notAfter + 1_000) return { code: 'ORIGIN_CERT_EXPIRED', detail: `expired ${iso(facts.notAfter)}` };
  return undefined;
}

function purposeFault(leaf: OriginCertificate, exceptions: OriginException['allow']): CertificateFault | undefined {
  // Whoever accepts an origin without a chain of trust accepts what `openssl req -x509` makes: a CA that serves.
  if (exceptions.includes('untrusted') && leaf.leafFault?.code !== 'ORIGIN_CERT_INVALID') return undefined;
  if (leaf.leafFault !== undefined) return leaf.leafFault;
  if (!leaf.lacksExtendedKeyUsage || exceptions.includes('missing-eku')) return undefined;
  return { code: 'ORIGIN_CERT_PURPOSE', detail: 'no extended key usage' };
}

function nameFault(
  leaf: OriginCertificate,
  name: string,
  isPublicSuffix: PublicSuffixTest | undefined,
): CertificateFault | undefined {
  const octets = ipOctets(name);
  if (octets !== undefined) return leaf.presented.has(ipText(octets) ?? '') ? undefined : mismatch(leaf, name);
  if (!isCanonicalHostName(name)) return { code: 'ORIGIN_CERT_NAME_MISMATCH', detail: 'the name is not canonical' };
  if (leaf.presented.has(name)) return undefined;
  const wildcard = wildcardOver(name);
  if (wildcard === undefined || !leaf.presented.has(wildcard)) return mismatch(leaf, name);
  return isPublicSuffix?.(wildcard.slice(2)) ? mismatch(leaf, name) : undefined;
}

function mismatch(leaf: OriginCertificate, name: string): CertificateFault {
  const names = leaf.facts.names;
  const some = names.slice(0, 5).map(({ value }) => value);
  const covered = names.length === 0 ? 'no usable name' : `${some.join(', ')}${names.length > 5 ? ', ...' : ''}`;
  return { code: 'ORIGIN_CERT_NAME_MISMATCH', detail: `${name} is not covered by ${covered}` };
}

function issuerFault(issuer: OriginCertificate, name: string): CertificateFault | undefined {
  if (issuer.fault !== undefined && !isOldRoot(issuer)) {
    return { code: issuer.fault.code, detail: `${issuer.fault.detail} in the chain` };
  }
  const detail = issuer.nameConstraints === undefined ? undefined : constraintFault(issuer.nameConstraints, name);
  return detail === undefined ? undefined : { code: 'ORIGIN_CERT_INVALID', detail };
}

/** A root of X.509 v1 is trusted by its key, not by what it says: the trust store decides about it. */
function isOldRoot(issuer: OriginCertificate): boolean {
  return issuer.facts.selfSigned && issuer.fault?.code === 'ORIGIN_CERT_INVALID';
}

function iso(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}
