import type { Header } from '../core/http.ts';
import { limits } from '../core/limits.ts';
import type { FileFacts, FlowFacts, MailFacts } from '../core/record.ts';
import { archiveParts, fileParts } from './file-text.ts';
import { endpointParts, gatewayParts } from './flow-parts.ts';
import { cut, headText } from './header-text.ts';
import type { JsonObject, JsonValue } from './json.ts';
import { flowMetadata, recordMetadata, type Stamp, type Writer } from './metadata.ts';
import { classes, directions, mailActivities, typeUid } from './ocsf.ts';
import { outcomeOf } from './outcome.ts';
import { maskText } from './redact.ts';
import { scanPart } from './scan-text.ts';

/** Recipients that a record names; the rest is counted. */
const mostRecipients = 100;

/** The line of a mail (OCSF Email Activity, Scan). */
export function mailRecordLine(writer: Writer, flow: FlowFacts, mail: MailFacts, stamp: Stamp): string {
  const line = compose(writer, flow, mail, stamp, true);
  return Buffer.byteLength(line) <= limits.recordLineBytes ? line : compose(writer, flow, mail, stamp, false);
}

function compose(writer: Writer, flow: FlowFacts, mail: MailFacts, stamp: Stamp, withHead: boolean): string {
  const { txId, startMs, endMs, envelope, outcome, rule } = mail;
  const { uid, category } = classes.emailActivity;
  const head = headText(withHead ? mail.headers : []);
  return JSON.stringify({
    time: endMs,
    class_uid: uid,
    category_uid: category,
    activity_id: mailActivities.scan,
    type_uid: typeUid(uid, mailActivities.scan),
    ...outcomeOf({ ...outcome, complete: isTaken(mail), verdict: mail.verdict, alarms: mail.alarms }),
    start_time: startMs,
    end_time: endMs,
    duration: Math.max(0, endMs - startMs),
    metadata: {
      // The profile network_proxy is not one of mails: what the proxy knows stands in the record of the flow.
      ...flowMetadata(writer, flow, 'traffic', ['security_control']),
      ...recordMetadata(txId, stamp),
      is_truncated: head.isTruncated || !withHead || envelope.to.length > mostRecipients ? true : undefined,
    },
    ...endpointParts(flow),
    direction_id: flow.capture === 'reverse' ? directions.inbound : directions.outbound,
    protocol_name: envelope.protocol,
    command: `${envelope.protocol === 'lmtp' ? 'LHLO' : 'EHLO'} ${shown(envelope.helo)}`,
    from: addressesOf(envelope.from)[0],
    to: listOf(envelope.to.slice(0, mostRecipients).flatMap((address) => addressesOf(address))),
    email: emailPart(mail, withHead ? head.json : '[]'),
    firewall_rule: rule === undefined ? undefined : { name: rule.title, uid: rule.id, version: String(rule.rev) },
    policy: { name: 'policy', uid: flow.policyVersion, version: flow.policyVersion },
    unmapped: { gateway: { ...gatewayParts(flow), ...mailPart(mail) } },
  });
}

/** Whether the origin has taken responsibility for the mail. */
function isTaken({ outcome }: MailFacts): boolean {
  return outcome.complete && outcome.reply !== undefined && outcome.reply.code < 300;
}

/** What the head says. OCSF wants one of `from` and `to` there: where no address is in either, `to` is an empty list. */
function emailPart({ headers, subject, files, outcome }: MailFacts, headJson: string): JsonObject {
  const from = addressesOf(fieldOf(headers, 'from'))[0];
  const to = addressesOf(fieldOf(headers, 'to'));
  const messageId = fieldOf(headers, 'message-id');
  return {
    size: outcome.bytes,
    from,
    to: to.length === 0 && from !== undefined ? undefined : to,
    cc: listOf(addressesOf(fieldOf(headers, 'cc'))),
    subject: subject === undefined ? undefined : shown(subject),
    message_uid: messageId === undefined ? undefined : shown(messageId),
    http_headers: JSON.parse(headJson) as JsonValue,
    files: files.length === 0 ? undefined : files.map(fileParts),
  };
}

/** What OCSF has no slot for, and addresses as they were sent. */
function mailPart(mail: MailFacts): JsonObject {
  const { envelope, outcome, verdict, rule, ruleIds, matches, alarms, notInspected, changes, parts, files } = mail;
  const { reply } = outcome;
  return {
    verdict,
    rule: rule?.id,
    rule_ids: listOf(ruleIds),
    matches: matches === 0 ? undefined : matches,
    alarms: alarms === 0 ? undefined : alarms,
    complete: outcome.complete,
    failure: outcome.failure,
    changes: listOf(changes.map(shown)),
    scans: listOf(mail.scans.map(scanPart)),
    not_inspected: listOf(notInspected.map((reason) => cut(maskText(reason), limits.recordDetailBytes))),
    mail: {
      helo: shown(envelope.helo),
      from: shown(envelope.from),
      to: envelope.to.slice(0, mostRecipients).map(shown),
      accepted: envelope.accepted,
      refused: envelope.refused === 0 ? undefined : envelope.refused,
      auth_mechanism: envelope.authMechanism === undefined ? undefined : shown(envelope.authMechanism),
      auth_identity: envelope.authIdentity === undefined ? undefined : cut(maskText(envelope.authIdentity), longest),
      reply_code: reply?.code,
      reply: reply === undefined ? undefined : shown(reply.text),
      parts,
      attachments: files.length === 0 ? undefined : files.map(attachmentPart),
      removed_offers: listOf(envelope.removedOffers.map(shown)),
    },
  };
}

function attachmentPart(file: FileFacts): JsonObject {
  return { type: file.type, is_whole: file.isWhole, ...archiveParts(file) };
}

const longest = limits.recordDetailBytes;

function listOf<T extends JsonValue>(values: readonly T[]): readonly T[] | undefined {
  return values.length === 0 ? undefined : values;
}

/** What `email_t` allows; other addresses stand beside as they were sent. */
const address = /[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,10}/g;

function addressesOf(text: string | undefined): readonly string[] {
  return text === undefined
    ? []
    : (text.slice(0, limits.recordHeaderValueBytes).match(address) ?? []).slice(0, mostRecipients);
}

/** The first field of a name, in lower case. */
function fieldOf(headers: readonly Header[], name: string): string | undefined {
  return headers.find(([present]) => present.toLowerCase() === name)?.[1];
}

/** Text comes as bytes, one character each; most is UTF-8. */
function shown(text: string): string {
  return cut(maskText(Buffer.from(text, 'latin1').toString('utf8')), longest);
}
