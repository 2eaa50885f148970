import { parseProxyHeader } from '../codec/proxy-header.ts';
import { shareKeyOf } from '../codec/share-key.ts';
import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { ListenerPolicy } from '../core/policy.ts';
import { hasSpoken, readUntil } from '../net/read-until.ts';
import type { Flow } from './flow.ts';

/**
 * Reads the PROXY protocol header that a load balancer puts before the client's bytes, when the listener expects one and
 * the peer is trusted to say who the client is. Replaces the client's address in the facts.
 */
export async function acceptProxyHeader(flow: Flow, listener: ListenerPolicy): Promise<void> {
  if (listener.proxyProtocol === 'off') return;
  const isRequired = listener.proxyProtocol === 'require';
  const isTrusted = flow.policy.trustsProxyHeader(listener, flow.facts.client.ip);
  if (isRequired && !isTrusted) throw new FlowFailure('CLIENT_PROXY_HEADER_INVALID', 'source is not trusted');
  // Nobody else could be told of: what it sends, or how slowly, is its own affair.
  if (!isTrusted) claimPlace(flow);
  // Where the header may be missing, the client may be one that waits for the origin to speak first.
  if (!isRequired && !(await hasSpoken(flow.client, limits.silenceMs))) return;
  const readLimits = {
    deadlineMs: flow.policy.document.timeouts.openingMs,
    maximumBytes: limits.proxyHeaderBytes,
    onDeadline: 'CLIENT_OPENING_TIMEOUT',
    onTooLarge: 'CLIENT_PROXY_HEADER_INVALID',
  } as const;
  const header = await readUntil(flow.client, readLimits, (bytes) => {
    const parsed = parseProxyHeader(bytes);
    if (parsed.kind === 'partial') return undefined;
    if (parsed.kind === 'absent' && !isRequired) return { value: undefined, consumed: 0 };
    if (parsed.kind !== 'complete') throw new FlowFailure('CLIENT_PROXY_HEADER_INVALID', parsed.detail);
    // Passed over, it could still be believed by an origin that takes such headers from the gateway.
    if (!isTrusted) throw new FlowFailure('CLIENT_PROXY_HEADER_INVALID', 'source is not trusted');
    return { value: parsed, consumed: parsed.consumed };
  });
  if (header?.source === undefined) return;
  flow.facts.client = header.source;
  flow.facts.shareKey = shareKeyOf(header.source.ip);
  claimPlace(flow);
}

/** From here on it is known whose share of the flows its place is of. A balancer that tells nothing has all of them. */
function claimPlace(flow: Flow): void {
  const { shareKey } = flow.facts;
  if (!flow.plane.places.claim(shareKey))
    throw new FlowFailure('GATEWAY_OVERLOADED', 'its client has its share of flows');
  flow.placeKey = shareKey;
}
