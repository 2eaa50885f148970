import { describe, expect, it } from 'vitest';
import { gradeOf, type Judgement, judge } from '../../src/selftest/judge.ts';
import type { OriginCase } from '../../src/selftest/origin-case.ts';
import type { Experience } from '../../src/selftest/probe.ts';
import { reportOf, reportText } from '../../src/selftest/report.ts';

const bad: OriginCase = {
  class: 'names',
  name: 'another host',
  gradeIfMissed: 'F',
  codes: ['ORIGIN_CERT_NAME_MISMATCH'],
  host: 'a.example',
  open: () => ({ kind: 'script', script: () => {} }),
};
const good: OriginCase = { ...bad, class: 'good', name: 'fine', gradeIfMissed: 'B', codes: [] };
const met = (outcome: Experience['outcome'], trusted = false): Experience => ({
  ports: { client: 1, origin: 2 },
  outcome,
  trusted,
});
const served = { kind: 'served' } as const;
const page = { kind: 'page', code: 'ORIGIN_CERT_NAME_MISMATCH' } as const;
const alert = { kind: 'ended', error: 'ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE' } as const;
const through = { kind: 'passed-through' } as const;

describe('a bad origin', () => {
  const rows = [
    ['served behind a trusted leaf', met(served, true), 90, 'missed'],
    ['served behind an untrusted leaf', met(served), 90, 'missed'],
    ['that got bytes although the client met an alert', met(alert), 1, 'missed'],
    ['told of by a page behind a trusted leaf', met(page, true), 0, 'missed'],
    ['told of by a page behind an untrusted leaf', met(page), 0, 'passed'],
    ['refused with an alert', met(alert), 0, 'passed'],
    ['whose own certificate the client met', met(through), 0, 'left'],
    ['of which nothing was heard', met({ kind: 'unclear', what: 'no answer in time' }), 0, 'unclear'],
  ] as const;
  it.each(rows)('%s', (_what, experience, bytes, verdict) => {
    expect(judge({ case: bad, experience, bytes, code: undefined }).verdict).toBe(verdict);
  });

  it('refused for what is not wrong with it is told so', () => {
    const judged = (code: 'ORIGIN_CERT_EXPIRED' | 'ORIGIN_CERT_NAME_MISMATCH') =>
      judge({ case: bad, experience: met(alert), bytes: 0, code }).otherReason;
    expect([judged('ORIGIN_CERT_EXPIRED'), judged('ORIGIN_CERT_NAME_MISMATCH')]).toEqual([true, false]);
  });
});

describe('a good origin', () => {
  const rows = [
    ['served behind a trusted leaf', met(served, true), 'passed'],
    ['served behind an untrusted leaf', met(served), 'rejected'],
    ['refused', met(alert), 'rejected'],
    ['passed through', met(through), 'left'],
  ] as const;
  it.each(rows)('%s', (_what, experience, verdict) => {
    expect(judge({ case: good, experience, bytes: 90, code: undefined }).verdict).toBe(verdict);
  });
});

describe('the grade', () => {
  const passed = judge({ case: bad, experience: met(alert), bytes: 0, code: undefined });
  const missed = (gradeIfMissed: Judgement['gradeIfMissed']): Judgement => ({
    ...passed,
    verdict: 'missed',
    gradeIfMissed,
  });
  const rows: readonly (readonly [string, readonly Judgement[], string])[] = [
    ['A when everything passed', [passed], 'A'],
    ['B for what is weaker than need be', [passed, missed('B')], 'B'],
    ['C for a known weakness', [missed('B'), missed('C')], 'C'],
    ['F when somebody can pose as an origin', [missed('B'), missed('F'), missed('C')], 'F'],
    ['F for what nobody knows', [{ ...passed, verdict: 'unclear' }], 'F'],
    ['B for a good origin that was refused', [{ ...missed('B'), class: 'good', verdict: 'rejected' }], 'B'],
  ];
  it.each(rows)('is %s', (_what, judgements, grade) => expect(gradeOf(judgements)).toBe(grade));

  it('stands in the report, with each origin that did not pass and the bytes that it got', () => {
    const text = reportText(reportOf('a gateway', [passed, { ...missed('F'), name: 'the bad one', bytes: 77 }]), false);
    expect(text.split('\n').map((line) => line.split(/ {2,}/))).toContainEqual([
      'names',
      '2',
      '1',
      '1',
      '0',
      '0',
      '77',
    ]);
    expect(text).toMatch(/^names {2}the bad one {2}MISSED .* 77$/m);
    expect(text).not.toContain('another host');
    expect(text).toContain('Grade F: somebody could pose as an origin');
  });
});
