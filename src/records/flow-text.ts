import type { FlowFacts } from '../core/record.ts';
import { connectionPart, endpointParts, gatewayParts, proxyParts } from './flow-parts.ts';
import { HeadMemo } from './header-text.ts';
import { members } from './json.ts';
import { LinePart } from './line-piece.ts';
import { flowMetadata, type Writer } from './metadata.ts';
import { tlsText } from './tls-parts.ts';

/**
 * What is the same in all transactions of a flow, as JSON members: written once per flow, since it is more than half of
 * a line. Made anew when a fact that stands in it has changed (a proxy client that goes to another origin).
 */
export interface FlowText {
  /** Members of `metadata`. */
  readonly metadata: LinePart;
  /** Endpoints, connections, policy. */
  readonly ends: string;
  /** The same with TLS of both legs, without what the line of the flow alone tells of it. */
  readonly parts: LinePart;
  /** Members of `unmapped.gateway`. */
  readonly gateway: LinePart;
  readonly scheme: 'http' | 'https';
  readonly port: number | undefined;
  /** Of the client's ClientHello. */
  readonly serverName: string | undefined;
  /** The headers that were written last: kept-alive connections repeat them. */
  readonly requestHead: HeadMemo;
  readonly responseHead: HeadMemo;
}

interface Entry {
  readonly writer: Writer;
  readonly facts: FlowFacts;
  readonly text: FlowText;
}

const entries = new WeakMap<FlowFacts, Entry>();

/** The JSON of a flow, from its first transaction on out of memory. */
export function flowTextOf(writer: Writer, flow: FlowFacts): FlowText {
  const entry = entries.get(flow);
  if (entry !== undefined && entry.writer === writer && isCurrent(entry.facts, flow)) return entry.text;
  const text = flowText(writer, flow);
  entries.set(flow, { writer, facts: { ...flow }, text });
  return text;
}

/** Facts are replaced, not changed within: comparing references is enough. */
function isCurrent(then: FlowFacts, now: FlowFacts): boolean {
  return (
    then.origin === now.origin &&
    then.originLocal === now.originLocal &&
    then.destination === now.destination &&
    then.client === now.client &&
    then.asset === now.asset &&
    then.decision === now.decision &&
    then.clientTls === now.clientTls &&
    then.originTls === now.originTls &&
    then.decrypted === now.decrypted &&
    then.protocol === now.protocol &&
    then.fingerprints === now.fingerprints &&
    then.serverName === now.serverName &&
    then.communityId === now.communityId &&
    then.originCommunityId === now.originCommunityId &&
    then.upstreamProxy === now.upstreamProxy &&
    then.originExceptions === now.originExceptions &&
    then.originRevocation === now.originRevocation &&
    then.bypassedFailure === now.bypassedFailure &&
    then.via === now.via &&
    then.policyVersion === now.policyVersion
  );
}

function flowText(writer: Writer, flow: FlowFacts): FlowText {
  const ends = members({
    ...endpointParts(flow),
    connection_info: connectionPart(flow),
    ...proxyParts(flow, writer.node),
    policy: { name: 'policy', uid: flow.policyVersion, version: flow.policyVersion },
  });
  return {
    metadata: new LinePart(members(flowMetadata(writer, flow, 'traffic', ['network_proxy', 'security_control']))),
    ends,
    parts: new LinePart(withTls(ends, flow, false)),
    gateway: new LinePart(members(gatewayParts(flow))),
    scheme: flow.decrypted ? 'https' : 'http',
    port: flow.destination?.port,
    serverName: flow.serverName,
    requestHead: new HeadMemo(),
    responseHead: new HeadMemo(),
  };
}

/** Members that end with those of TLS, where there is any. */
export function withTls(ends: string, flow: FlowFacts, withNames: boolean): string {
  const tls = tlsText(flow, withNames);
  return tls === '' ? ends : `${ends},${tls}`;
}
