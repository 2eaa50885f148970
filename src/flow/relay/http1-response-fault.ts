import type { ParsedResponse } from '../../codec/http1-head.ts';
import type { LiveExchange } from './http1-exchange.ts';
import type { Pipeline } from './http1-pipeline.ts';

/** How a response contradicts the request that it answers; empty when it does not. */
export function faultBetween({ head, upgrade }: ParsedResponse, exchange: LiveExchange): string {
  // An HTTP/1.0 client takes an interim response for the final one (RFC 9110 section 15.2) and chunks for the body.
  if (exchange.request.version === '1.0' && (head.status < 200 || head.framing.kind === 'chunked')) {
    return 'HTTP/1.1 framing in answer to HTTP/1.0';
  }
  return head.status === 101 && !isOffered(upgrade, exchange) ? 'a switch of protocols that was not asked for' : '';
}

/** Whether the client asked for this protocol, and is done asking (RFC 9110 section 7.8). */
function isOffered(protocol: string | undefined, exchange: LiveExchange): boolean {
  if (protocol === undefined || exchange.upgrade === undefined || !exchange.isRequestDone) return false;
  return exchange.upgrade.split(',').some((offer) => offer.trim() === protocol);
}

/** Ends the flow of an origin that ended before it answered, or within the head of its answer. */
export function endUnanswered(pipeline: Pipeline, isInHead: boolean): void {
  if (isInHead) pipeline.answerFirst({ code: 'ORIGIN_TRUNCATED', detail: 'the origin ended within a response head' });
  else if (pipeline.responsesOnLeg > 0) {
    // The race of every kept connection: the origin ended it while the request was on its way. The client sees what it
    // would see without us, a close without an answer, and repeats what may be repeated (RFC 9112 section 9.3.1).
    pipeline.close('ORIGIN_GONE', 'the origin ended a kept connection');
  } else pipeline.answerFirst({ code: 'ORIGIN_GONE', detail: 'the origin ended without an answer' });
}
