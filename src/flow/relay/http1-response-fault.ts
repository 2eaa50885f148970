import type { ParsedResponse } from '../../codec/http1-head.ts';
import type { LiveExchange } from './http1-exchange.ts';

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
