import { limits } from '../core/limits.ts';
import type { FlowFacts, MessageFacts, MessageGroupFacts } from '../core/record.ts';
import { excerptText } from './excerpt.ts';
import { type FlowText, flowTextOf } from './flow-text.ts';
import { members } from './json.ts';
import type { Stamp, Writer } from './metadata.ts';
import { classes, networkActivities, typeUid } from './ocsf.ts';
import { outcomeOf } from './outcome.ts';
import { targetText } from './target-text.ts';

/** The line of a group of WebSocket messages (OCSF Network Activity, Traffic): the first ones each, all of them in numbers. */
export function messageRecordLine(writer: Writer, flow: FlowFacts, group: MessageGroupFacts, stamp: Stamp): string {
  const text = flowTextOf(writer, flow);
  const line = compose(text, group, stamp, true);
  return Buffer.byteLength(line) <= limits.recordLineBytes ? line : compose(text, group, stamp, false);
}

function compose(flow: FlowText, group: MessageGroupFacts, stamp: Stamp, withExcerpts: boolean): string {
  const { groupId, startMs, endMs, request, messages, counts, rule } = group;
  const all = counts.client.messages + counts.origin.messages;
  const { uid, category } = classes.networkActivity;
  const truncated = messages.length < all || !withExcerpts ? ',"is_truncated":true' : '';
  return (
    `{"time":${endMs},"class_uid":${uid},"category_uid":${category},"activity_id":${networkActivities.traffic}` +
    `,"type_uid":${typeUid(uid, networkActivities.traffic)},${members(outcomeOf({ ...group, complete: true }))}` +
    `,"start_time":${startMs},"end_time":${endMs},"duration":${Math.max(0, endMs - startMs)},"count":${all}` +
    `,"metadata":{${flow.metadata.text},"uid":"${groupId}","sequence":${stamp.sequence},"logged_time":${stamp.loggedMs}${truncated}}` +
    `,${flow.parts.text},"url":${targetText(request, flow)}` +
    `${rule === undefined ? '' : `,"firewall_rule":${JSON.stringify({ name: rule.title, uid: rule.id, version: String(rule.rev) })}`}` +
    `,"traffic":{"bytes":${counts.client.bytes + counts.origin.bytes}` +
    `,"bytes_out":${counts.client.bytes},"bytes_in":${counts.origin.bytes}}` +
    `,"unmapped":{"gateway":{${flow.gateway.text},${gatewayText(group)},"messages":[${messages
      .map((message) => messageText(message, withExcerpts))
      .join(',')}]}}}`
  );
}

function gatewayText(group: MessageGroupFacts): string {
  const { txId, verdict, rule, ruleIds, matches, alarms, failure, counts } = group;
  return members({
    tx: txId,
    verdict,
    rule: rule?.id,
    rule_ids: ruleIds.length === 0 ? undefined : ruleIds,
    matches: matches === 0 ? undefined : matches,
    alarms: alarms === 0 ? undefined : alarms,
    failure,
    websocket: {
      messages_out: counts.client.messages,
      messages_in: counts.origin.messages,
      control_out: counts.client.control,
      control_in: counts.origin.control,
    },
  });
}

function messageText(message: MessageFacts, withExcerpt: boolean): string {
  const { timeMs, from, type, isCompressed, isComplete, bytes, excerpt } = message;
  const head =
    `{"time":${timeMs},"from":"${from}","type":"${type}","bytes":${bytes}` +
    `${isCompressed ? ',"compressed":true' : ''}${isComplete ? '' : ',"complete":false'}`;
  const content = withExcerpt ? excerptText({ excerpt, bytes, coding: undefined }) : undefined;
  return content === undefined ? `${head}}` : `${head},"content":${content}}`;
}
