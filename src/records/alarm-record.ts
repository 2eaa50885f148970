import { limits } from '../core/limits.ts';
import type { AlarmFacts, FlowFacts } from '../core/record.ts';
import type { RuleAction } from '../core/verdict.ts';
import { connectionPart, endpointParts, gatewayParts } from './flow-parts.ts';
import { flowTextOf } from './flow-text.ts';
import { cut, headText } from './header-text.ts';
import type { JsonObject, JsonValue } from './json.ts';
import { flowMetadata, recordMetadata, type Stamp, type Writer } from './metadata.ts';
import {
  actions,
  affectedResource,
  classes,
  dispositions,
  findingActivities,
  findingStatuses,
  ftpActivities,
  httpActivities,
  mailActivities,
  networkActivities,
  otherActivity,
  ruleAnalytic,
  severities,
  typeUid,
} from './ocsf.ts';
import { maskText } from './redact.ts';
import { targetText } from './target-text.ts';
import { tlsText } from './tls-parts.ts';

/** The line of an alarm (OCSF Detection Finding). `uid` is its own; the transaction and the flow are named as related. */
export function alarmRecordLine(writer: Writer, flow: FlowFacts, alarm: AlarmFacts, uid: string, stamp: Stamp): string {
  const metadata = recordMetadata(uid, stamp);
  const line = compose(writer, flow, alarm, uid, metadata);
  if (Buffer.byteLength(line) <= limits.recordLineBytes) return line;
  // Only a request that was made to be long reaches the limit; the record of its transaction holds it.
  return compose(writer, flow, { ...alarm, request: undefined }, uid, { ...metadata, is_truncated: true });
}

function compose(writer: Writer, flow: FlowFacts, alarm: AlarmFacts, uid: string, metadata: JsonObject): string {
  const { match, timeMs } = alarm;
  const { rule } = match;
  const { uid: classUid, category } = classes.detectionFinding;
  const [action, disposition] = actionOf(match.action);
  return JSON.stringify({
    time: timeMs,
    class_uid: classUid,
    category_uid: category,
    activity_id: findingActivities.create,
    type_uid: typeUid(classUid, findingActivities.create),
    severity_id: severities[match.severity],
    status_id: findingStatuses.new,
    action_id: action,
    disposition_id: disposition,
    is_alert: true,
    // The profile network_proxy is not one of findings: what the proxy knows stands in the traffic records.
    metadata: { ...flowMetadata(writer, flow, 'alarms', ['security_control']), ...metadata },
    finding_info: {
      uid,
      title: rule.title,
      types: match.tags.length === 0 ? undefined : match.tags,
      analytic: { type_id: ruleAnalytic, uid: rule.id, name: rule.title, version: String(rule.rev) },
      first_seen_time: timeMs,
      last_seen_time: timeMs,
      related_events: relatedEvents(flow, alarm),
    },
    evidences: [evidence(writer, flow, alarm)],
    ...resourceParts(flow),
    firewall_rule: { name: rule.title, uid: rule.id, version: String(rule.rev) },
    policy: { name: 'policy', uid: flow.policyVersion, version: flow.policyVersion },
    unmapped: {
      gateway: {
        ...gatewayParts(flow),
        tx: alarm.txId,
        method: otherMethod(alarm),
        action: match.action,
        rule: rule.id,
        rule_ids: [rule.id],
      },
    },
  });
}

function actionOf(action: RuleAction): readonly [action: number, disposition: number] {
  switch (action) {
    case 'block':
      return [actions.denied, dispositions.blocked];
    case 'redact':
      return [actions.modified, dispositions.corrected];
    case 'reset':
      return [actions.denied, dispositions.reset];
    case 'alarm':
    case 'allow':
    case 'setHeader':
    case 'removeHeader':
      return [actions.observed, dispositions.alert];
  }
}

/** Their `uid` is the `metadata.uid` of the traffic records. */
function relatedEvents(
  flow: FlowFacts,
  { txId, request, isMail, isMessages, transfer }: AlarmFacts,
): readonly JsonObject[] {
  const flowEvent = { uid: flow.flowId };
  if (txId === undefined) return [flowEvent];
  if (isMail === true) {
    return [{ uid: txId, type_uid: typeUid(classes.emailActivity.uid, mailActivities.scan) }, flowEvent];
  }
  if (transfer !== undefined) {
    const activity = ftpActivities[transfer] ?? otherActivity;
    return [{ uid: txId, type_uid: typeUid(classes.ftpActivity.uid, activity) }, flowEvent];
  }
  if (isMessages === true) {
    return [{ uid: txId, type_uid: typeUid(classes.networkActivity.uid, networkActivities.traffic) }, flowEvent];
  }
  const activity = httpActivities[request?.method ?? ''] ?? otherActivity;
  return [{ uid: txId, type_uid: typeUid(classes.httpActivity.uid, activity) }, flowEvent];
}

function evidence(writer: Writer, flow: FlowFacts, alarm: AlarmFacts): JsonObject {
  const { field, offset, excerpt } = alarm.match;
  const { tls, ja4_fingerprint_list } = JSON.parse(`{${tlsText(flow, false)}}`) as JsonObject;
  return {
    name: field,
    ...endpointParts(flow),
    connection_info: connectionPart(flow),
    tls,
    ja4_fingerprint_list,
    http_request: requestPart(writer, flow, alarm),
    data: { field, offset, excerpt: maskText(excerpt) },
  };
}

function requestPart(writer: Writer, flow: FlowFacts, { txId, request }: AlarmFacts): JsonObject | undefined {
  if (request === undefined) return undefined;
  const head = headText(request.headers);
  const { method } = request;
  const known = httpActivities[method] !== undefined;
  return {
    uid: txId,
    http_method: known ? method : undefined,
    version: request.version,
    url: parsed(targetText(request, flowTextOf(writer, flow))),
    user_agent: parsed(head.userAgent),
    referrer: parsed(head.referrer),
    http_headers: parsed(head.json),
  };
}

/** JSON that was just written, as a value: alarms are too few to be written in another way than clearly. */
function parsed(json: string | undefined): JsonValue | undefined {
  return json === undefined ? undefined : (JSON.parse(json) as JsonValue);
}

function resourceParts({ asset }: FlowFacts): JsonObject {
  return asset === undefined ? {} : { resources: [{ uid: asset.id, type: asset.kind, role_id: affectedResource }] };
}

/** OCSF lists the methods that may stand in `http_method`. */
function otherMethod({ request }: AlarmFacts): string | undefined {
  if (request === undefined || httpActivities[request.method] !== undefined) return undefined;
  return cut(maskText(request.method), limits.recordDetailBytes);
}
