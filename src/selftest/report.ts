import { gradeOf, type Judgement, type Verdict } from './judge.ts';
import { type CaseClass, caseClasses, type Grade } from './origin-case.ts';

/** Sums of one class of origins. */
export interface ClassSummary {
  readonly class: CaseClass;
  readonly origins: number;
  readonly passed: number;
  readonly missed: number;
  readonly rejected: number;
  readonly left: number;
  readonly unclear: number;
  /** Application bytes that reached bad origins of the class. */
  readonly bytesToBad: number;
}

/** The outcome of a self-test, as `--json` prints it. */
export interface SelftestReport {
  readonly grade: Grade;
  readonly gateway: string;
  readonly classes: readonly ClassSummary[];
  /** What was not tried, and why. */
  readonly notRun: readonly string[];
  readonly origins: readonly Judgement[];
}

/** Puts judgements together. */
export function reportOf(
  gateway: string,
  judgements: readonly Judgement[],
  notRun: readonly string[] = [],
): SelftestReport {
  const present = caseClasses.filter((name) => judgements.some((judgement) => judgement.class === name));
  return {
    grade: gradeOf(judgements),
    gateway,
    classes: present.map((name) => summary(name, judgements)),
    notRun,
    origins: judgements,
  };
}

/** The report as a table for people; every origin with `verbose`, else those alone that did not pass. */
export function reportText(report: SelftestReport, verbose: boolean): string {
  const { grade, gateway, origins, notRun } = report;
  const shown = origins.filter(({ verdict, otherReason }) => verbose || verdict !== 'passed' || otherReason);
  const rows = shown.map((each) => [
    each.class,
    each.name,
    verdictText(each),
    each.met,
    each.code ?? '',
    each.class === 'good' ? '' : String(each.bytes),
  ]);
  const sums = report.classes.map((each) => [
    each.class,
    String(each.origins),
    String(each.passed),
    String(each.missed),
    String(each.rejected),
    String(each.left + each.unclear),
    each.class === 'good' ? '' : String(each.bytesToBad),
  ]);
  return [
    `Self-test of ${gateway}`,
    '',
    ...table(['class', 'origins', 'passed', 'missed', 'rejected', 'other', 'bytes to bad origins'], sums),
    ...(rows.length === 0 ? [] : ['', ...table(['class', 'origin', 'verdict', 'client met', 'code', 'bytes'], rows)]),
    ...(notRun.length === 0 ? [] : ['', ...notRun.map((each) => `not run: ${each}`)]),
    '',
    `Grade ${grade}: ${meanings[grade]}`,
    '',
  ].join('\n');
}

const meanings: Readonly<Record<Grade, string>> = {
  A: 'every bad origin was refused without a byte, and every good one served',
  B: 'TLS is weaker than need be, or a good origin was refused',
  C: 'an origin with a known weakness was taken for a good one',
  F: 'somebody could pose as an origin',
};

const verdictTexts: Readonly<Record<Verdict, string>> = {
  passed: 'passed',
  missed: 'MISSED',
  rejected: 'REJECTED',
  left: 'left to the client',
  unclear: 'UNCLEAR',
};

function verdictText({ verdict, otherReason }: Judgement): string {
  return otherReason ? `${verdictTexts[verdict]}, for another reason` : verdictTexts[verdict];
}

function summary(name: CaseClass, judgements: readonly Judgement[]): ClassSummary {
  const own = judgements.filter((judgement) => judgement.class === name);
  const count = (verdict: Verdict): number => own.filter((judgement) => judgement.verdict === verdict).length;
  return {
    class: name,
    origins: own.length,
    passed: count('passed'),
    missed: count('missed'),
    rejected: count('rejected'),
    left: count('left'),
    unclear: count('unclear'),
    bytesToBad: name === 'good' ? 0 : own.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
