import { limits } from '../core/limits.ts';
import type { FlowFacts } from '../core/record.ts';
import { bypassedPart, connectionPart, endpointParts, gatewayParts, proxyParts } from './flow-parts.ts';
import { flowMetadata, recordMetadata, type Stamp, type Writer } from './metadata.ts';
import { classes, typeUid } from './ocsf.ts';
import { networkActivityOf, outcomeOf } from './outcome.ts';
import { tlsParts } from './tls-parts.ts';

/** The line of a flow at its end (OCSF Network Activity). Its `metadata.uid` is the flow id. */
export function flowRecordLine(writer: Writer, flow: FlowFacts, endMs: number, stamp: Stamp): string {
  const line = compose(writer, flow, endMs, stamp, true);
  // Only certificates with many long names reach the limit.
  return Buffer.byteLength(line) <= limits.recordLineBytes ? line : compose(writer, flow, endMs, stamp, false);
}

function compose(writer: Writer, flow: FlowFacts, endMs: number, stamp: Stamp, withNames: boolean): string {
  const { failure, decision, bytesFromClient, bytesFromOrigin } = flow;
  const { uid, category } = classes.networkActivity;
  const activity = networkActivityOf(failure, decision?.kind === 'refuse');
  return JSON.stringify({
    time: endMs,
    class_uid: uid,
    category_uid: category,
    activity_id: activity,
    type_uid: typeUid(uid, activity),
    ...outcomeOf({
      verdict: decision?.kind === 'refuse' ? 'block' : 'allow',
      complete: true,
      failure,
      detail: flow.failureDetail,
      alarms: flow.alarms,
    }),
    start_time: flow.startMs,
    end_time: endMs,
    duration: Math.max(0, endMs - flow.startMs),
    metadata: {
      ...flowMetadata(writer, flow, 'traffic', ['network_proxy', 'security_control']),
      ...recordMetadata(flow.flowId, stamp),
      is_truncated: withNames ? undefined : true,
    },
    ...endpointParts(flow),
    connection_info: connectionPart(flow),
    ...proxyParts(flow, writer.node),
    ...tlsParts(flow, withNames),
    traffic: { bytes: bytesFromClient + bytesFromOrigin, bytes_out: bytesFromClient, bytes_in: bytesFromOrigin },
    policy: { name: 'policy', uid: flow.policyVersion, version: flow.policyVersion },
    unmapped: {
      gateway: {
        ...gatewayParts(flow),
        transactions: flow.transactions,
        alarms: flow.alarms,
        failure,
        ...bypassedPart(flow),
      },
    },
  });
}
