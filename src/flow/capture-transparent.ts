import { FlowFailure } from '../core/failures.ts';
import type { TransparentListener } from '../core/policy.ts';
import { originalDestination } from '../net/original-destination.ts';
import { acceptProxyHeader } from './accept-proxy-header.ts';
import { dialOrigin } from './dial-origin.ts';
import { type Flow, setDestination } from './flow.ts';
import { relayTunnel } from './relay-tunnel.ts';

/** A captured connection: the client does not know of the gateway, the kernel knows where it meant to go. */
export async function captureTransparent(flow: Flow, listener: TransparentListener): Promise<void> {
  await acceptProxyHeader(flow, listener);
  const address = originalDestination(flow.client, listener.capture);
  flow.facts.via = listener.capture;
  const destination = { host: address.ip, port: address.port, ip: address.ip };
  setDestination(flow, destination);
  // A client that connects to the capturing port itself would make the gateway dial itself.
  const forbidden = flow.policy.forbidden(address);
  if (forbidden !== undefined) throw new FlowFailure(forbidden, `${address.ip}:${address.port}`);
  const spoof = listener.spoofClient ? flow.facts.client : undefined;
  await relayTunnel(flow, { destination, dial: (to = destination) => dialOrigin(flow, to, spoof) });
}
