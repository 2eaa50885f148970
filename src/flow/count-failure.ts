import type { FailureCode } from '../core/failures.ts';
import type { FlowFacts } from '../core/record.ts';
import { count } from '../metrics/counters.ts';

/** Counts a failure of one transaction, or of one thing that was tried, in a flow. */
export function countFailure(flow: FlowFacts, code: FailureCode): void {
  flow.failuresTold = new Set(flow.failuresTold).add(code);
  count(`daylight_failures_total{code="${code}"}`);
}

/** Counts what a flow failed by, unless a transaction of it has told the same already: one failure counts once. */
export function countFlowFailure(flow: FlowFacts): void {
  if (flow.failure === undefined || flow.failuresTold?.has(flow.failure)) return;
  count(`daylight_failures_total{code="${flow.failure}"}`);
}
