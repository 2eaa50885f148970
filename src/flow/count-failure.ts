import type { FailureCode } from '../core/failures.ts';
import type { FlowFacts } from '../core/record.ts';
import { count } from '../metrics/counters.ts';

/** What the transactions of a flow have counted. Only flows in which something failed stand here. */
const counted = new WeakMap<FlowFacts, Set<FailureCode>>();

/** Counts a failure of one transaction, or of one thing that was tried, in a flow. */
export function countFailure(flow: FlowFacts, code: FailureCode): void {
  const codes = counted.get(flow) ?? new Set();
  counted.set(flow, codes.add(code));
  count(`daylight_failures_total{code="${code}"}`);
}

/** Counts what a flow failed by, unless a transaction of it has told the same already: one failure counts once. */
export function countFlowFailure(flow: FlowFacts): void {
  if (flow.failure === undefined || counted.get(flow)?.has(flow.failure)) return;
  count(`daylight_failures_total{code="${flow.failure}"}`);
}
