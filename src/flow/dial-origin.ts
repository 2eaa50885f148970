import type { Socket } from 'node:net';
import { communityId } from '../codec/community-id.ts';
import type { Address, Destination } from '../core/endpoint.ts';
import { FlowFailure } from '../core/failures.ts';
import { type DialOptions, dialTcp } from '../net/dial.ts';
import { localAddressOf, remoteAddressOf } from '../net/original-destination.ts';
import type { Flow } from './flow.ts';

/** Opens TCP to the origin, through the upstream proxy where policy names one, and notes both addresses in the facts. */
export async function dialOrigin(flow: Flow, destination: Destination, spoof?: Address): Promise<Socket> {
  // Asked here and not at accept, because here the client can be told.
  if (!flow.plane.isRecordable()) throw new FlowFailure('GATEWAY_RECORDS_UNWRITABLE', 'records cannot be written');
  const route = routeTo(flow, destination, spoof);
  const { proxy } = route;
  const { facts } = flow;
  // Noted ahead, for a failure to dial names the proxy too; what is known of an earlier origin is not of this one.
  facts.upstreamProxy = proxy === undefined ? undefined : `${proxy.proxy.host}:${proxy.proxy.port}`;
  facts.origin = undefined;
  facts.originLocal = undefined;
  const socket = await dialTcp(destination, route);
  socket.on('error', ignore);
  flow.origin = socket;
  flow.originTransport = socket;
  if (socket.remoteAddress === undefined) throw new FlowFailure('ORIGIN_GONE', 'as soon as it was connected');
  facts.origin = remoteAddressOf(socket);
  facts.originLocal = localAddressOf(socket);
  facts.originCommunityId = communityId(facts.originLocal, facts.origin);
  return socket;
}

/** How a destination is to be reached, by every connection of a flow to it. */
export function routeTo({ policy, plane, facts }: Flow, { host }: Destination, spoof?: Address): DialOptions {
  const { upstream, timeouts } = policy.document;
  return {
    resolve: (name) => plane.resolve(name, facts.shareKey),
    timeoutMs: timeouts.connectMs,
    forbidden: policy.forbidden,
    ...(spoof === undefined ? {} : { spoof }),
    ...(upstream === undefined || policy.bypassesUpstream(host)
      ? {}
      : { proxy: upstream, isGuarded: policy.isGuarded }),
  };
}

/** Between two readers nobody listens; without a listener a reset would end the process. The next reader sees the close. */
function ignore(): void {}
