import type { Socket } from 'node:net';
import type { Address, Destination } from '../core/endpoint.ts';
import { dialTcp } from '../net/dial.ts';
import { type Flow, localAddress, remoteAddress } from './flow.ts';

/** Opens TCP to the origin, through the upstream proxy where policy names one, and notes both addresses in the facts. */
export async function dialOrigin(flow: Flow, destination: Destination, spoof?: Address): Promise<Socket> {
  const { upstream, timeouts } = flow.policy.document;
  const proxy = upstream === undefined || flow.policy.bypassesUpstream(destination.host) ? undefined : upstream;
  const socket = await dialTcp(destination, {
    timeoutMs: timeouts.connectMs,
    forbidden: flow.policy.forbidden,
    ...(spoof === undefined ? {} : { spoof }),
    ...(proxy === undefined ? {} : { proxy }),
  });
  flow.origin = socket;
  flow.facts.origin = remoteAddress(socket);
  flow.facts.originLocal = localAddress(socket);
  flow.facts.upstreamProxy = proxy === undefined ? undefined : `${proxy.proxy.host}:${proxy.proxy.port}`;
  return socket;
}
