import type { Header } from '../core/http.ts';
import { limits } from '../core/limits.ts';
import type { FlowFacts, HttpTransactionFacts } from '../core/record.ts';
import { apartText } from './apart-text.ts';
import { excerptText } from './excerpt.ts';
import { filesOf, fileText } from './file-text.ts';
import { type FlowText, flowTextOf } from './flow-text.ts';
import { cut, type HeadText } from './header-text.ts';
import { type JsonObject, members } from './json.ts';
import { type LinePiece, lineOf, mostBytesOf } from './line-piece.ts';
import type { Stamp, Writer } from './metadata.ts';
import { classes, httpActivities, otherActivity, typeUid } from './ocsf.ts';
import { outcomeOf } from './outcome.ts';
import { maskText } from './redact.ts';
import { scanPart } from './scan-text.ts';
import { isTargetCut, targetText } from './target-text.ts';

/**
 * The line of an HTTP transaction (OCSF HTTP Activity). Put together from JSON that was written before, per flow, per
 * header value and per outcome, because this runs once per exchange: bench/processes/record-line.ts measures 5
 * microseconds for a line of 5 KB with 1 KB of body in it, against 21 for objects and JSON.stringify.
 */
export function httpRecordLine(
  writer: Writer,
  flow: FlowFacts,
  transaction: HttpTransactionFacts,
  stamp: Stamp,
): string {
  return lineOf(httpRecordPieces(flowTextOf(writer, flow), transaction, stamp));
}

/** The same in pieces: what is the same for the whole flow is more than half of a line, and is copied as bytes. */
export function httpRecordPieces(
  flow: FlowText,
  transaction: HttpTransactionFacts,
  stamp: Stamp,
): readonly LinePiece[] {
  const pieces = compose(flow, transaction, stamp, true);
  // Each part is bounded, and together they fit: only text with many characters beyond ASCII can be longer.
  if (mostBytesOf(pieces) <= limits.recordLineBytes) return pieces;
  return Buffer.byteLength(lineOf(pieces)) <= limits.recordLineBytes
    ? pieces
    : compose(flow, transaction, stamp, false);
}

const noHeaders: readonly Header[] = [];

function compose(
  flow: FlowText,
  transaction: HttpTransactionFacts,
  stamp: Stamp,
  withHeads: boolean,
): readonly LinePiece[] {
  const { request, response, outcome, startMs, endMs, txId } = transaction;
  const requestHead = flow.requestHead.textOf(withHeads ? request.headers : noHeaders);
  const responseHead = flow.responseHead.textOf(withHeads ? (response?.headers ?? noHeaders) : noHeaders);
  const apart = apartText(transaction, withHeads);
  const truncated =
    !withHeads || apart.isTruncated || requestHead.isTruncated || responseHead.isTruncated || isTargetCut(request)
      ? ',"is_truncated":true'
      : '';
  const activity = httpActivities[request.method] ?? otherActivity;
  return [
    `{"time":${endMs},"class_uid":4002,"category_uid":4,"activity_id":${activity}` +
      `${activity === otherActivity ? `,"activity_name":${methodText(request.method)}` : ''}` +
      `,"type_uid":${typeUid(classes.httpActivity.uid, activity)},${outcomeText(transaction)}` +
      `,"start_time":${startMs},"end_time":${endMs},"duration":${Math.max(0, endMs - startMs)}` +
      `,"metadata":{`,
    flow.metadata.piece,
    `,"uid":"${txId}","sequence":${stamp.sequence},"logged_time":${stamp.loggedMs}${truncated}},`,
    flow.parts.piece,
    `${ruleText(transaction)},"traffic":{"bytes":${outcome.requestWireBytes + outcome.responseWireBytes}` +
      `,"bytes_out":${outcome.requestWireBytes},"bytes_in":${outcome.responseWireBytes}}` +
      `,"http_request":${requestText(flow, transaction, activity, requestHead)}` +
      `${responseText(transaction, responseHead)}` +
      `${fileText(transaction)}` +
      `,"unmapped":{"gateway":{`,
    flow.gateway.piece,
    `${gatewayText(flow, transaction)}${apart.text}${bodiesText(transaction, requestHead, responseHead, withHeads)}}}}`,
  ];
}

function requestText(
  flow: FlowText,
  { txId, request, outcome }: HttpTransactionFacts,
  activity: number,
  head: HeadText,
): string {
  return (
    `{"uid":"${txId}"${activity === otherActivity ? '' : `,"http_method":"${request.method}"`},"version":"${request.version}"` +
    `,"url":${targetText(request, flow)}` +
    `${head.userAgent === undefined ? '' : `,"user_agent":${head.userAgent}`}` +
    `${head.referrer === undefined ? '' : `,"referrer":${head.referrer}`}` +
    `,"http_headers":${head.json},"length":${outcome.requestWireBytes},"body_length":${outcome.requestBodyBytes}}`
  );
}

function responseText({ response, outcome }: HttpTransactionFacts, head: HeadText): string {
  // Of the origin there is no answer then: the client got the gateway's own, or none.
  if (response === undefined)
    return outcome.answered === undefined ? '' : `,"http_response":{"code":${outcome.answered}}`;
  return (
    `,"http_response":{"code":${response.status}` +
    `${response.reason === '' ? '' : `,"status":${reasonText(response.reason)}`}` +
    `${head.contentType === undefined ? '' : `,"content_type":${head.contentType}`}` +
    `,"http_headers":${head.json},"length":${outcome.responseWireBytes},"body_length":${outcome.responseBodyBytes}}`
  );
}

/** Nearly all transactions end in the same way: their outcome is written once. */
const plainOutcome = outcomeText_({ verdict: 'allow', complete: true, failure: undefined, detail: '', alarms: 0 });

function outcomeText(transaction: HttpTransactionFacts): string {
  const { verdict, outcome, matches, alarms = matches } = transaction;
  if (verdict === 'allow' && outcome.complete && outcome.failure === undefined && alarms === 0) return plainOutcome;
  return outcomeText_({
    verdict,
    complete: outcome.complete,
    failure: outcome.failure,
    detail: outcome.detail,
    alarms,
  });
}

function outcomeText_(ending: Parameters<typeof outcomeOf>[0]): string {
  return members(outcomeOf(ending));
}

function ruleText({ rule }: HttpTransactionFacts): string {
  if (rule === undefined) return '';
  return `,"firewall_rule":${JSON.stringify({ name: rule.title, uid: rule.id, version: String(rule.rev) })}`;
}

function gatewayText({ serverName }: FlowText, transaction: HttpTransactionFacts): string {
  const { request, depth, verdict, rule, matches, alarms = matches, outcome, notInspected, upgradedTo } = transaction;
  const files = filesOf(transaction);
  const { changes, notHeld } = transaction;
  const stream = request.streamId === undefined ? '' : `,"stream_id":${request.streamId}`;
  // Domain fronting, or several hosts of one certificate on a connection.
  const isOtherHost = serverName !== undefined && request.host !== serverName && request.host !== '';
  const other = isOtherHost ? ',"sni_mismatch":true' : '';
  const always = `,"tx_depth":${depth}${stream}${other},"verdict":"${verdict}","complete":${outcome.complete}`;
  if (
    rule === undefined &&
    matches === 0 &&
    outcome.failure === undefined &&
    notInspected.length === 0 &&
    files === undefined &&
    (changes?.length ?? 0) === 0 &&
    (transaction.notHeld?.length ?? 0) === 0 &&
    (transaction.scans?.length ?? 0) === 0 &&
    upgradedTo === undefined
  ) {
    return always;
  }
  const parts: JsonObject = {
    rule: rule?.id,
    rule_ids: matches === 0 ? undefined : (transaction.ruleIds ?? (rule === undefined ? undefined : [rule.id])),
    matches: matches === 0 ? undefined : matches,
    alarms: alarms === 0 ? undefined : alarms,
    failure: outcome.failure,
    answered: outcome.answered,
    not_inspected: textsOf(notInspected),
    files,
    changes: textsOf(changes),
    not_held: textsOf(notHeld),
    scans: transaction.scans?.map(scanPart),
    upgraded_to: upgradedTo === undefined ? undefined : cut(maskText(upgradedTo), limits.recordDetailBytes),
  };
  const text = members(parts);
  return text === '' ? always : `${always},${text}`;
}

function textsOf(texts: readonly string[] | undefined): readonly string[] | undefined {
  if (texts === undefined || texts.length === 0) return undefined;
  return texts.map((text) => cut(maskText(text), limits.recordDetailBytes));
}

function bodiesText(
  transaction: HttpTransactionFacts,
  request: HeadText,
  response: HeadText,
  withHeads: boolean,
): string {
  if (!withHeads) return '';
  const { requestExcerpt, responseExcerpt, requestDecodedBytes, responseDecodedBytes, outcome } = transaction;
  const sent = excerptText({
    excerpt: requestExcerpt,
    bytes: requestDecodedBytes ?? outcome.requestBodyBytes,
    coding: requestDecodedBytes === undefined ? request.coding : undefined,
  });
  const received = excerptText({
    excerpt: responseExcerpt,
    bytes: responseDecodedBytes ?? outcome.responseBodyBytes,
    coding: responseDecodedBytes === undefined ? response.coding : undefined,
  });
  return (
    `${sent === undefined ? '' : `,"request_body":${sent}`}` +
    `${received === undefined ? '' : `,"response_body":${received}`}`
  );
}

function methodText(method: string): string {
  return JSON.stringify(cut(maskText(method), limits.recordDetailBytes));
}

function reasonText(reason: string): string {
  return JSON.stringify(cut(maskText(reason), limits.recordDetailBytes));
}
