import { limits } from '../core/limits.ts';
import type { FlowFacts } from '../core/record.ts';
import { bypassedPart } from './flow-parts.ts';
import { flowTextOf, withTls } from './flow-text.ts';
import { members } from './json.ts';
import type { Stamp, Writer } from './metadata.ts';
import { classes, typeUid } from './ocsf.ts';
import { networkActivityOf, outcomeOf } from './outcome.ts';

/** The line of a flow at its end (OCSF Network Activity). Its `metadata.uid` is the flow id. */
export function flowRecordLine(writer: Writer, flow: FlowFacts, endMs: number, stamp: Stamp): string {
  const line = compose(writer, flow, endMs, stamp, true);
  // Only certificates with many long names reach the limit.
  return Buffer.byteLength(line) <= limits.recordLineBytes ? line : compose(writer, flow, endMs, stamp, false);
}

/** Most of it was written for the transactions of the flow already. */
function compose(writer: Writer, flow: FlowFacts, endMs: number, stamp: Stamp, withNames: boolean): string {
  const { failure, decision, bytesFromClient, bytesFromOrigin, transactions, alarms, flowId, startMs } = flow;
  const { uid, category } = classes.networkActivity;
  const isRefused = decision?.kind === 'refuse';
  const activity = networkActivityOf(failure, isRefused);
  const text = flowTextOf(writer, flow);
  const outcome = outcomeOf({
    verdict: isRefused ? 'block' : 'allow',
    complete: true,
    failure,
    detail: flow.failureDetail,
    alarms,
  });
  return (
    `{"time":${endMs},"class_uid":${uid},"category_uid":${category},"activity_id":${activity}` +
    `,"type_uid":${typeUid(uid, activity)},${members(outcome)}` +
    `,"start_time":${startMs},"end_time":${endMs},"duration":${Math.max(0, endMs - startMs)}` +
    `,"metadata":{${text.metadata.text},"uid":"${flowId}","sequence":${stamp.sequence}` +
    `,"logged_time":${stamp.loggedMs}${withNames ? '' : ',"is_truncated":true'}}` +
    `,${withTls(text.ends, flow, withNames)}` +
    `,"traffic":{"bytes":${bytesFromClient + bytesFromOrigin},"bytes_out":${bytesFromClient},"bytes_in":${bytesFromOrigin}}` +
    `,"unmapped":{"gateway":{${text.gateway.text},${members({ transactions, alarms, failure, ...bypassedPart(flow) })}}}}`
  );
}
