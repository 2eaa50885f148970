import { X509Certificate } from 'node:crypto';
import type { CertificateFacts } from '../core/tls.ts';
import { originCertificateOf } from './origin-certificate.ts';

/** Facts of a certificate (or of the first one in PEM text); remembered by fingerprint, so cheap on every session. */
export function certificateFactsOf(certificate: X509Certificate | string): CertificateFacts {
  const parsed = typeof certificate === 'string' ? new X509Certificate(certificate) : certificate;
  return originCertificateOf(parsed).facts;
}
