import { FlowFailure } from '../core/failures.ts';
import { count } from '../metrics/counters.ts';
import { answerFailure } from './answer-failure.ts';
import { captureExplicit } from './capture-explicit.ts';
import { captureReverse } from './capture-reverse.ts';
import { captureTransparent } from './capture-transparent.ts';
import { countFlowFailure } from './count-failure.ts';
import type { Flow } from './flow.ts';
import { destroyAfterFlush } from './linger.ts';

/**
 * The way of one client connection, from accept to its last record: a failure is told to the client at the layer it is
 * at, recorded with its code, and touches no other flow. Rejects only when the record itself cannot be made.
 */
export async function handleFlow(flow: Flow): Promise<void> {
  // A peer may reset at any await; without a listener that would end the process.
  flow.client.on('error', ignore);
  try {
    if (flow.facts.client.ip === '') throw new FlowFailure('CLIENT_GONE', 'before it was accepted');
    await capture(flow);
  } catch (error) {
    const failure = error instanceof FlowFailure ? error : new FlowFailure('GATEWAY_INTERNAL', describeError(error));
    noteFailure(flow, failure);
    await answerFailure(flow, failure).catch(ignore);
  } finally {
    closeLegs(flow);
    recordFlow(flow);
  }
}

function capture(flow: Flow): Promise<void> {
  switch (flow.listener.mode) {
    case 'explicit':
      return captureExplicit(flow, flow.listener);
    case 'transparent':
      return captureTransparent(flow, flow.listener);
    case 'reverse':
      return captureReverse(flow, flow.listener);
  }
}

function noteFailure(flow: Flow, failure: FlowFailure): void {
  if (flow.facts.failure !== undefined) return;
  flow.facts.failure = failure.code;
  flow.facts.failureDetail = failure.detail;
}

/** An error with the place where it came from, for those who can mend it. */
export function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function ignore(): void {}

function closeLegs(flow: Flow): void {
  const { origin, client } = flow;
  if (origin !== undefined && !origin.destroyed) {
    origin.on('error', ignore);
    origin.destroy();
  }
  if (client.destroyed) return;
  client.resume();
  // Ending what has ended makes an error that nobody hears of, with a stack trace.
  if (!client.writableEnded) client.end();
  destroyAfterFlush(client);
}

/** Writes the record of a flow that is over; once. */
export function recordFlow(flow: Flow): void {
  const { facts } = flow;
  if (flow.isRecorded) return;
  flow.isRecorded = true;
  count(`daylight_flows_total{decision="${facts.decision?.kind ?? 'none'}"}`);
  count('daylight_bytes_total{from="client"}', facts.bytesFromClient);
  count('daylight_bytes_total{from="origin"}', facts.bytesFromOrigin);
  countFlowFailure(facts);
  try {
    flow.plane.recorder.flowEnd(facts, Date.now());
  } catch (error) {
    // Policy says to stop when records cannot be written; the flow is over already and the recorder has told it loudly.
    if (!(error instanceof FlowFailure)) throw error;
  }
}
