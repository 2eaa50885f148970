import type { RevocationFinding } from '../../core/revocation.ts';
import type { RevocationStatus } from './revocation-status.ts';

/** What a source says of a certificate, in the words of records. */
export function findingOf(
  source: RevocationFinding['source'],
  status: RevocationStatus,
  untilMs: number,
): RevocationFinding {
  switch (status.kind) {
    case 'good':
      return { status: 'good', source, detail: '', untilMs };
    case 'revoked': {
      const since = new Date(status.sinceMs).toISOString().replace('.000Z', 'Z');
      return { status: 'revoked', source, detail: `revoked since ${since}, ${status.reason}`, untilMs };
    }
    case 'unknown':
      return { status: 'unknown', source, detail: status.detail, untilMs };
  }
}

/** Nobody was or could be asked. */
export function unknownFinding(detail: string, untilMs: number): RevocationFinding {
  return { status: 'unknown', source: 'none', detail, untilMs };
}
