import { FlowFailure } from '../core/failures.ts';
import { leafRejection } from './client-leg.ts';
import type { Flow } from './flow.ts';
import { noteUpgradedClient } from './leaf-rejection.ts';
import type { Tunnel } from './relay-tunnel.ts';
import { runRelay } from './run-relay.ts';
import { secureLegs } from './secure-legs.ts';
import { openVerifiedOrigin } from './verified-origin.ts';

/**
 * A flow that is not TLS on the client's side: the same relay over plain sockets, recorded as such. Without a protocol the
 * first bytes tell it.
 */
export async function relayPlaintext(flow: Flow, tunnel: Tunnel, protocol: string | undefined): Promise<void> {
  const transport = await tunnel.dial();
  if (tunnel.originTls !== 'always') {
    await runRelay(flow, {
      origin: transport,
      protocol,
      scheme: 'http',
      secure: secureLegs(flow, tunnel),
      failureOf: (side, error) => (side === 'client' && flow.facts.decrypted ? leafRejection(error) : undefined),
    });
    return noteUpgradedClient(flow, tunnel.destination.host);
  }
  const alpn = protocol === 'http/1.1' || protocol === 'h2' ? [protocol] : [];
  const leg = await openVerifiedOrigin(flow, tunnel, transport, { serverName: undefined, alpn });
  if (leg.tls.alpn !== undefined && leg.tls.alpn !== protocol) throw new FlowFailure('ORIGIN_HANDSHAKE_FAILED', 'ALPN');
  flow.origin = leg.socket;
  await runRelay(flow, { origin: leg.socket, protocol, scheme: 'http' });
}
