import type { X509Certificate } from 'node:crypto';
import type { FailureCode } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { CertificateFacts, SubjectName } from '../core/tls.ts';
import { BoundedCache } from './bounded-cache.ts';
import { type Certificate, parseCertificate } from './certificate.ts';
import { distinguishedNameText } from './distinguished-name.ts';
import {
  authorityKeyIdentifierOf,
  basicConstraintsOf,
  extendedKeyUsageOf,
  keyUsageBits,
  keyUsageOf,
  type NameConstraints,
  nameConstraintsOf,
  subjectAltNamesOf,
  subjectKeyIdentifierOf,
} from './extensions.ts';
import { presentedHostName } from './host-name.ts';
import { ipText } from './ip-address.ts';
import { oids } from './oids.ts';
import { keyWeakness, signatureWeakness } from './strength.ts';

/** Why a certificate is refused. */
export interface CertificateFault {
  readonly code: FailureCode;
  readonly detail: string;
}

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
  readonly nameConstraints: NameConstraints | undefined;
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
      nameConstraints: undefined,
    };
  }
}

function judgeParsed(certificate: Certificate, fingerprint256: string): OriginCertificate {
  const { extensions } = certificate;
  const names = subjectNames(certificate);
  const purposes = extendedKeyUsageOf(extensions);
  const issuerKey = authorityKeyIdentifierOf(extensions);
  const ownKey = subjectKeyIdentifierOf(extensions);
  const selfSigned =
    certificate.issuer.equals(certificate.subject) &&
    (issuerKey === undefined || ownKey === undefined || issuerKey.equals(ownKey));
  return {
    facts: {
      subject: distinguishedNameText(certificate.subject),
      issuer: distinguishedNameText(certificate.issuer),
      serialNumber: certificate.serialNumber,
      fingerprint256,
      notBefore: certificate.notBefore,
      notAfter: certificate.notAfter,
      names: names.slice(0, limits.certificateNames),
      selfSigned,
    },
    presented: new Set(names.map(({ value }) => value)),
    fault: generalFault(certificate, selfSigned),
    leafFault: leafFault(certificate, purposes),
    lacksExtendedKeyUsage: purposes === undefined,
    nameConstraints: nameConstraintsOf(extensions),
  };
}

function subjectNames({ extensions }: Certificate): readonly SubjectName[] {
  return subjectAltNamesOf(extensions).flatMap(({ kind, octets }): SubjectName[] => {
    const value = kind === 'dns' ? presentedHostName(octets) : ipText(octets);
    return value === undefined ? [] : [{ kind, value }];
  });
}

function generalFault(certificate: Certificate, selfSigned: boolean): CertificateFault | undefined {
  if (certificate.version !== 3) return invalid(`X.509 version ${certificate.version}`);
  // The signature of a root on itself proves nothing, so its strength does not matter.
  const weakness =
    keyWeakness(certificate.publicKey) ?? (selfSigned ? undefined : signatureWeakness(certificate.signatureAlgorithm));
  return weakness === undefined ? undefined : { code: 'ORIGIN_CERT_WEAK', detail: weakness };
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

function invalid(detail: string): CertificateFault {
  return { code: 'ORIGIN_CERT_INVALID', detail };
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
