/** What a CRL or an OCSP answer says of one certificate. Times are milliseconds since the epoch. */
export type RevocationStatus =
  | {
      readonly kind: 'good';
      /** When the statement is to be replaced by a newer one. */
      readonly untilMs: number;
    }
  | {
      readonly kind: 'revoked';
      readonly sinceMs: number;
      /** In the words of RFC 5280 section 5.3.1, e.g. `keyCompromise`. */
      readonly reason: string;
      readonly untilMs: number;
    }
  | {
      readonly kind: 'unknown';
      /** Why nothing is known, in words of our own. */
      readonly detail: string;
    };

/** Clocks differ: how far in the future a statement may have been made. */
export const clockSkewMs = 300_000;

/** CRLReason (RFC 5280 section 5.3.1) by its number; 7 is not used. */
const reasons: readonly string[] = [
  'unspecified',
  'keyCompromise',
  'cACompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'certificateHold',
  'unspecified',
  'removeFromCRL',
  'privilegeWithdrawn',
  'aACompromise',
];

/** The word for the number of a CRLReason. */
export function revocationReason(number: number | undefined): string {
  return reasons[number ?? 0] ?? 'unspecified';
}

/** Nothing is known, and why. */
export function unknownStatus(detail: string): RevocationStatus {
  return { kind: 'unknown', detail };
}
