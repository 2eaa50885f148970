import type { FailureCode } from '../core/failures.ts';

/** Why a certificate or a chain is refused. */
export interface CertificateFault {
  readonly code: FailureCode;
  readonly detail: string;
}

/** A breach of RFC 5280. */
export function invalid(detail: string): CertificateFault {
  return { code: 'ORIGIN_CERT_INVALID', detail };
}

/** A key or signature that proves too little. */
export function weak(detail: string): CertificateFault {
  return { code: 'ORIGIN_CERT_WEAK', detail };
}
