import { expect, test } from 'vitest';
import { countFailure, countFlowFailure } from '../../src/flow/count-failure.ts';
import { takeIncrements } from '../../src/metrics/counters.ts';
import { flowFacts } from '../support/record-facts.ts';

const counted = (): Record<string, number> =>
  Object.fromEntries(
    Object.entries(takeIncrements()).map(([series, by]) => [/code="(\w+)"/.exec(series)?.[1] ?? series, by]),
  );

test('a flow counts what it failed by where no transaction of it has, and each failed transaction counts', () => {
  takeIncrements();
  const alone = flowFacts({ failure: 'ORIGIN_REFUSED' });
  countFlowFailure(alone);
  expect(counted()).toEqual({ ORIGIN_REFUSED: 1 });

  const told = flowFacts({ failure: 'ORIGIN_REFUSED' });
  countFailure(told, 'ORIGIN_REFUSED');
  countFailure(told, 'ORIGIN_REFUSED');
  countFlowFailure(told);
  expect(counted()).toEqual({ ORIGIN_REFUSED: 2 });

  const other = flowFacts({ failure: 'CLIENT_IDLE_TIMEOUT' });
  countFailure(other, 'POLICY_LOOP');
  countFlowFailure(other);
  expect(counted()).toEqual({ POLICY_LOOP: 1, CLIENT_IDLE_TIMEOUT: 1 });

  countFlowFailure(flowFacts({ failure: undefined }));
  expect(counted()).toEqual({});
});
