import type { Socket } from 'node:net';
import { communityId } from '../codec/community-id.ts';
import type { Address, Destination } from '../core/endpoint.ts';
import { FlowFailure } from '../core/failures.ts';
import { dialTcp } from '../net/dial.ts';
import { localAddressOf, remoteAddressOf } from '../net/original-destination.ts';
import type { Flow } from './flow.ts';

/** Opens TCP to the origin, through the upstream proxy where policy names one, and notes both addresses in the facts. */
export async function dialOrigin(flow: Flow, destination: Destination, spoof?: Address): Promise<Socket> {
  // Asked here and not at accept, because here the client can be told.
  if (!flow.plane.isRecordable()) throw new FlowFailure('GATEWAY_RECORDS_UNWRITABLE', 'records cannot be written');
  const { upstream, timeouts } = flow.policy.document;
  const proxy = upstream === undefined || flow.policy.bypassesUpstream(destination.host) ? undefined : upstream;
  const socket = await dialTcp(destination, {
    resolve: flow.plane.resolve,
    timeoutMs: timeouts.connectMs,
    forbidden: flow.policy.forbidden,
    ...(spoof === undefined ? {} : { spoof }),
    ...(proxy === undefined ? {} : { proxy }),
  });
  socket.on('error', ignore);
  flow.origin = socket;
  flow.originTransport = socket;
  if (socket.remoteAddress === undefined) throw new FlowFailure('ORIGIN_GONE', 'as soon as it was connected');
  flow.facts.origin = remoteAddressOf(socket);
  flow.facts.originLocal = localAddressOf(socket);
  flow.facts.communityId = communityId(flow.facts.client, clientsView(destination, flow.facts.origin));
  flow.facts.originCommunityId = communityId(flow.facts.originLocal, flow.facts.origin);
  flow.facts.upstreamProxy = proxy === undefined ? undefined : `${proxy.proxy.host}:${proxy.proxy.port}`;
  return socket;
}

/** The destination as a sensor on the client's wire sees it where capture is transparent, else the address it stands for. */
function clientsView(destination: Destination, origin: Address): Address {
  return { ip: destination.ip ?? origin.ip, port: destination.port };
}

/** Between two readers nobody listens; without a listener a reset would end the process. The next reader sees the close. */
function ignore(): void {}
