import type { Destination } from '../../core/endpoint.ts';
import type { FailureCode } from '../../core/failures.ts';
import type { Wire } from '../../core/relay.ts';
import type { Side } from '../../core/side.ts';
import type { RuleRef, Verdict } from '../../core/verdict.ts';
import type { MessageInspector, WebSocketAgreement } from '../../core/websocket.ts';
import { type LiveExchange, requestField } from './http1-exchange.ts';
import { failurePage, pageStatus } from './http1-page.ts';
import { ReleasedBytes } from './http1-released.ts';

/** Why an exchange is not let through. */
export interface Refusal {
  readonly code: FailureCode;
  readonly detail: string;
  readonly status?: number | undefined;
  readonly rule?: RuleRef | undefined;
}

/** What a 101 switched to, and what of it came together with the 101. */
export interface Switch {
  readonly protocol: string;
  /** Reads its messages; undefined where it passes unread. */
  readonly webSocket: { readonly agreement: WebSocketAgreement; readonly messages: MessageInspector } | undefined;
  earlyBytes: Buffer | undefined;
}

/** How the flow ends once the exchanges that are under way are done. */
interface Ending {
  readonly code: FailureCode | undefined;
  readonly detail: string;
  readonly page: Buffer | undefined;
}

export interface PipelineOptions {
  readonly wire: Wire;
  readonly flowId: string;
  readonly shareKey: string;
}

/**
 * The exchanges whose requests passed and whose responses are outstanding, in order, and the one end of the flow. The
 * streams of both directions meet here alone.
 */
export class Pipeline {
  readonly wire: Wire;
  readonly #flowId: string;
  readonly #shareKey: string;
  /** What was held and let go, and waits for a side to take it. */
  readonly waiting = new Set<ReleasedBytes>();
  readonly #live: LiveExchange[] = [];
  #ending: Ending | undefined;
  /** Nothing is sent any more. */
  isOver = false;
  /** The flow is to end: the last response says so. */
  isDraining = false;
  /** It has: no other request is taken in. */
  hasSaidFarewell = false;
  /** Exchanges begun in this flow. */
  depth = 0;
  /** Responses completed on the present origin leg. */
  responsesOnLeg = 0;
  /** Set by a 101: what both directions are from now on. */
  switchedTo: Switch | undefined;

  /** Goes on after a wait: runs what it is given as part of the relay, whose faults end this flow alone. */
  onSettled: (goOn: () => void) => void = (goOn) => goOn();

  constructor({ wire, flowId, shareKey }: PipelineOptions) {
    this.wire = wire;
    this.#flowId = flowId;
    this.#shareKey = shareKey;
  }

  /** Somewhere for bytes to wait in until a side takes them. */
  waitingFor(side: Side): ReleasedBytes {
    return new ReleasedBytes(side, {
      wire: this.wire,
      among: this.waiting,
      shareKey: this.#shareKey,
      hoards: (by, detail) =>
        this.onSettled(() => this.abort(by === 'client' ? 'CLIENT_HOARDING' : 'ORIGIN_HOARDING', detail)),
    });
  }

  /** A side has taken what it was sent, or may take more: what waits for it goes on. */
  advance(side: Side): void {
    for (const waiting of this.waiting) if (waiting.to === side) waiting.advance();
  }

  get length(): number {
    return this.#live.length;
  }

  /** The exchange that the next response belongs to. */
  get first(): LiveExchange | undefined {
    return this.#live[0];
  }

  /** The exchange whose request came last. */
  get last(): LiveExchange | undefined {
    return this.#live[this.#live.length - 1];
  }

  /** Requests go to another origin from now on, where one is named. */
  retarget(destination: Destination | undefined): void {
    if (destination === undefined) return;
    this.responsesOnLeg = 0;
    this.wire.retarget?.(destination);
  }

  add(exchange: LiveExchange): void {
    this.depth++;
    this.#live.push(exchange);
  }

  completeFirst(): void {
    this.responsesOnLeg++;
    this.#live.shift()?.finish(undefined, '');
  }

  /** Whether the end of a message waits for its verdict; `settled` is told of it, unless the flow is over by then. */
  awaits(verdict: Verdict, settled: (verdict: Verdict) => void): boolean {
    if (verdict.kind !== 'allow' || verdict.until === undefined) return false;
    verdict.until.then((last) => {
      if (!this.isOver) this.onSettled(() => settled(last));
    });
    return true;
  }

  /** Goes on behind the present turn of the wire, unless the flow is over by then. */
  soon(goOn: () => void): void {
    queueMicrotask(() => {
      if (!this.isOver) this.onSettled(goOn);
    });
  }

  /** Refuses what the client sent: answered after the earlier exchanges are done, then the flow ends. */
  refuseRequest(refusal: Refusal, exchange: LiveExchange | undefined): void {
    const { code, detail } = refusal;
    if (code === 'POLICY_RULE_RESET') this.abort(code, detail);
    else if (exchange?.isResponseDone === true) this.close(code, detail);
    else if (exchange?.isResponseBegun === true) this.abort(code, detail);
    else this.#answerLater(refusal, exchange);
  }

  /** The client ended, perhaps in the middle of a request. */
  clientEnded(exchange: LiveExchange | undefined, isInHead: boolean): void {
    const detail = `the client ended in the middle of a request ${exchange === undefined ? 'head' : 'body'}`;
    if (exchange?.isResponseDone) this.close('CLIENT_GONE', detail);
    else if (exchange !== undefined) this.abort('CLIENT_GONE', detail);
    else if (isInHead) this.endLater('CLIENT_GONE', detail);
    else this.endLater();
  }

  /** Ends the flow when the exchanges under way are done. */
  endLater(code?: FailureCode, detail = ''): void {
    this.#ending ??= { code, detail, page: undefined };
  }

  /** Whether the response that begins can say that it is the last: nobody waits for another, and none was announced. */
  saysFarewell(persistent: boolean): boolean {
    const isLast = this.#live.length === 1 && this.first?.isRequestDone === true && this.#ending === undefined;
    if (!this.isDraining || !persistent || !isLast) return false;
    this.hasSaidFarewell = true;
    return true;
  }

  /** Ends the flow if it is to end and nothing is outstanding. */
  settle(): void {
    if (this.isOver || this.#ending === undefined || this.#live.length > 0) return;
    this.#close(this.#ending);
  }

  /** Answers the first outstanding exchange, of whose response nothing was sent, and ends the flow. */
  answerFirst(refusal: Refusal): void {
    this.#close({ code: refusal.code, detail: refusal.detail, page: this.#pageFor(refusal, this.first) });
  }

  /** Nothing comes any more although something was begun: whose turn it is failed to go on. */
  timedOut(): void {
    const exchange = this.first;
    if (this.isOver) return;
    if (exchange === undefined) {
      this.refuseRequest({ code: 'CLIENT_HTTP_TIMEOUT', detail: 'an incomplete request head' }, undefined);
      return;
    }
    const refusal: Refusal =
      exchange.isRequestDone || awaitsContinue(exchange)
        ? { code: 'ORIGIN_IDLE_TIMEOUT', detail: 'the response did not come, or stopped coming' }
        : { code: 'CLIENT_IDLE_TIMEOUT', detail: 'the request body stopped coming' };
    if (exchange.isResponseDone) this.close(refusal.code, refusal.detail);
    else if (exchange.isResponseBegun) this.abort(refusal.code, refusal.detail);
    else this.answerFirst(refusal);
  }

  /** Ends the flow in order. What is outstanding is lost with it. */
  close(code?: FailureCode, detail = ''): void {
    this.#close({
      code: code ?? this.#ending?.code,
      detail: detail === '' ? (this.#ending?.detail ?? '') : detail,
      page: undefined,
    });
  }

  /** Ends the flow visibly broken. */
  abort(code: FailureCode, detail: string): void {
    if (this.isOver) return;
    this.cut(code, detail);
    this.wire.abort(code, detail);
  }

  /** The flow ended from outside: only the exchanges are left to report. */
  cut(code: FailureCode, detail: string): void {
    this.isOver = true;
    for (const waiting of this.waiting) waiting.drop();
    const broken: unknown[] = [];
    for (const exchange of this.#live.splice(0)) {
      try {
        exchange.finish(code, detail);
      } catch (error) {
        // Records cannot be written, which is told for each: the others are due theirs all the same.
        broken.push(error);
      }
    }
    if (broken.length > 0) throw broken[0];
  }

  #answerLater(refusal: Refusal, exchange: LiveExchange | undefined): void {
    const { code, detail } = refusal;
    if (exchange !== undefined) {
      // The request that is refused is always the last one.
      this.#live.pop();
    }
    this.#ending = { code, detail, page: this.#pageFor(refusal, exchange) };
    exchange?.finish(code, detail);
  }

  #close(ending: Ending): void {
    if (this.isOver) return;
    this.cut(ending.code ?? 'ORIGIN_GONE', ending.detail === '' ? 'the connection ended before' : ending.detail);
    if (ending.page !== undefined) this.wire.send('client', ending.page);
    this.wire.close(ending.code, ending.detail);
  }

  #pageFor({ code, detail, status, rule }: Refusal, exchange: LiveExchange | undefined): Buffer {
    const request = exchange?.request;
    if (exchange !== undefined) exchange.answered = pageStatus(code, status);
    return failurePage({
      code,
      rule,
      // The rule says it all; its id is the detail of the record.
      detail: rule === undefined ? detail : '',
      flowId: this.#flowId,
      accept: requestField(request, 'accept'),
      method: request?.method,
      status,
    });
  }
}

/** Whether the client holds its body back until the origin asks for it (RFC 9110 section 10.1.1). */
function awaitsContinue({ request, requestBodyBytes, interimResponses }: LiveExchange): boolean {
  if (requestBodyBytes > 0 || interimResponses > 0) return false;
  return requestField(request, 'expect')?.toLowerCase() === '100-continue';
}

/** The refusal that a verdict asks for. */
export function refusalOf(verdict: Exclude<Verdict, { kind: 'allow' }>): Refusal {
  if (verdict.kind === 'refuse') return { code: verdict.code, detail: verdict.detail };
  const { rule } = verdict;
  return {
    code: verdict.kind === 'block' ? 'POLICY_RULE_BLOCK' : 'POLICY_RULE_RESET',
    detail: `rule ${rule.id}`,
    rule,
  };
}
