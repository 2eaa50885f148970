import type { BodyFraming, ExchangeOutcome, Header, Inspector, RequestHead, ResponseHead } from '../core/http.ts';
import type { HttpTransactionFacts, ScanFacts } from '../core/record.ts';
import { strike } from '../core/simulation.ts';
import { allow, type Match, type RuleRef, type Verdict } from '../core/verdict.ts';
import type { MessageInspector } from '../core/websocket.ts';
import { count } from '../metrics/counters.ts';
import { newUlid } from '../records/ulid.ts';
import type { TransactionScan } from '../rules/compile.ts';
import { verdictOf } from '../rules/verdict-of.ts';
import { ApartFacts } from './apart-facts.ts';
import { countFailure } from './count-failure.ts';
import {
  changesOf,
  contextOf,
  countBodies,
  type HttpInspection,
  type MessageOptions,
  messageOptions,
  messagesOf,
  textsOf,
  transactionSeries,
} from './exchange-facts.ts';
import { headChanges, type RuleChange } from './head-changes.ts';
import { InspectedBody } from './inspect-body.ts';
import { type MessagePassage, passageOf } from './message-passage.ts';
import { type ScannableExchange, ScannedExchange } from './scan-exchanges.ts';

/** Inspects the HTTP exchanges of one flow: runs the rules, writes alarms before their verdict acts, and the traffic records. */
export function inspectHttp(inspection: HttpInspection): Inspector {
  const { scan } = inspection;
  const options = messageOptions(inspection);
  if (scan === undefined) return { exchange: (depth) => new InspectedExchange(inspection, options, depth) };
  return { exchange: (depth) => new ScannedExchange(new InspectedExchange(inspection, options, depth), scan) };
}

class InspectedExchange implements ScannableExchange {
  readonly #inspection: HttpInspection;
  readonly #options: MessageOptions;
  readonly #depth: number;
  readonly #txId = newUlid();
  readonly #startMs = Date.now();
  readonly #scan: TransactionScan;
  /** Of messages that have a body. */
  #requestBody: InspectedBody | undefined;
  #responseBody: InspectedBody | undefined;
  /** Of messages that are held or masked. */
  #requestPassage: MessagePassage | undefined;
  #responsePassage: MessagePassage | undefined;
  #ruleChanges: readonly RuleChange[] = unchanged;
  #changes: readonly string[] = unchanged;
  #request: RequestHead | undefined;
  #response: ResponseHead | undefined;
  /** Of exchanges with trailers or interim responses. */
  #apart: ApartFacts | undefined;
  #verdict: Verdict = allow;
  #rule: RuleRef | undefined;
  /** Ids of every rule that was true; made with the first of them. */
  #ruleIds: string[] | undefined;
  #alarms = 0;
  #scans: readonly ScanFacts[] | undefined;
  #upgradedTo: string | undefined;
  #unread: string | undefined;

  constructor(inspection: HttpInspection, options: MessageOptions, depth: number) {
    this.#options = options;
    this.#inspection = inspection;
    this.#depth = depth;
    this.#scan = inspection.rules.begin(contextOf(inspection.flow));
  }

  requestHead(head: RequestHead): Verdict {
    this.#request = head;
    strike('inspection');
    if (head.framing.kind === 'none') return this.#judgeHead('request', head, this.#scan.requestHead(head), undefined);
    const target = head.method === 'PUT' ? head.target : undefined;
    const body = new InspectedBody('request', this.#scan, this.#options, head, target);
    this.#requestBody = body;
    const matches = this.#scan.requestHead(body.isRecoded ? { ...head, framing: unknownLength } : head);
    return this.#judgeHead('request', head, matches, body);
  }

  requestBody(chunk: Buffer): Verdict {
    return this.#pass(chunk, this.#requestBody, this.#requestPassage);
  }

  requestEnd(trailers: readonly Header[]): Verdict {
    const body = this.#requestBody;
    const verdict = body === undefined ? this.#judge(this.#scan.requestEnd()) : this.#judgeBody(body, body.end());
    return this.#end('request', trailers, verdict, this.#requestPassage);
  }

  responseHead(head: ResponseHead): Verdict {
    this.#response = head;
    if (head.framing.kind === 'none')
      return this.#judgeHead('response', head, this.#scan.responseHead(head), undefined);
    const body = new InspectedBody('response', this.#scan, this.#options, head, this.#request?.target);
    this.#responseBody = body;
    const matches = this.#scan.responseHead(body.isRecoded ? { ...head, framing: unknownLength } : head);
    return this.#judgeHead('response', head, matches, body);
  }

  responseBody(chunk: Buffer): Verdict {
    return this.#pass(chunk, this.#responseBody, this.#responsePassage);
  }

  responseEnd(trailers: readonly Header[]): Verdict {
    const body = this.#responseBody;
    const verdict = body === undefined ? this.#judge(this.#scan.responseEnd()) : this.#judgeBody(body, body.end());
    return this.#end('response', trailers, verdict, this.#responsePassage);
  }

  noteScan(facts: ScanFacts): void {
    this.#scans = [...(this.#scans ?? []), facts];
  }

  interim(head: ResponseHead): Verdict {
    this.#apart ??= new ApartFacts();
    this.#apart.addInterim(head);
    const verdict = this.#judge(this.#scan.interim(head));
    if (verdict.kind !== 'allow') return verdict;
    return this.#apart.leaveOut('response interim header', head.headers, this.#options.headers, this.#ruleChanges);
  }

  upgraded(protocol: string, unread?: string): void {
    this.#upgradedTo = protocol;
    this.#unread = unread;
  }

  changed(note: string): void {
    this.#changes = [...this.#changes, note];
  }

  messages(): MessageInspector {
    return messagesOf(this.#inspection, this.#txId, this.#request, this.#response);
  }

  finish(outcome: ExchangeOutcome): void {
    const { flow, recorder } = this.#inspection;
    this.#requestBody?.close();
    this.#responseBody?.close();
    this.#requestPassage?.close();
    this.#responsePassage?.close();
    flow.transactions += 1;
    count(transactionSeries[this.#request?.version === '2' ? 'h2' : 'http/1.1'][this.#verdict.kind]);
    if (outcome.failure !== undefined) countFailure(flow, outcome.failure);
    const request = this.#request;
    if (request === undefined) return; // No head was parsed that could be told of; the flow record holds the failure.
    countBodies(this.#requestBody, this.#responseBody, this.#allChanges);
    try {
      recorder.httpTransaction(flow, this.#facts(request, outcome));
    } catch (error) {
      // What has failed already ends its flow by itself; a second failure would cost the client the answer to the first.
      if (outcome.failure === undefined) throw error;
    }
  }

  #facts(request: RequestHead, outcome: ExchangeOutcome): HttpTransactionFacts {
    // Named one by one: spreading objects that are made for it costs more than all of this.
    const [requestBody, responseBody, apart] = [this.#requestBody, this.#responseBody, this.#apart];
    return {
      txId: this.#txId,
      depth: this.#depth,
      startMs: this.#startMs,
      endMs: Date.now(),
      request,
      response: this.#response,
      requestTrailers: apart?.requestTrailers,
      responseTrailers: apart?.responseTrailers,
      interims: apart?.interims,
      outcome,
      requestExcerpt: requestBody?.excerpt,
      responseExcerpt: responseBody?.excerpt,
      requestDecodedBytes: requestBody?.decodedBytes,
      responseDecodedBytes: responseBody?.decodedBytes,
      requestFiles: requestBody?.files,
      responseFiles: responseBody?.files,
      notInspected: textsOf(requestBody?.problem, responseBody?.problem, this.#unread),
      changes: this.#allChanges,
      notHeld: textsOf(this.#requestPassage?.notHeld, this.#responsePassage?.notHeld),
      verdict: this.#verdict.kind === 'refuse' ? 'block' : this.#verdict.kind,
      rule: this.#rule,
      matches: this.#ruleIds?.length ?? 0,
      ruleIds: this.#ruleIds,
      scans: this.#scans,
      alarms: this.#ruleIds === undefined && this.#scans === undefined ? undefined : this.#alarms,
      upgradedTo: this.#upgradedTo,
    };
  }

  get #allChanges(): readonly string[] {
    return changesOf(this.#changes, this.#requestPassage, this.#responsePassage, this.#apart?.notes);
  }

  #pass(chunk: Buffer, body: InspectedBody | undefined, passage: MessagePassage | undefined): Verdict {
    if (body === undefined) return allow;
    const verdict = this.#judgeBody(body, body.push(chunk));
    return passage === undefined || verdict.kind !== 'allow' ? verdict : this.settle(passage.chunk(chunk));
  }

  /** What could not be decoded passes with a note in the record, or is refused, as policy says. */
  #judgeBody(body: InspectedBody, matches: readonly Match[]): Verdict {
    const verdict = this.#judge(matches);
    if (body.problem === undefined || !body.isUnjudged || verdict.kind !== 'allow') return verdict;
    const { bombs, undecodable } = this.#inspection.http.bodies;
    if (body.isBomb && bombs === 'block') {
      return this.settle({ kind: 'refuse', code: 'POLICY_BODY_BOMB', detail: body.problem });
    }
    if (undecodable === 'allow') return verdict;
    return this.settle({ kind: 'refuse', code: 'POLICY_BODY_UNDECODABLE', detail: body.problem });
  }

  /** Once a head is judged it is known what is changed in it, and whether the message is held or masked. */
  #judgeHead(
    message: 'request' | 'response',
    head: RequestHead | ResponseHead,
    matches: readonly Match[],
    body: InspectedBody | undefined,
  ): Verdict {
    const verdict = this.#judge(matches);
    if (verdict.kind !== 'allow') return verdict;
    const noted = headChanges(message, head.headers, this.#options.headers[message], this.#ruleChanges);
    if (noted !== undefined) this.#changes = [...this.#changes, ...noted.notes];
    const passage =
      body !== undefined && this.#scan.mayChange(message)
        ? passageOf(head, { message, scan: this.#scan, body, inspection: this.#inspection })
        : undefined;
    if (passage === undefined) return noted === undefined ? allow : { kind: 'allow', changes: noted.changes };
    if (message === 'request') this.#requestPassage = passage;
    else this.#responsePassage = passage;
    const passed = this.settle(passage.head());
    return passed.kind !== 'allow' || noted === undefined ? passed : { ...passed, changes: noted.changes };
  }

  #end(
    message: 'request' | 'response',
    trailers: readonly Header[],
    ofBody: Verdict,
    passage?: MessagePassage,
  ): Verdict {
    if (trailers.length > 0) {
      this.#apart ??= new ApartFacts();
      this.#apart[`${message}Trailers`] = trailers;
    }
    const judged = ofBody.kind === 'allow' ? this.#judge(this.#scan.trailers(message, trailers)) : ofBody;
    const passed = passage === undefined || judged.kind !== 'allow' ? judged : passage.end((late) => this.settle(late));
    if (this.#apart === undefined || trailers.length === 0 || passed.kind !== 'allow') return passed;
    const left = this.#apart.leaveOut(`${message} trailer`, trailers, this.#options.headers, this.#ruleChanges);
    return { ...passed, ...left };
  }

  settle(verdict: Verdict): Verdict {
    if (verdict.kind === 'allow') return verdict;
    this.#verdict = verdict;
    if (verdict.kind !== 'refuse') this.#rule = verdict.rule;
    return verdict;
  }

  #judge(matches: readonly Match[]): Verdict {
    if (matches.length === 0) return allow;
    for (const match of matches) {
      this.#ruleIds ??= [];
      this.#ruleIds.push(match.rule.id);
      this.#rule ??= match.rule;
      if (match.action === 'allow' || this.#takeChange(match)) continue;
      this.alarm(match);
    }
    const verdict = verdictOf(matches);
    if (verdict.kind !== 'allow') return this.settle(verdict);
    const unmasked = matches.find((match) => match.action === 'redact' && !this.#isMasked(match));
    return unmasked === undefined ? verdict : this.settle({ kind: 'block', rule: unmasked.rule });
  }

  alarm(match: Match): void {
    const { flow, recorder } = this.#inspection;
    flow.alarms += 1;
    this.#alarms += 1;
    count(`daylight_alarms_total{severity="${match.severity}"}`);
    // Returns once the alarm is on disk: only then may its verdict act.
    recorder.alarm(flow, { timeMs: Date.now(), match, txId: this.#txId, request: this.#request });
  }

  /** A rule that changes a head is no alarm: the change is in the record of the transaction. */
  #takeChange({ rule }: Match): boolean {
    const header = this.#inspection.rules.headers.get(rule.id);
    if (header === undefined) return false;
    this.#ruleChanges = [...this.#ruleChanges, { ruleId: rule.id, header }];
    return true;
  }

  /** What stands in a coded body is masked where all of it waits, and blocked elsewhere; so is text in another encoding. */
  #isMasked(match: Match): boolean {
    const isRequest = match.field.startsWith('http.request.');
    const body = isRequest ? this.#requestBody : this.#responseBody;
    if (body?.isRecoded !== true) return true;
    return (isRequest ? this.#requestPassage : this.#responsePassage)?.masks(match) === true;
  }
}

const unknownLength: BodyFraming = { kind: 'until-close' };
const unchanged: readonly never[] = [];
