import type { CertificateFacts } from '../core/tls.ts';

/** Names that a page lists; a certificate may hold a thousand. */
const shownNames = 10;

/** What a person needs to see of a certificate that failed its check: who it is for, who says so, and since when it holds no more. */
export function certificatePageFacts(
  certificate: CertificateFacts,
  asked: string | undefined,
  nowMs: number,
): readonly (readonly [string, string])[] {
  const { names, subject, issuer, notBefore, notAfter, fingerprint256 } = certificate;
  const shown = names.slice(0, shownNames).map(({ value }) => value);
  const more = names.length > shownNames ? [`and ${names.length - shownNames} more`] : [];
  return [
    ...(asked === undefined ? [] : [['Asked for', asked] as const]),
    ['Names in the certificate', names.length === 0 ? 'none' : [...shown, ...more].join(', ')],
    ['Subject', subject === '' ? 'empty' : subject],
    ['Issued by', issuer === '' ? 'nobody named' : issuer],
    validity(notBefore, notAfter, nowMs),
    ['SHA-256', fingerprint256],
  ];
}

function validity(notBefore: number, notAfter: number, nowMs: number): readonly [string, string] {
  if (nowMs > notAfter) return ['Expired since', `${timeText(notAfter)} (${daysBetween(notAfter, nowMs)})`];
  if (nowMs < notBefore) return ['Valid only from', `${timeText(notBefore)} (in ${daysBetween(nowMs, notBefore)})`];
  return ['Valid', `from ${timeText(notBefore)} to ${timeText(notAfter)}`];
}

/** Times of an origin's certificate may be beyond what a date can say. */
function timeText(ms: number): string {
  const time = new Date(ms);
  return Number.isNaN(time.getTime())
    ? 'a time beyond the calendar'
    : `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function daysBetween(from: number, to: number): string {
  const days = Math.floor((to - from) / 86_400_000);
  return days === 1 ? '1 day' : days === 0 ? 'less than a day' : `${days} days`;
}
