import type { RequestHead, ResponseHead } from '../core/http.ts';
import type { HttpPolicy } from '../core/policy.ts';
import type { FlowFacts, Recorder } from '../core/record.ts';
import type { Verdict } from '../core/verdict.ts';
import type { MessageInspector } from '../core/websocket.ts';
import { count } from '../metrics/counters.ts';
import type { CompiledRules, TransactionContext } from '../rules/compile.ts';
import type { BodyOptions, InspectedBody } from './inspect-body.ts';
import { inspectMessages } from './inspect-messages.ts';
import type { MessagePassage } from './message-passage.ts';
import type { ScanOptions } from './scan-exchanges.ts';

const none: readonly string[] = [];

/** What the inspection of a flow's exchanges needs. */
export interface HttpInspection {
  readonly flow: FlowFacts;
  readonly rules: CompiledRules;
  readonly recorder: Recorder;
  readonly bodyExcerptBytes: number;
  readonly http: Pick<HttpPolicy, 'bodies' | 'hold' | 'headers' | 'altSvc'>;
  /** Where bodies are shown to content scanners; the relay must hold what it is asked to hold. */
  readonly scan?: ScanOptions | undefined;
}

/** What is the same for every message of a flow. */
export interface MessageOptions extends BodyOptions {
  readonly headers: HttpPolicy['headers'];
}

export function messageOptions({ flow, bodyExcerptBytes, http }: HttpInspection) {
  return {
    excerptBytes: bodyExcerptBytes,
    decodedBytes: http.bodies.decodeBytes,
    recordsFiles: http.bodies.files === 'record',
    shareKey: flow.shareKey,
    headers: headerPolicies(http),
  } satisfies MessageOptions;
}

/** The headers that policy changes. Stripping Alt-Svc is the removal of a header like any other. */
function headerPolicies({ headers, altSvc }: Pick<HttpPolicy, 'headers' | 'altSvc'>): HttpPolicy['headers'] {
  if (altSvc === 'keep') return headers;
  const { remove, set } = headers.response;
  return { request: headers.request, response: { set, remove: [...new Set([...remove, 'alt-svc'])] } };
}

/** What rules are told of the flow that an exchange is part of. */
export function contextOf(flow: FlowFacts): TransactionContext {
  return {
    assetId: flow.asset?.id,
    assetKind: flow.asset?.kind,
    clientIp: flow.client.ip,
    originIp: flow.origin?.ip,
    originPort: flow.destination?.port,
    sni: flow.serverName,
  };
}

/** Inspects the messages of a WebSocket that an exchange has opened. */
export function messagesOf(
  { flow, rules, recorder, bodyExcerptBytes }: HttpInspection,
  txId: string,
  request: RequestHead | undefined,
  response: ResponseHead | undefined,
): MessageInspector {
  if (request === undefined || response === undefined) throw new Error('a WebSocket without its handshake');
  const context = contextOf(flow);
  return inspectMessages({
    flow,
    rules: rules.messages,
    context,
    recorder,
    excerptBytes: bodyExcerptBytes,
    txId,
    request,
    response,
  });
}

/** All that was changed in an exchange, in the words of the record. */
export function changesOf(
  changes: readonly string[],
  request: MessagePassage | undefined,
  response: MessagePassage | undefined,
  apart: readonly string[] = none,
): readonly string[] {
  if (request === undefined && response === undefined && apart.length === 0) return changes;
  return [...changes, ...(request?.notes ?? []), ...(response?.notes ?? []), ...apart];
}

/** The texts that are there. */
export function textsOf(...problems: readonly (string | undefined)[]): readonly string[] {
  let isAny = false;
  for (const problem of problems) if (problem !== undefined) isAny = true;
  if (!isAny) return none;
  return problems.filter((problem) => problem !== undefined);
}

/** Counters of transactions, by protocol and verdict. */
export const transactionSeries = { 'http/1.1': seriesOf('http/1.1'), h2: seriesOf('h2') } as const;

function seriesOf(protocol: string): Readonly<Record<Verdict['kind'], string>> {
  const series = (verdict: string): string =>
    `daylight_transactions_total{protocol="${protocol}",verdict="${verdict}"}`;
  return { allow: series('allow'), block: series('block'), reset: series('reset'), refuse: series('block') };
}

/** Counts bodies that rules did not see as a client does, and messages that were changed. */
export function countBodies(
  request: InspectedBody | undefined,
  response: InspectedBody | undefined,
  changes: readonly string[],
): void {
  if (request?.problem !== undefined) count('daylight_bodies_not_inspected_total{message="request"}');
  if (response?.problem !== undefined) count('daylight_bodies_not_inspected_total{message="response"}');
  if (changes.length === 0) return;
  for (const message of ['request', 'response'] as const) {
    if (changes.some((change) => change.startsWith(message))) count(changedSeries[message]);
  }
}

const changedSeries = {
  request: 'daylight_messages_changed_total{message="request"}',
  response: 'daylight_messages_changed_total{message="response"}',
} as const;
