import type { FailureCode } from '../core/failures.ts';
import type { Flow } from './flow.ts';
import { recordFlow } from './handle-flow.ts';

/** How long flows may go on, and what ends them then. Whoever is in a hurry changes it while they end. */
export interface DrainLimit {
  /** On the clock of performance.now(). */
  deadlineMs: number;
  code: FailureCode;
}

const askAgainMs = 100;
const settleMs = 1_000;

/** Lets flows end where nothing is cut, then cuts the rest. Every one of them has its record when this resolves. */
export async function drainFlows(flows: ReadonlySet<Flow>, limit: DrainLimit): Promise<void> {
  while (flows.size > 0 && performance.now() < limit.deadlineMs) {
    for (const flow of flows) flow.drain?.(false);
    await pause(Math.min(askAgainMs, Math.max(0, limit.deadlineMs - performance.now())));
  }
  // Those that are idle may end properly even where there is no time: their peers take what tells them so at once, as a rule.
  const isPlanned = limit.code === 'GATEWAY_SHUTTING_DOWN';
  for (const flow of flows) if (!isPlanned || flow.drain?.(true) !== true) cutFlow(flow, limit.code);
  const settledMs = performance.now() + settleMs;
  while (flows.size > 0 && performance.now() < settledMs) await pause(askAgainMs / 2);
  if (isPlanned) for (const flow of flows) cutFlow(flow, limit.code);
  // One that waits for its origin or a leaf is not to be waited for.
  for (const flow of flows) recordFlow(flow);
}

/** Ends a flow from outside, at whatever stage it is. */
function cutFlow(flow: Flow, code: FailureCode): void {
  if (flow.cut !== undefined) return flow.cut(code);
  flow.facts.failure ??= code;
  flow.client.destroy();
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
