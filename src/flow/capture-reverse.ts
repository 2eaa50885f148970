import { encodeProxyHeader } from '../codec/proxy-header.ts';
import type { ReverseListener } from '../core/policy.ts';
import { acceptProxyHeader } from './accept-proxy-header.ts';
import { dialOrigin } from './dial-origin.ts';
import { type Flow, setDestination } from './flow.ts';
import { relayTunnel } from './relay-tunnel.ts';

/** A published endpoint: every client is led to the one configured origin. */
export async function captureReverse(flow: Flow, listener: ReverseListener): Promise<void> {
  await acceptProxyHeader(flow, listener);
  flow.facts.via = 'reverse';
  setDestination(flow, listener.origin);
  await relayTunnel(flow, {
    destination: listener.origin,
    verifyAs: listener.originName,
    originTls: listener.originTls,
    ownCertificate: flow.policy.ownCertificate(listener),
    dial: async () => {
      const origin = await dialOrigin(flow, listener.origin);
      if (listener.sendProxyProtocol !== 'off') {
        origin.write(encodeProxyHeader(listener.sendProxyProtocol, flow.facts.client, flow.facts.gateway));
      }
      return origin;
    },
  });
}
