import { describe, expect, test } from 'vitest';
import { type BetterTlsCase, betterTls, judgeBetterTls } from './support/bettertls.ts';

const suite = betterTls();

describe.skipIf(suite === undefined)('BetterTLS', () => {
  const outcomes = (cases: readonly BetterTlsCase[] = []) => {
    const counts = { right: 0, falseAccepts: [] as number[], falseRejects: [] as number[] };
    for (const each of cases) {
      const accepts = suite !== undefined && judgeBetterTls(suite, each).kind === 'verified';
      if (accepts === (each.expected === 'ACCEPT')) counts.right += 1;
      else (accepts ? counts.falseAccepts : counts.falseRejects).push(each.id);
    }
    return counts;
  };

  test('name constraints: all 9 491 are right, those that are only advised too', () => {
    expect(outcomes(suite?.suites.nameconstraints.testCases)).toEqual({
      right: 9_491,
      falseAccepts: [],
      falseRejects: [],
    });
  }, 120_000);

  test('path building: all 81 are right', () => {
    expect(outcomes(suite?.suites.pathbuilding.testCases)).toEqual({ right: 81, falseAccepts: [], falseRejects: [] });
  });
});
