import { hash } from 'node:crypto';
import type { Certificate } from '../certificate.ts';
import { tags } from '../der-tags.ts';
import { nothing, octetString, oid, sequence, value } from '../der-writer.ts';
import { oids } from '../oids.ts';

/**
 * Asks for one certificate (RFC 6960 section 4.1). SHA-1 only names the issuer here, and it is what every responder knows
 * (RFC 5019 section 2.1.1). Without a nonce, so that responders can answer with what they have signed before.
 */
export function ocspRequest(certificate: Certificate, issuer: Certificate): Buffer {
  const certificateId = sequence(
    sequence(oid(oids.sha1), nothing()),
    octetString(hash('sha1', issuer.subject, 'buffer')),
    octetString(hash('sha1', issuer.publicKey.bits, 'buffer')),
    value(tags.integer, certificate.serialOctets),
  );
  return sequence(sequence(sequence(sequence(certificateId))));
}
