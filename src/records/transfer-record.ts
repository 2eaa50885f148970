import { limits } from '../core/limits.ts';
import type { FlowFacts, TransferFacts } from '../core/record.ts';
import { archiveParts, fileParts } from './file-text.ts';
import { flowTextOf, withTls } from './flow-text.ts';
import { cut } from './header-text.ts';
import { type JsonObject, members } from './json.ts';
import type { Stamp, Writer } from './metadata.ts';
import { classes, ftpActivities, otherActivity, typeUid } from './ocsf.ts';
import { outcomeOf } from './outcome.ts';
import { maskText } from './redact.ts';
import { scanPart } from './scan-text.ts';

/** The line of an FTP transfer (OCSF FTP Activity). */
export function transferRecordLine(writer: Writer, flow: FlowFacts, transfer: TransferFacts, stamp: Stamp): string {
  const line = compose(writer, flow, transfer, stamp, true);
  // Only certificates with many long names reach the limit.
  return Buffer.byteLength(line) <= limits.recordLineBytes ? line : compose(writer, flow, transfer, stamp, false);
}

function compose(writer: Writer, flow: FlowFacts, transfer: TransferFacts, stamp: Stamp, withNames: boolean): string {
  const { txId, startMs, endMs, request, bytes, file, outcome, rule, verdict, alarms } = transfer;
  const { uid, category } = classes.ftpActivity;
  const activity = ftpActivities[request.command] ?? otherActivity;
  const { reply } = outcome;
  const isUpload = request.direction === 'upload';
  const text = flowTextOf(writer, flow);
  const transferText = members({
    traffic:
      request.direction === 'none'
        ? undefined
        : { bytes, bytes_out: isUpload ? bytes : 0, bytes_in: isUpload ? 0 : bytes },
    command: request.command,
    codes: reply === undefined ? undefined : [reply.code],
    command_responses: reply === undefined ? undefined : [shown(reply.text)],
    name: request.path === '' ? undefined : shown(request.path),
    type: request.mode,
    file: file === undefined ? undefined : fileParts(file),
    firewall_rule: rule === undefined ? undefined : { name: rule.title, uid: rule.id, version: String(rule.rev) },
  });
  return (
    `{"time":${endMs},"class_uid":${uid},"category_uid":${category},"activity_id":${activity}` +
    `,"type_uid":${typeUid(uid, activity)},${members(outcomeOf({ ...outcome, verdict, alarms }))}` +
    `,"start_time":${startMs},"end_time":${endMs},"duration":${Math.max(0, endMs - startMs)}` +
    `,"metadata":{${text.metadata.text},"uid":"${txId}","sequence":${stamp.sequence}` +
    `,"logged_time":${stamp.loggedMs}${withNames ? '' : ',"is_truncated":true'}}` +
    `,${withTls(text.ends, flow, withNames)},${transferText}` +
    `,"unmapped":{"gateway":{${text.gateway.text},${members(transferPart(transfer))}}}}`
  );
}

/** What OCSF has no slot for. */
function transferPart({
  request,
  outcome,
  scans,
  verdict,
  rule,
  ruleIds,
  matches,
  alarms,
  file,
}: TransferFacts): JsonObject {
  const { user, direction, offset, isProtected, isCleared } = request;
  return {
    verdict,
    rule: rule?.id,
    rule_ids: ruleIds.length === 0 ? undefined : ruleIds,
    matches: matches === 0 ? undefined : matches,
    alarms: alarms === 0 ? undefined : alarms,
    complete: outcome.complete,
    failure: outcome.failure,
    scans: scans?.map(scanPart),
    ftp: {
      user: user === '' ? undefined : shown(user),
      direction: direction === 'none' ? undefined : direction,
      offset: offset === 0 ? undefined : offset,
      is_protected: isProtected,
      is_control_clear: isCleared || undefined,
      is_whole: file?.isWhole,
      ...(file === undefined ? {} : archiveParts(file)),
    },
  };
}

/** Text comes as bytes, one character each; most is UTF-8. */
function shown(text: string): string {
  return cut(maskText(Buffer.from(text, 'latin1').toString('utf8')), limits.recordDetailBytes);
}
