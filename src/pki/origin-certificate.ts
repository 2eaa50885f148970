import type { X509Certificate } from 'node:crypto';
import { limits } from '../core/limits.ts';
import type { CertificateFacts, SubjectName } from '../core/tls.ts';
import { BoundedCache } from './bounded-cache.ts';
import { type Certificate, parseCertificate } from './certificate.ts';
import { type CertificateFault, invalid } from './certificate-fault.ts';
import { type ChainMember, chainMemberOf } from './chain-member.ts';
import { distinguishedNameText } from './distinguished-name.ts';
import {
  basicConstraintsOf,
  extendedKeyUsageOf,
  keyUsageBits,
  keyUsageOf,
  type RawName,
  subjectAltNamesOf,
} from './extensions.ts';
import { presentedHostName } from './host-name.ts';
import { ipText } from './ip-address.ts';
import { oids } from './oids.ts';

/** All that does not depend on time, name or policy: judged once for each certificate that is seen. */
export interface OriginCertificate {
  readonly facts: CertificateFacts;
  /** Names that a verified name may rest on, wildcards as `*.base`, addresses in canonical text. */
  readonly presented: ReadonlySet<string>;
  /** Breaks a rule whatever its place in the chain. */
  readonly fault: CertificateFault | undefined;
  /** Breaks a rule that only a leaf has. */
  readonly leafFault: CertificateFault | undefined;
  /** Lacks extended key usage, which policy may forgive. */
  readonly lacksExtendedKeyUsage: boolean;
  /** What it is in a chain; undefined when it cannot be read. */
  readonly member: ChainMember | undefined;
}

const cache = new BoundedCache<OriginCertificate>(limits.certificateCacheBytes);
/** Facts and identity are asked of one object in one handshake: the second asking costs no hash. */
const ofObject = new WeakMap<X509Certificate, OriginCertificate>();

/** Judges a certificate, or remembers how it was judged. Never throws: what cannot be read is a fault. */
export function originCertificateOf(certificate: X509Certificate): OriginCertificate {
  const known = ofObject.get(certificate);
  if (known !== undefined) return known;
  // As Node writes it, with colons: copying the DER out of OpenSSL and hashing it here would take three times as long.
  const key = certificate.fingerprint256;
  const judged = cache.get(key) ?? remember(key, certificate);
  ofObject.set(certificate, judged);
  return judged;
}

function remember(key: string, certificate: X509Certificate): OriginCertificate {
  const der = certificate.raw;
  const judged = judge(der, key.replaceAll(':', '').toLowerCase(), certificate);
  cache.set(key, judged, der.length);
  return judged;
}

function judge(der: Buffer, fingerprint256: string, certificate: X509Certificate): OriginCertificate {
  try {
    return judgeParsed(parseCertificate(der), fingerprint256);
  } catch (error) {
    const detail = `certificate malformed: ${error instanceof Error ? error.message : 'unreadable'}`;
    return {
      facts: factsOfUnreadable(certificate, fingerprint256),
      presented: new Set(),
      fault: { code: 'ORIGIN_CERT_INVALID', detail },
      leafFault: undefined,
      lacksExtendedKeyUsage: false,
      member: undefined,
    };
  }
}

function judgeParsed(certificate: Certificate, fingerprint256: string): OriginCertificate {
  const alternative = subjectAltNamesOf(certificate.extensions);
  const purposes = extendedKeyUsageOf(certificate.extensions);
  const names = subjectNames(alternative);
  const member = chainMemberOf(certificate, alternative, purposes);
  return {
    facts: {
      subject: distinguishedNameText(certificate.subject),
      issuer: distinguishedNameText(certificate.issuer),
      serialNumber: certificate.serialNumber,
      fingerprint256,
      notBefore: certificate.notBefore,
      notAfter: certificate.notAfter,
      names: names.slice(0, limits.certificateNames),
      selfSigned: member.selfIssued && (member.issuerKeyId === undefined || member.issuerKeyId === member.keyId),
    },
    presented: new Set(names.map(({ value }) => value)),
    fault: member.fault ?? (alternative.length > limits.subjectNames ? invalid('too many names') : undefined),
    leafFault: leafFault(certificate, purposes),
    lacksExtendedKeyUsage: purposes === undefined,
    member,
  };
}

function subjectNames(alternative: readonly RawName[]): readonly SubjectName[] {
  return alternative.flatMap(({ kind, octets }): SubjectName[] => {
    if (kind !== 'dns' && kind !== 'ip') return [];
    const value = kind === 'dns' ? presentedHostName(octets) : ipText(octets);
    return value === undefined ? [] : [{ kind, value }];
  });
}

function leafFault(
  { extensions }: Certificate,
  purposes: ReadonlySet<string> | undefined,
): CertificateFault | undefined {
  // RFC 5280 section 4.2.1.10: the extension belongs in CA certificates alone.
  if (extensions.has(oids.nameConstraints)) return invalid('name constraints in a leaf');
  if (basicConstraintsOf(extensions).ca) return purpose('the leaf is a CA');
  if (keyUsageOf(extensions)?.has(keyUsageBits.keyCertSign)) return purpose('the leaf may sign certificates');
  if (purposes !== undefined && !purposes.has(oids.serverAuth)) return purpose('extended key usage without serverAuth');
  return undefined;
}

function purpose(detail: string): CertificateFault {
  return { code: 'ORIGIN_CERT_PURPOSE', detail };
}

/** OpenSSL reads some encodings that are not DER: the record still tells which certificate it was. */
function factsOfUnreadable(certificate: X509Certificate, fingerprint256: string): CertificateFacts {
  return {
    subject: '',
    issuer: '',
    serialNumber: certificate.serialNumber,
    fingerprint256,
    notBefore: timeOf(certificate.validFrom),
    notAfter: timeOf(certificate.validTo),
    names: [],
    selfSigned: false,
  };
}

/**
 * A time that OpenSSL cannot read either becomes the epoch: records and texts need a time that exists. Read from its text:
 * `validFromDate` of such a time holds whatever was in memory.
 */
function timeOf(text: string): number {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? 0 : ms;
}
