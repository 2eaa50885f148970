import { limits } from '../../core/limits.ts';
import type { RevocationStatus } from '../../pki/revocation/revocation-status.ts';

/** What was said of a certificate, and when that was fetched. */
export interface Dated {
  readonly status: RevocationStatus;
  readonly fetchedMs: number;
  /** It was to be replaced, and nothing newer could be had. */
  readonly isLate: boolean;
}

/** Whether nobody has to be asked again. A revocation is for good, all but a hold. */
export function isFresh({ status, fetchedMs }: Dated): boolean {
  if (status.kind === 'unknown') return false;
  if (status.kind === 'revoked' && status.reason !== 'certificateHold') return true;
  return Date.now() < fetchedMs + limits.revocationRefreshMs;
}

/** When it has to be asked anew, and until then need not be. */
export function untilOf({ status, fetchedMs, isLate }: Dated): number {
  const now = Date.now();
  if (status.kind === 'unknown') return now + limits.revocationRetryMs;
  const next = isLate ? now + limits.revocationRetryMs : Math.max(now, fetchedMs + limits.revocationRefreshMs);
  return Math.min(status.untilMs, next);
}
