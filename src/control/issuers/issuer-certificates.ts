import { parseCertificate } from '../../pki/certificate.ts';
import { DerError, DerReader, readOid } from '../../pki/der-reader.ts';
import { contextConstructed, tags } from '../../pki/der-tags.ts';
import { oids } from '../../pki/oids.ts';
import { certificatesInPem } from '../../pki/pem.ts';

/** Certificates of one answer that are looked at: one is usual, and a bundle of cross-signs holds a few. */
const mostCertificates = 8;

/**
 * Certificates in what an issuer's address gave: one in DER, some in PEM, or PKCS#7 without a signer (RFC 5280 section
 * 4.2.2.1). None when it is something else; what is in them is judged by whoever builds a path.
 */
export function issuerCertificates(body: Buffer): readonly Buffer[] {
  const found = body.includes('-----BEGIN') ? certificatesInPem(body.toString('latin1')) : inDer(body);
  return found.slice(0, mostCertificates).flatMap((der) => (der !== undefined && isCertificate(der) ? [der] : []));
}

function inDer(body: Buffer): readonly Buffer[] {
  if (isCertificate(body)) return [body];
  try {
    return inPkcs7(body);
  } catch (error) {
    if (error instanceof DerError) return [];
    throw error;
  }
}

/** ContentInfo over SignedData (RFC 2315 sections 7 and 9.1), of which only the certificates are read. */
function inPkcs7(body: Buffer): readonly Buffer[] {
  const content = new DerReader(body).enter();
  if (readOid(content.read(tags.oid).content) !== oids.pkcs7Signed) return [];
  const signed = content.enter(contextConstructed(0)).enter();
  signed.read(tags.integer);
  signed.read(tags.set);
  signed.read(tags.sequence);
  const certificates = new DerReader(signed.read(contextConstructed(0)).content);
  const found: Buffer[] = [];
  while (!certificates.atEnd && found.length < mostCertificates) found.push(certificates.read().whole);
  return found;
}

function isCertificate(der: Buffer): boolean {
  try {
    parseCertificate(der);
    return true;
  } catch {
    return false;
  }
}
