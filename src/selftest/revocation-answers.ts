import { hash } from 'node:crypto';
import { parseCertificate, parsePublicKey } from '../pki/certificate.ts';
import { extension } from '../pki/certificate-writer.ts';
import {
  explicit,
  implicit,
  integer,
  nothing,
  octetString,
  oid,
  sequence,
  time,
  unsignedInteger,
  value,
} from '../pki/der-writer.ts';
import { type FarmIssuer, taggedName } from './farm.ts';
import type { FarmKey } from './farm-key.ts';
import { algorithmOf, signedBy } from './forge.ts';

const hourMs = 3_600_000;

/** A CRL of an issuer that names some of its certificates (RFC 5280 section 5). */
export function crlOf(issuer: FarmIssuer, revoked: readonly Buffer[]): Buffer {
  const now = Date.now();
  const entries = revoked.map((certificate) => sequence(serialOf(certificate), time(now - hourMs)));
  const crlNumber = extension('2.5.29.20', false, integer(1));
  const content = sequence(
    integer(1),
    algorithmOf('sha256', issuer.key),
    issuer.subject,
    time(now - hourMs),
    time(now + 24 * hourMs),
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
    explicit(0, sequence(crlNumber)),
  );
  return signedBy(issuer.key, 'sha256', content);
}

/** An OCSP response about one certificate (RFC 6960 section 4.2.1), by its issuer unless another key signs. */
export function ocspOf(
  issuer: FarmIssuer,
  certificate: Buffer,
  status: 'good' | 'revoked',
  signer: FarmKey = issuer.key,
): Buffer {
  const now = Date.now();
  const sha1 = sequence(oid('1.3.14.3.2.26'), nothing());
  const keyHash = hash('sha1', parsePublicKey(issuer.key.publicKey).bits, 'buffer');
  const nameHash = hash('sha1', issuer.subject, 'buffer');
  const about = sequence(sha1, octetString(nameHash), octetString(keyHash), serialOf(certificate));
  const state = status === 'good' ? implicit(0, Buffer.alloc(0)) : explicit(1, generalized(now - hourMs));
  const single = sequence(about, state, generalized(now - hourMs), explicit(0, generalized(now + 24 * hourMs)));
  const content = sequence(explicit(1, issuer.subject), generalized(now - hourMs), sequence(single));
  const basic = signedBy(signer, 'sha256', content);
  const bytes = sequence(oid('1.3.6.1.5.5.7.48.1.1'), octetString(basic));
  return sequence(value(0x0a, Buffer.of(0)), explicit(0, bytes));
}

/** cRLDistributionPoints with one place. */
export function crlPoint(url: string): Buffer {
  return extension('2.5.29.31', false, sequence(sequence(explicit(0, explicit(0, taggedName(6, url))))));
}

/** authorityInfoAccess with an OCSP responder. */
export function ocspPoint(url: string): Buffer {
  return extension('1.3.6.1.5.5.7.1.1', false, sequence(sequence(oid('1.3.6.1.5.5.7.48.1'), taggedName(6, url))));
}

/** The promise to staple (RFC 7633). */
export const mustStaple = extension('1.3.6.1.5.5.7.1.24', false, sequence(integer(5)));

function serialOf(certificate: Buffer): Buffer {
  const { serialNumber } = parseCertificate(certificate);
  return unsignedInteger(
    Buffer.from(serialNumber.padStart(serialNumber.length + (serialNumber.length % 2), '0'), 'hex'),
  );
}

/** GeneralizedTime without fractions (RFC 5280 section 4.1.2.5.2). */
function generalized(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '');
  return value(0x18, Buffer.from(text, 'latin1'));
}
