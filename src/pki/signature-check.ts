import type { X509Certificate } from 'node:crypto';
import { limits } from '../core/limits.ts';
import { BoundedCache } from './bounded-cache.ts';
import type { OriginCertificate } from './origin-certificate.ts';

/** Outcomes by both fingerprints: a certificate's signature does not change. */
const checked = new BoundedCache<boolean>(limits.signatureCacheEntries);

/** What is remembered of a signature; undefined when it was not checked yet. */
export function rememberedSignature(child: OriginCertificate, issuer: OriginCertificate): boolean | undefined {
  return checked.get(keyOf(child, issuer));
}

/** Checks that a certificate was signed with the key of another. */
export function checkSignature(x509: X509Certificate, child: OriginCertificate, issuer: OriginCertificate): boolean {
  const good = isSigned(x509, issuer);
  checked.set(keyOf(child, issuer), good, 1);
  return good;
}

function isSigned(x509: X509Certificate, { member }: OriginCertificate): boolean {
  try {
    return member !== undefined && x509.verify(member.key());
  } catch {
    // A key that OpenSSL cannot use signs nothing.
    return false;
  }
}

function keyOf(child: OriginCertificate, issuer: OriginCertificate): string {
  return `${child.facts.fingerprint256}${issuer.facts.fingerprint256}`;
}
