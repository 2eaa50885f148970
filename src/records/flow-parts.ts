import type { Address } from '../core/endpoint.ts';
import { limits } from '../core/limits.ts';
import type { FlowFacts } from '../core/record.ts';
import { cut } from './header-text.ts';
import type { JsonObject } from './json.ts';
import { directions, endpointTypes, hostnamePattern, tcp, udp } from './ocsf.ts';
import { maskText } from './redact.ts';
import { tlsExtras } from './tls-parts.ts';

/** Client and destination, with the asset where it is one of them. */
export function endpointParts(flow: FlowFacts): JsonObject {
  return { src_endpoint: clientPart(flow), dst_endpoint: destinationPart(flow) };
}

/** The client's connection as a sensor on its wire sees it. */
export function connectionPart(flow: FlowFacts): JsonObject {
  return {
    uid: flow.flowId,
    protocol_num: flow.transport === 'udp' ? udp : tcp,
    protocol_name: flow.transport ?? 'tcp',
    protocol_ver_id: ipVersionOf(flow.client),
    direction_id: flow.capture === 'reverse' ? directions.inbound : directions.outbound,
    community_uid: flow.communityId,
  };
}

/** The gateway and its own connection to the origin (profile network_proxy). */
export function proxyParts(flow: FlowFacts, node: string): JsonObject {
  const { gateway, origin, originLocal } = flow;
  return {
    proxy_endpoint: { ...addressPart(gateway), name: node },
    proxy_connection_info:
      origin === undefined
        ? undefined
        : {
            protocol_num: tcp,
            protocol_name: 'tcp',
            protocol_ver_id: ipVersionOf(originLocal ?? origin),
            direction_id: directions.outbound,
            community_uid: flow.originCommunityId,
          },
  };
}

/** What a flow is, beyond the slots of OCSF: members of `unmapped.gateway` in every record of the flow. */
export function gatewayParts(flow: FlowFacts): JsonObject {
  const { decision, asset, upstreamProxy, originExceptions } = flow;
  return {
    listener: flow.listenerId,
    capture: flow.capture,
    via: flow.via,
    decision: decision?.kind,
    decision_reason: decision?.reason,
    asset: asset === undefined ? undefined : { id: asset.id, kind: asset.kind },
    protocol: flow.protocol,
    origin: textOf(flow.origin),
    origin_local: textOf(flow.originLocal),
    upstream_proxy: upstreamProxy === undefined ? undefined : maskText(upstreamProxy),
    origin_revocation: revocationPart(flow),
    origin_exceptions: originExceptions.length === 0 ? undefined : originExceptions,
    client_tls: tlsExtras(flow.clientTls),
    origin_tls: tlsExtras(flow.originTls),
  };
}

/** A failed origin check that was left to the client: the flow itself went on. */
export function bypassedPart({ bypassedFailure }: FlowFacts): JsonObject {
  if (bypassedFailure === undefined) return {};
  const { code, detail } = bypassedFailure;
  return { bypassed_failure: code, bypassed_detail: cut(maskText(detail), limits.recordDetailBytes) };
}

function revocationPart({ originRevocation }: FlowFacts): JsonObject | undefined {
  if (originRevocation === undefined) return undefined;
  const { status, source, detail } = originRevocation;
  return { status, source, detail: detail === '' ? undefined : cut(detail, limits.recordDetailBytes) };
}

function clientPart(flow: FlowFacts): JsonObject {
  const { client, asset } = flow;
  const endpoint = addressPart(client);
  switch (asset?.kind) {
    case 'cvm':
      return { ...endpoint, uid: asset.id, type_id: endpointTypes.virtual };
    case 'container':
      return { ...endpoint, uid: asset.id, type_id: endpointTypes.other, type: asset.kind };
    default:
      return endpoint;
  }
}

function destinationPart(flow: FlowFacts): JsonObject | undefined {
  const { destination, origin, asset, upstreamProxy } = flow;
  if (destination === undefined) return undefined;
  // Behind an upstream proxy the address that was dialled is the proxy's.
  const ip = destination.ip ?? (upstreamProxy === undefined ? origin?.ip : undefined);
  return {
    ip,
    port: destination.port,
    ...(destination.host === ip ? {} : hostPart(destination.host)),
    svc_name: flow.protocol,
    ...(asset?.kind === 'gaap' ? { uid: asset.id, type_id: endpointTypes.other, type: asset.kind } : {}),
  };
}

/** A socket that is gone has no address any more; a link-local one has a zone, which means something on this machine only. */
function addressPart({ ip, port }: Address): JsonObject {
  return ip === '' ? { name: 'unknown', port } : { ip: ip.split('%', 1)[0] ?? ip, port };
}

function hostPart(host: string): JsonObject {
  return hostnamePattern.test(host) ? { hostname: host } : { name: cut(maskText(host), limits.recordDetailBytes) };
}

function ipVersionOf(address: Address): number {
  return address.ip.includes(':') ? 6 : 4;
}

function textOf(address: Address | undefined): string | undefined {
  if (address === undefined) return undefined;
  return address.ip.includes(':') ? `[${address.ip}]:${address.port}` : `${address.ip}:${address.port}`;
}
