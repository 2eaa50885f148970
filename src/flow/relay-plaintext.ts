import { FlowFailure } from '../core/failures.ts';
import type { Flow } from './flow.ts';
import { openOriginLeg } from './origin-leg.ts';
import type { Tunnel } from './relay-tunnel.ts';
import { runRelay } from './run-relay.ts';

/** A flow that is not TLS on the client's side: the same relay over plain sockets, recorded as such. */
export async function relayPlaintext(flow: Flow, tunnel: Tunnel, protocol: string): Promise<void> {
  const transport = await tunnel.dial();
  if (tunnel.originTls !== 'always') {
    return runRelay(flow, { origin: transport, protocol, scheme: 'http' });
  }
  const name = tunnel.verifyAs ?? tunnel.destination.host;
  const exception = flow.policy.exceptionFor(name);
  const leg = await openOriginLeg({
    transport,
    context: flow.policy.originContext(exception),
    name,
    serverName: tunnel.verifyAs ?? (tunnel.destination.ip === undefined ? name : undefined),
    alpn: protocol === 'http/1.1' ? ['http/1.1'] : [],
    exception,
    timeoutMs: flow.policy.document.timeouts.handshakeMs,
  });
  if (leg.tls.alpn !== undefined && leg.tls.alpn !== protocol) throw new FlowFailure('ORIGIN_HANDSHAKE_FAILED', 'ALPN');
  flow.origin = leg.socket;
  flow.facts.originTls = leg.tls;
  await runRelay(flow, { origin: leg.socket, protocol, scheme: 'http' });
}
