import type { Exchange, ExchangeOutcome, Header, Inspector, RequestHead, ResponseHead } from '../core/http.ts';
import type { FlowFacts, HttpTransactionFacts, Recorder } from '../core/record.ts';
import type { Side } from '../core/side.ts';
import { allow, type Match, type RuleRef, type Verdict } from '../core/verdict.ts';
import { count } from '../metrics/counters.ts';
import { newUlid } from '../records/ulid.ts';
import type { CompiledRules, TransactionScan } from '../rules/compile.ts';
import { verdictOf } from '../rules/verdict-of.ts';

export interface HttpInspection {
  readonly flow: FlowFacts;
  readonly rules: CompiledRules;
  readonly recorder: Recorder;
  readonly bodyExcerptBytes: number;
}

/** Inspects the HTTP exchanges of one flow: runs the rules, writes alarms before their verdict acts, and the traffic records. */
export function inspectHttp(inspection: HttpInspection): Inspector {
  return { exchange: (depth) => new InspectedExchange(inspection, depth) };
}

class InspectedExchange implements Exchange {
  readonly #inspection: HttpInspection;
  readonly #depth: number;
  readonly #txId = newUlid();
  readonly #startMs = Date.now();
  readonly #scan: TransactionScan;
  readonly #excerpts: Record<Side, Excerpt>;
  #request: RequestHead | undefined;
  #response: ResponseHead | undefined;
  #verdict: Verdict = allow;
  #rule: RuleRef | undefined;
  /** Ids of every rule that was true; made with the first of them. */
  #ruleIds: string[] | undefined;
  #alarms = 0;
  #upgradedTo: string | undefined;

  constructor(inspection: HttpInspection, depth: number) {
    const { flow, rules, bodyExcerptBytes } = inspection;
    this.#inspection = inspection;
    this.#depth = depth;
    this.#excerpts = { client: new Excerpt(bodyExcerptBytes), origin: new Excerpt(bodyExcerptBytes) };
    this.#scan = rules.begin({
      assetId: flow.asset?.id,
      assetKind: flow.asset?.kind,
      clientIp: flow.client.ip,
      originIp: flow.origin?.ip,
      originPort: flow.destination?.port,
      sni: flow.serverName,
    });
  }

  requestHead(head: RequestHead): Verdict {
    this.#request = head;
    return this.#judge(this.#scan.requestHead(head));
  }

  requestBody(chunk: Buffer): Verdict {
    this.#excerpts.client.add(chunk);
    return this.#scan.needsRequestBody ? this.#judge(this.#scan.requestBody(chunk)) : allow;
  }

  requestEnd(_trailers: readonly Header[]): Verdict {
    return this.#judge(this.#scan.requestEnd());
  }

  responseHead(head: ResponseHead): Verdict {
    this.#response = head;
    return this.#judge(this.#scan.responseHead(head));
  }

  responseBody(chunk: Buffer): Verdict {
    this.#excerpts.origin.add(chunk);
    return this.#scan.needsResponseBody ? this.#judge(this.#scan.responseBody(chunk)) : allow;
  }

  responseEnd(_trailers: readonly Header[]): Verdict {
    return this.#judge(this.#scan.responseEnd());
  }

  interim(_head: ResponseHead): void {}

  upgraded(protocol: string): void {
    this.#upgradedTo = protocol;
  }

  finish(outcome: ExchangeOutcome): void {
    const { flow, recorder } = this.#inspection;
    flow.transactions += 1;
    count(transactionSeries[this.#verdict.kind]);
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
      requestExcerpt: this.#excerpts.client.bytes(),
      responseExcerpt: this.#excerpts.origin.bytes(),
      notInspected: codedBodies(request, this.#response),
      verdict: this.#verdict.kind,
      rule: this.#rule,
      matches: this.#ruleIds?.length ?? 0,
      ...(this.#ruleIds === undefined ? {} : { ruleIds: this.#ruleIds, alarms: this.#alarms }),
      upgradedTo: this.#upgradedTo,
    };
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
      this.#rule = verdict.rule;
    }
    return verdict;
  }
}

const transactionSeries = {
  allow: 'daylight_transactions_total{protocol="http/1.1",verdict="allow"}',
  block: 'daylight_transactions_total{protocol="http/1.1",verdict="block"}',
  reset: 'daylight_transactions_total{protocol="http/1.1",verdict="reset"}',
} as const;

/** The first bytes of a body, copied: the chunks are views on receive buffers that do not outlive the call. */
class Excerpt {
  readonly #limit: number;
  #bytes: Buffer | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(chunk: Buffer): void {
    const kept = this.#bytes?.length ?? 0;
    if (kept >= this.#limit) return;
    const part = chunk.subarray(0, this.#limit - kept);
    this.#bytes = this.#bytes === undefined ? Buffer.from(part) : Buffer.concat([this.#bytes, part]);
  }

  bytes(): Buffer | undefined {
    return this.#bytes;
  }
}

/** Content codings are not undone yet: rules saw coded bytes, which the record must not hide. */
function codedBodies(request: RequestHead, response: ResponseHead | undefined): readonly string[] {
  const request_ = codingOf(request.headers);
  const response_ = response === undefined ? undefined : codingOf(response.headers);
  if (request_ === undefined && response_ === undefined) return [];
  return [
    ...(request_ === undefined ? [] : [`request content-encoding ${request_}`]),
    ...(response_ === undefined ? [] : [`response content-encoding ${response_}`]),
  ];
}

function codingOf(headers: readonly Header[]): string | undefined {
  for (const [name, value] of headers) {
    if (name.length === 16 && name.toLowerCase() === 'content-encoding' && value !== 'identity') return value;
  }
  return undefined;
}
