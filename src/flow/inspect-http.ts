import type {
  BodyFraming,
  Exchange,
  ExchangeOutcome,
  Header,
  Inspector,
  RequestHead,
  ResponseHead,
} from '../core/http.ts';
import type { BodiesPolicy } from '../core/policy.ts';
import type { FlowFacts, HttpTransactionFacts, Recorder } from '../core/record.ts';
import { strike } from '../core/simulation.ts';
import { allow, type Match, type RuleRef, type Verdict } from '../core/verdict.ts';
import type { MessageInspector } from '../core/websocket.ts';
import { count } from '../metrics/counters.ts';
import { newUlid } from '../records/ulid.ts';
import type { CompiledRules, TransactionContext, TransactionScan } from '../rules/compile.ts';
import { verdictOf } from '../rules/verdict-of.ts';
import { type BodyOptions, InspectedBody } from './inspect-body.ts';
import { inspectMessages } from './inspect-messages.ts';

export interface HttpInspection {
  readonly flow: FlowFacts;
  readonly rules: CompiledRules;
  readonly recorder: Recorder;
  readonly bodyExcerptBytes: number;
  readonly bodies: BodiesPolicy;
}

/** Inspects the HTTP exchanges of one flow: runs the rules, writes alarms before their verdict acts, and the traffic records. */
export function inspectHttp(inspection: HttpInspection): Inspector {
  const { bodyExcerptBytes, bodies } = inspection;
  const options: BodyOptions = {
    excerptBytes: bodyExcerptBytes,
    decodedBytes: bodies.decodeBytes,
    recordsFiles: bodies.files === 'record',
  };
  return { exchange: (depth) => new InspectedExchange(inspection, options, depth) };
}

class InspectedExchange implements Exchange {
  readonly #inspection: HttpInspection;
  readonly #bodies: BodyOptions;
  readonly #depth: number;
  readonly #txId = newUlid();
  readonly #startMs = Date.now();
  readonly #scan: TransactionScan;
  /** Of messages that have a body. */
  #requestBody: InspectedBody | undefined;
  #responseBody: InspectedBody | undefined;
  #request: RequestHead | undefined;
  #response: ResponseHead | undefined;
  #verdict: Verdict = allow;
  #rule: RuleRef | undefined;
  /** Ids of every rule that was true; made with the first of them. */
  #ruleIds: string[] | undefined;
  #alarms = 0;
  #upgradedTo: string | undefined;
  #unread: string | undefined;

  constructor(inspection: HttpInspection, bodies: BodyOptions, depth: number) {
    const { flow, rules } = inspection;
    this.#bodies = bodies;
    this.#inspection = inspection;
    this.#depth = depth;
    this.#scan = rules.begin(contextOf(flow));
  }

  requestHead(head: RequestHead): Verdict {
    this.#request = head;
    strike('inspection');
    if (head.framing.kind === 'none') return this.#judge(this.#scan.requestHead(head));
    const target = head.method === 'PUT' ? head.target : undefined;
    const body = new InspectedBody('request', this.#scan, this.#bodies, head, target);
    this.#requestBody = body;
    return this.#judge(this.#scan.requestHead(body.isRecoded ? { ...head, framing: unknownLength } : head));
  }

  requestBody(chunk: Buffer): Verdict {
    const body = this.#requestBody;
    return body === undefined ? allow : this.#judgeBody(body, body.push(chunk));
  }

  requestEnd(_trailers: readonly Header[]): Verdict {
    const body = this.#requestBody;
    return body === undefined ? this.#judge(this.#scan.requestEnd()) : this.#judgeBody(body, body.end());
  }

  responseHead(head: ResponseHead): Verdict {
    this.#response = head;
    if (head.framing.kind === 'none') return this.#judge(this.#scan.responseHead(head));
    const body = new InspectedBody('response', this.#scan, this.#bodies, head, this.#request?.target);
    this.#responseBody = body;
    return this.#judge(this.#scan.responseHead(body.isRecoded ? { ...head, framing: unknownLength } : head));
  }

  responseBody(chunk: Buffer): Verdict {
    const body = this.#responseBody;
    return body === undefined ? allow : this.#judgeBody(body, body.push(chunk));
  }

  responseEnd(_trailers: readonly Header[]): Verdict {
    const body = this.#responseBody;
    return body === undefined ? this.#judge(this.#scan.responseEnd()) : this.#judgeBody(body, body.end());
  }

  interim(_head: ResponseHead): void {}

  upgraded(protocol: string, unread?: string): void {
    this.#upgradedTo = protocol;
    this.#unread = unread;
  }

  messages(): MessageInspector {
    const { flow, rules, recorder, bodyExcerptBytes } = this.#inspection;
    const [request, response] = [this.#request, this.#response];
    if (request === undefined || response === undefined) throw new Error('a WebSocket without its handshake');
    return inspectMessages({
      flow,
      rules: rules.messages,
      context: contextOf(flow),
      recorder,
      excerptBytes: bodyExcerptBytes,
      txId: this.#txId,
      request,
      response,
    });
  }

  finish(outcome: ExchangeOutcome): void {
    const { flow, recorder } = this.#inspection;
    this.#requestBody?.close();
    this.#responseBody?.close();
    flow.transactions += 1;
    count(transactionSeries[this.#request?.version === '2' ? 'h2' : 'http/1.1'][this.#verdict.kind]);
    if (outcome.failure !== undefined) count(`daylight_failures_total{code="${outcome.failure}"}`);
    const request = this.#request;
    // A request whose head could not be parsed has no transaction to tell of; the flow record holds the failure.
    if (request === undefined) return;
    try {
      recorder.httpTransaction(flow, this.#facts(request, outcome));
    } catch (error) {
      // What has failed already ends its flow by itself; a second failure would cost the client the answer to the first.
      if (outcome.failure === undefined) throw error;
    }
  }

  #facts(request: RequestHead, outcome: ExchangeOutcome): HttpTransactionFacts {
    return {
      txId: this.#txId,
      depth: this.#depth,
      startMs: this.#startMs,
      endMs: Date.now(),
      request,
      response: this.#response,
      outcome,
      ...bodyFacts(this.#requestBody, this.#responseBody, this.#unread),
      verdict: this.#verdict.kind === 'refuse' ? 'block' : this.#verdict.kind,
      rule: this.#rule,
      matches: this.#ruleIds?.length ?? 0,
      ...(this.#ruleIds === undefined ? {} : { ruleIds: this.#ruleIds, alarms: this.#alarms }),
      upgradedTo: this.#upgradedTo,
    };
  }

  /** What could not be decoded passes with a note in the record, or is refused, as policy says. */
  #judgeBody(body: InspectedBody, matches: readonly Match[]): Verdict {
    const verdict = this.#judge(matches);
    if (body.problem === undefined || !body.isUnjudged || verdict.kind !== 'allow') return verdict;
    if (this.#inspection.bodies.undecodable === 'allow') return verdict;
    this.#verdict = { kind: 'refuse', code: 'POLICY_BODY_UNDECODABLE', detail: body.problem };
    return this.#verdict;
  }

  #judge(matches: readonly Match[]): Verdict {
    if (matches.length === 0) return allow;
    const { flow, recorder } = this.#inspection;
    for (const match of matches) {
      this.#ruleIds ??= [];
      this.#ruleIds.push(match.rule.id);
      this.#rule ??= match.rule;
      if (match.action === 'allow') continue;
      flow.alarms += 1;
      this.#alarms += 1;
      count(`daylight_alarms_total{severity="${match.severity}"}`);
      // Returns once the alarm is on disk: only then may its verdict act.
      recorder.alarm(flow, { timeMs: Date.now(), match, txId: this.#txId, request: this.#request });
    }
    const verdict = verdictOf(matches);
    if (verdict.kind !== 'allow') {
      this.#verdict = verdict;
      if (verdict.kind !== 'refuse') this.#rule = verdict.rule;
    }
    return verdict;
  }
}

function contextOf(flow: FlowFacts): TransactionContext {
  return {
    assetId: flow.asset?.id,
    assetKind: flow.asset?.kind,
    clientIp: flow.client.ip,
    originIp: flow.origin?.ip,
    originPort: flow.destination?.port,
    sni: flow.serverName,
  };
}

const transactionSeries = { 'http/1.1': seriesOf('http/1.1'), h2: seriesOf('h2') } as const;

function seriesOf(protocol: string): Readonly<Record<Verdict['kind'], string>> {
  const series = (verdict: string): string =>
    `daylight_transactions_total{protocol="${protocol}",verdict="${verdict}"}`;
  return { allow: series('allow'), block: series('block'), reset: series('reset'), refuse: series('block') };
}

const unknownLength: BodyFraming = { kind: 'until-close' };
const whole: readonly string[] = [];

function bodyFacts(
  request: InspectedBody | undefined,
  response: InspectedBody | undefined,
  unread: string | undefined,
) {
  return {
    requestExcerpt: request?.excerpt,
    responseExcerpt: response?.excerpt,
    requestDecodedBytes: request?.decodedBytes,
    responseDecodedBytes: response?.decodedBytes,
    requestFiles: request?.files ?? [],
    responseFiles: response?.files ?? [],
    notInspected: notInspected(request?.problem, response?.problem, unread),
  };
}

function notInspected(...problems: readonly (string | undefined)[]): readonly string[] {
  if (problems.every((problem) => problem === undefined)) return whole;
  return problems.filter((problem) => problem !== undefined);
}
