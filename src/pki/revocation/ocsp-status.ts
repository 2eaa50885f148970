import { hash } from 'node:crypto';
import { type Certificate, parseCertificate } from '../certificate.ts';
import { DerError, DerReader } from '../der-reader.ts';
import { extendedKeyUsageOf, keyUsageBits, keyUsageOf } from '../extensions.ts';
import { oids } from '../oids.ts';
import { keyWeakness } from '../strength.ts';
import { type OcspAnswer, type OcspResponse, parseOcspResponse, type ResponderId } from './ocsp-response.ts';
import { clockSkewMs, type RevocationStatus, revocationReason, unknownStatus } from './revocation-status.ts';
import { isSignedBy, readSigned } from './signed-object.ts';

export interface OcspQuestion {
  readonly certificate: Certificate;
  /** The CA that issued it, verified by the caller. */
  readonly issuer: Certificate;
  /** DER as a responder sent it or an origin stapled it. */
  readonly response: Buffer;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** How long an answer without nextUpdate is believed: newer information is always there, its responder says. */
const undatedMs = 3_600_000;

/** What an OCSP answer says of a certificate (RFC 6960 section 3.2). Never throws: what does not hold is `unknown`. */
export function ocspStatusOf(question: OcspQuestion): RevocationStatus {
  try {
    const response = parseOcspResponse(question.response);
    return typeof response === 'string' ? unknownStatus(response) : judge(response, question);
  } catch (error) {
    if (error instanceof DerError) return unknownStatus(`OCSP answer malformed: ${error.message}`);
    throw error;
  }
}

function judge(response: OcspResponse, { certificate, issuer, now }: OcspQuestion): RevocationStatus {
  if (response.hasCriticalExtension) return unknownStatus('OCSP answer with an unknown critical extension');
  const answers = response.answers.filter((answer) => isFor(answer, certificate, issuer));
  if (answers.length === 0) return unknownStatus('OCSP answer for another certificate');
  const signer = signerOf(response, issuer, now);
  if (typeof signer === 'string') return unknownStatus(signer);
  if (!isSignedBy(response, signer.certificate.publicKey)) return unknownStatus('OCSP answer with a wrong signature');
  const statuses = answers.map((answer) => statusIn(answer, now));
  const status = statuses.find(({ kind }) => kind === 'revoked') ?? statuses[0] ?? unknownStatus('no answer');
  // Section 4.2.2.2.1: whether such a signer is revoked itself would have to be asked. What it revokes is revoked.
  if (status.kind === 'good' && !signer.isTrustedForLife) return unknownStatus('OCSP signer without ocsp-nocheck');
  return status;
}

function isFor(answer: OcspAnswer, certificate: Certificate, issuer: Certificate): boolean {
  const algorithm = answer.hashAlgorithm === oids.sha1 ? 'sha1' : answer.hashAlgorithm === oids.sha256 ? 'sha256' : '';
  return (
    algorithm !== '' &&
    answer.serialOctets.equals(certificate.serialOctets) &&
    answer.issuerNameHash.equals(hash(algorithm, certificate.issuer, 'buffer')) &&
    answer.issuerKeyHash.equals(hash(algorithm, issuer.publicKey.bits, 'buffer'))
  );
}

function statusIn({ status, thisUpdateMs, nextUpdateMs }: OcspAnswer, now: number): RevocationStatus {
  const untilMs = nextUpdateMs ?? thisUpdateMs + undatedMs;
  if (thisUpdateMs > now + clockSkewMs) return unknownStatus('OCSP answer of the future');
  if (untilMs < now) return unknownStatus('OCSP answer out of date');
  if (status === 'good') return { kind: 'good', untilMs };
  if (status === 'unknown') return unknownStatus('responder does not know the certificate');
  return { kind: 'revoked', sinceMs: status.sinceMs, reason: revocationReason(status.reason), untilMs };
}

interface OcspSigner {
  readonly certificate: Certificate;
  /** The issuer itself, or one that it says not to ask about for as long as it lives (ocsp-nocheck). */
  readonly isTrustedForLife: boolean;
}

/** The issuer itself, or whom it has made its signer in person (RFC 6960 section 4.2.2.2). */
function signerOf(response: OcspResponse, issuer: Certificate, now: number): OcspSigner | string {
  if (isNamed(response.responder, issuer)) return { certificate: issuer, isTrustedForLife: true };
  for (const der of response.certificates) {
    const certificate = parseCertificate(der);
    if (!isNamed(response.responder, certificate)) continue;
    const fault = delegationFault(certificate, der, issuer, now);
    if (fault !== undefined) return fault;
    return { certificate, isTrustedForLife: certificate.extensions.has(oids.ocspNoCheck) };
  }
  return 'OCSP answer of an unknown signer';
}

function isNamed(responder: ResponderId, { subject, publicKey }: Certificate): boolean {
  if (responder.kind === 'name') return responder.name.equals(subject);
  return responder.hash.equals(hash('sha1', publicKey.bits, 'buffer'));
}

function delegationFault(signer: Certificate, der: Buffer, issuer: Certificate, now: number): string | undefined {
  if (!signer.issuer.equals(issuer.subject)) return 'OCSP signer of another issuer';
  if (!isSignedBy(readSigned(new DerReader(der).enter()), issuer.publicKey))
    return 'OCSP signer not issued by the issuer';
  if (now < signer.notBefore || now >= signer.notAfter + 1_000) return 'OCSP signer out of date';
  if (!extendedKeyUsageOf(signer.extensions)?.has(oids.ocspSigning)) return 'OCSP signer without that purpose';
  if (keyUsageOf(signer.extensions)?.has(keyUsageBits.digitalSignature) === false)
    return 'OCSP signer that may not sign';
  if (keyWeakness(signer.publicKey) !== undefined) return 'OCSP signer with a weak key';
  return hasUnknownCritical(signer) ? 'OCSP signer with an unknown critical extension' : undefined;
}

const understood: ReadonlySet<string> = new Set([
  oids.basicConstraints,
  oids.keyUsage,
  oids.extendedKeyUsage,
  oids.subjectAltName,
  oids.ocspNoCheck,
]);

function hasUnknownCritical({ extensions }: Certificate): boolean {
  return [...extensions].some(([oid, { critical }]) => critical && !understood.has(oid));
}
