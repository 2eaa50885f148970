/** What becomes of an origin whose certificates cannot be shown not to be revoked. */
export type RevocationMode = 'hard-fail' | 'soft-fail' | 'off';

/** What is known of one certificate, and who said so. */
export interface RevocationFinding {
  readonly status: 'good' | 'revoked' | 'unknown';
  /** `exempt`: nobody has to say so (short life, RFC 9608); `none`: nobody did. */
  readonly source: 'staple' | 'ocsp' | 'crl' | 'exempt' | 'none';
  /** Time and reason of a revocation, or why nothing is known; empty when good. */
  readonly detail: string;
  /** Milliseconds since the epoch: when it has to be asked anew. */
  readonly untilMs: number;
}

/** A certificate with the one that issued it, in DER. */
export interface IssuedPair {
  readonly certificate: Uint8Array;
  readonly issuer: Uint8Array;
}
