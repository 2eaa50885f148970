import type { X509Certificate } from 'node:crypto';
import type { CertificateFault } from './certificate-fault.ts';
import { originCertificateOf } from './origin-certificate.ts';
import { checkSignature, rememberedSignature } from './signature-check.ts';
import type { TrustAnchors } from './trust-anchors.ts';

/**
 * Why what an origin sent would deceive a client that judged it itself: one of the certificates is of an authority whose
 * key is public, or of ours, which every client of ours has installed. Told before anything else, since policy may leave
 * other failures to the client.
 */
export function deceptionFault(
  sent: readonly X509Certificate[],
  own: TrustAnchors | undefined,
): CertificateFault | undefined {
  for (const x509 of sent) {
    const child = originCertificateOf(x509);
    if (child.member?.distrust !== undefined) return child.member.distrust;
    for (const issuer of own?.named(child.member?.issuer.key ?? '') ?? []) {
      const authority = originCertificateOf(issuer);
      if (rememberedSignature(child, authority) ?? checkSignature(x509, child, authority)) {
        return { code: 'ORIGIN_CERT_OWN_AUTHORITY', detail: "issued by this gateway's own authority" };
      }
    }
  }
  return undefined;
}
