import type { FailureCode } from '../core/failures.ts';
import type { CaseClass, Grade, OriginCase } from './origin-case.ts';
import type { Experience } from './probe.ts';

/** What is known of one origin after the test. */
export interface Observation {
  readonly case: OriginCase;
  readonly experience: Experience;
  /** Application bytes that reached the origin. */
  readonly bytes: number;
  /** What the gateway has recorded; undefined where its records cannot be read. */
  readonly code: FailureCode | undefined;
}

/**
 * `passed`: a good origin served behind a trusted leaf, or a bad one refused with not a byte sent to it; `missed`: a bad
 * origin was not refused; `rejected`: a good one was; `left`: the gateway left the judgement to the client by policy.
 */
export type Verdict = 'passed' | 'missed' | 'rejected' | 'left' | 'unclear';

export interface Judgement {
  readonly class: CaseClass;
  readonly name: string;
  readonly verdict: Verdict;
  /** What the client met, in a word or two. */
  readonly met: string;
  readonly code: FailureCode | undefined;
  /** Refused, but for a reason that is not what is wrong with the origin. */
  readonly otherReason: boolean;
  readonly bytes: number;
  readonly gradeIfMissed: Grade;
}

/** What one observation says of the gateway. */
export function judge({ case: origin, experience, bytes, code }: Observation): Judgement {
  const known = code ?? codeOnPage(experience);
  const verdict = origin.class === 'good' ? verdictOnGood(experience) : verdictOnBad(experience, bytes);
  return {
    class: origin.class,
    name: origin.name,
    verdict,
    met: metText(experience),
    code: known,
    otherReason: verdict === 'passed' && known !== undefined && !origin.codes.includes(known),
    bytes,
    gradeIfMissed: origin.gradeIfMissed,
  };
}

/** The grade of all judgements together: the worst that a miss leaves. An origin that could not be judged proves nothing. */
export function gradeOf(judgements: readonly Judgement[]): Grade {
  const lost = judgements.filter(({ verdict }) => verdict !== 'passed' && verdict !== 'left');
  const grades = lost.map(({ verdict, gradeIfMissed }) => (verdict === 'unclear' ? 'F' : gradeIfMissed));
  return (['F', 'C', 'B'] as const).find((grade) => grades.includes(grade)) ?? 'A';
}

function verdictOnGood({ outcome, trusted }: Experience): Verdict {
  if (outcome.kind === 'passed-through') return 'left';
  if (outcome.kind === 'unclear') return 'unclear';
  return outcome.kind === 'served' && trusted ? 'passed' : 'rejected';
}

/** Behind a trusted leaf even a page would tell the client that all is well (the third of Dormann's mistakes). */
function verdictOnBad({ outcome, trusted }: Experience, bytes: number): Verdict {
  if (bytes > 0 || trusted || outcome.kind === 'served') return 'missed';
  if (outcome.kind === 'passed-through') return 'left';
  return outcome.kind === 'unclear' ? 'unclear' : 'passed';
}

function codeOnPage({ outcome }: Experience): FailureCode | undefined {
  return outcome.kind === 'page' ? (outcome.code as FailureCode) : undefined;
}

function metText({ outcome, trusted }: Experience): string {
  switch (outcome.kind) {
    case 'served':
      return trusted ? 'served' : 'served, leaf untrusted';
    case 'page':
      return trusted ? 'page, leaf TRUSTED' : 'page';
    case 'ended':
      return /ALERT/.test(outcome.error) ? `alert ${alertOf(outcome.error)}` : outcome.error.slice(0, 30);
    case 'passed-through':
      return "origin's own certificate";
    case 'unclear':
      return outcome.what.slice(0, 30);
  }
}

/** `ERR_SSL_TLSV1_ALERT_UNKNOWN_CA`, `ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE` as the name of the alert. */
function alertOf(error: string): string {
  return error
    .replace(/^.*ALERT_/, '')
    .toLowerCase()
    .slice(0, 30);
}
