import { parseProxyHeader } from '../codec/proxy-header.ts';
import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { ListenerPolicy } from '../core/policy.ts';
import { readUntil } from '../net/read-until.ts';
import type { Flow } from './flow.ts';

/**
 * Reads the PROXY protocol header that a load balancer puts before the client's bytes, when the listener expects one and
 * the peer is trusted to say who the client is. Replaces the client's address in the facts.
 */
export async function acceptProxyHeader(flow: Flow, listener: ListenerPolicy): Promise<void> {
  if (listener.proxyProtocol === 'off') return;
  const required = listener.proxyProtocol === 'require';
  if (!flow.policy.trustsProxyHeader(listener, flow.facts.client.ip)) {
    if (required) throw new FlowFailure('CLIENT_PROXY_HEADER_INVALID', 'source is not trusted');
    return;
  }
  const readLimits = {
    deadlineMs: flow.policy.document.timeouts.openingMs,
    maximumBytes: limits.proxyHeaderBytes,
    onDeadline: 'CLIENT_OPENING_TIMEOUT',
    onTooLarge: 'CLIENT_PROXY_HEADER_INVALID',
  } as const;
  const header = await readUntil(flow.client, readLimits, (bytes) => {
    const parsed = parseProxyHeader(bytes);
    if (parsed.kind === 'partial') return undefined;
    if (parsed.kind === 'complete') return { value: parsed, consumed: parsed.consumed };
    if (required || parsed.kind === 'malformed') throw new FlowFailure('CLIENT_PROXY_HEADER_INVALID', parsed.detail);
    return { value: undefined, consumed: 0 };
  });
  if (header?.source === undefined) return;
  flow.facts.client = header.source;
}
