import type { X509Certificate } from 'node:crypto';
import { limits } from '../core/limits.ts';
import type { OriginException } from '../core/policy.ts';
import type { CertificateFacts, OriginIdentity, OriginVerification } from '../core/tls.ts';
import { type CertificateFault, invalid } from './certificate-fault.ts';
import { deceptionFault } from './deception.ts';
import { isCanonicalHostName, wildcardOver } from './host-name.ts';
import { ipOctets, ipText } from './ip-address.ts';
import { timeFault } from './issuer-rules.ts';
import { oids } from './oids.ts';
import { type OriginCertificate, originCertificateOf } from './origin-certificate.ts';
import { type PathOutcome, type RevocationCheck, searchPath } from './path-search.ts';
import { isPlatformSuffix } from './public-suffix.ts';
import type { TrustAnchors } from './trust-anchors.ts';

export interface ValidationRequest {
  /** What the origin sent, its own certificate first, the rest in whatever order. */
  readonly chain: readonly X509Certificate[];
  /** Certificates from elsewhere that may complete the chain; nobody vouches for them. */
  readonly fetched?: readonly X509Certificate[];
  readonly roots: TrustAnchors;
  /** The gateway's own authorities, from which no origin is believed. */
  readonly own?: TrustAnchors | undefined;
  /** Canonical host name (lower-case A-labels) or IP address that was asked for. */
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly policy: ValidationPolicy;
  /** What CRLs and OCSP answers say of each certificate of a path, made of them by pki/revocation. */
  readonly revocation?: RevocationCheck | undefined;
  /** OpenSSL has verified what the origin sent against these roots, in the handshake that this request is about. */
  readonly verifiedByOpenssl?: boolean;
}

export interface ValidationPolicy {
  /** What policy forgives this origin. */
  readonly exceptions: OriginException['allow'];
  /** CAs between leaf and root, those that issued themselves not counted. */
  readonly maxIntermediates?: number;
}

export type Validation =
  | (Extract<OriginVerification, { kind: 'verified' }> & {
      /** Leaf first, the trusted certificate last; the leaf alone where policy accepts an untrusted one. */
      readonly path: readonly X509Certificate[];
      /** There was more than one way to a root, or the origin did not send all of it: another search may have failed. */
      readonly branched: boolean;
    })
  | (Extract<OriginVerification, { kind: 'failed' }> & {
      /** Where issuers that were missing can be had. */
      readonly missingFrom: readonly string[];
    });

/**
 * Decides who the origin is. It builds the path to a trusted root itself (RFC 5280 section 6, RFC 4158), since OpenSSL
 * gives up when the first of several paths fails, and holds it against rules of our own: identity rests on subjectAltName
 * alone (RFC 9525), a CA is no server, no key or signature of the path is weak. Pure: the same request, the same answer.
 */
export function validate(request: ValidationRequest): Validation {
  const { chain, now, policy, name } = request;
  const [x509] = chain;
  if (x509 === undefined) return refused(invalid('no certificate'), undefined);
  const leaf = originCertificateOf(x509);
  const fault =
    chain.length > limits.chainCertificates
      ? invalid('the origin sent more certificates than are looked at')
      : (deceptionFault(chain, request.own) ?? leaf.fault ?? timeFault(leaf.facts, now));
  if (fault !== undefined) return refused(fault, leaf);
  const outcome = pathOf(request, x509);
  if (outcome.kind === 'none') return refused(outcome.fault, leaf, outcome.missingFrom);
  const leafFault = purposeFault(leaf, policy.exceptions) ?? nameFault(leaf, name, policy.exceptions);
  if (leafFault !== undefined) return refused(leafFault, leaf);
  const { path } = outcome;
  const branched = outcome.branched || path.some((one) => request.fetched?.includes(one));
  return { kind: 'verified', identity: identityOf(request, leaf, path), path, branched };
}

/** The only place where the brand is given. */
function identityOf(
  { name, policy }: ValidationRequest,
  leaf: OriginCertificate,
  path: readonly X509Certificate[],
): OriginIdentity {
  return {
    name,
    certificate: policy.exceptions.includes('untrusted') ? forNameAlone(leaf.facts, name) : leaf.facts,
    chainFingerprints: path.map((x509) => originCertificateOf(x509).facts.fingerprint256),
  } as unknown as OriginIdentity;
}

/**
 * Nobody vouches for what an untrusted certificate names: it stands for the one name that policy forgives. With others
 * the client would get a trusted leaf, and the origin requests, for hosts that nothing was forgiven.
 */
function forNameAlone(facts: CertificateFacts, name: string): CertificateFacts {
  return { ...facts, names: [{ kind: ipOctets(name) === undefined ? 'dns' : 'ip', value: name }] };
}

function refused(
  fault: CertificateFault,
  leaf: OriginCertificate | undefined,
  missingFrom: readonly string[] = [],
): Validation {
  return { kind: 'failed', ...fault, certificate: leaf?.facts, missingFrom };
}

function pathOf(request: ValidationRequest, leaf: X509Certificate): PathOutcome {
  const { chain, fetched = [], roots, now, name, policy, revocation, verifiedByOpenssl = false } = request;
  // Whoever accepts an origin without a chain of trust is told nothing by the chain.
  if (policy.exceptions.includes('untrusted')) return { kind: 'found', path: [leaf], branched: false };
  return searchPath({
    leaf,
    pool: [...chain.slice(1), ...fetched],
    anchors: roots,
    now,
    purpose: oids.serverAuth,
    host: name,
    ...(policy.maxIntermediates === undefined ? {} : { maxIntermediates: policy.maxIntermediates }),
    revocation,
    verifiedByOpenssl: verifiedByOpenssl && fetched.length === 0,
  });
}

function purposeFault(leaf: OriginCertificate, exceptions: OriginException['allow']): CertificateFault | undefined {
  // Whoever accepts an untrusted origin accepts what `openssl req -x509` makes: a CA that serves.
  if (exceptions.includes('untrusted') && leaf.leafFault?.code !== 'ORIGIN_CERT_INVALID') return undefined;
  if (leaf.leafFault !== undefined) return leaf.leafFault;
  if (!leaf.lacksExtendedKeyUsage || exceptions.includes('missing-eku')) return undefined;
  return { code: 'ORIGIN_CERT_PURPOSE', detail: 'no extended key usage' };
}

function nameFault(
  leaf: OriginCertificate,
  name: string,
  exceptions: OriginException['allow'],
): CertificateFault | undefined {
  const octets = ipOctets(name);
  if (octets !== undefined) return leaf.presented.has(ipText(octets) ?? '') ? undefined : mismatch(leaf, name);
  if (!isCanonicalHostName(name)) return { code: 'ORIGIN_CERT_NAME_MISMATCH', detail: 'the name is not canonical' };
  if (leaf.presented.has(name)) return undefined;
  const wildcard = wildcardOver(name);
  if (wildcard === undefined || !leaf.presented.has(wildcard)) return mismatch(leaf, name);
  return exceptions.includes('suffix-wildcard') ? undefined : suffixFault(leaf, wildcard.slice(2));
}

function suffixFault(leaf: OriginCertificate, base: string): CertificateFault | undefined {
  if (leaf.presented.has(base) || !isPlatformSuffix(base)) return undefined;
  return {
    code: 'ORIGIN_CERT_NAME_MISMATCH',
    detail: `the wildcard over ${base} is one over a public suffix, which the certificate does not name itself`,
  };
}

function mismatch(leaf: OriginCertificate, name: string): CertificateFault {
  const names = leaf.facts.names;
  const some = names.slice(0, 5).map(({ value }) => value);
  const covered = names.length === 0 ? 'no usable name' : `${some.join(', ')}${names.length > 5 ? ', ...' : ''}`;
  return { code: 'ORIGIN_CERT_NAME_MISMATCH', detail: `${name} is not covered by ${covered}` };
}
