import { BodyReader } from '../../codec/http1-body.ts';
import { partial } from '../../codec/http1-bytes.ts';
import { headFailure, sectionFailure } from '../../codec/http1-fault.ts';
import { type ParsedResponse, parseResponseHead } from '../../codec/http1-head.ts';
import { changeHead } from '../../codec/http1-head-changes.ts';
import { outgrown, SectionBuffer } from '../../codec/http1-section.ts';
import type { ResponseHead } from '../../core/http.ts';
import { limits } from '../../core/limits.ts';
import type { HeadChanges, Verdict } from '../../core/verdict.ts';
import type { Http1Options } from './http1.ts';
import type { LiveExchange } from './http1-exchange.ts';
import { farewell } from './http1-farewell.ts';
import { Forwarder, viewOf } from './http1-forwarder.ts';
import { HeldBytes } from './http1-held-bytes.ts';
import { type Pipeline, type Refusal, refusalOf } from './http1-pipeline.ts';
import { endUnanswered, faultBetween } from './http1-response-fault.ts';
import { switchOutcome } from './http1-switch.ts';
import { forwardTrailers } from './http1-trailers.ts';

/** The origin's direction: cuts its bytes into responses, gives each to its exchange, and sends on what was allowed. */
export class ResponseStream {
  readonly #options: Http1Options;
  readonly #pipeline: Pipeline;
  readonly #forwarder: Forwarder;
  readonly #body = new BodyReader();
  readonly #section = new SectionBuffer(limits.httpHeadBytes);
  #isOpen = true;
  /** The response under way is the last of its connection. */
  #isLast = false;
  /** The last response is complete: the flow ends once its bytes are sent. */
  #mustClose = false;
  /** The present response is whole and waits for a verdict on it; what comes behind it waits too. */
  #isAwaited = false;
  readonly #held = new HeldBytes();
  /** The origin ended meanwhile. */
  #endedMeanwhile: { readonly clean: boolean } | undefined;

  constructor(options: Http1Options, pipeline: Pipeline) {
    this.#options = options;
    this.#pipeline = pipeline;
    this.#forwarder = new Forwarder(pipeline, 'client');
  }

  receive(bytes: Buffer): void {
    if (this.#isAwaited) return this.#hold(bytes);
    if (this.#isOpen && bytes.length > 0) this.#consume(bytes);
    if (this.#mustClose) this.#pipeline.close();
  }

  /** The origin ended. Returns false when it did so between exchanges, and nothing of them is lost. */
  end(clean: boolean): boolean {
    const exchange = this.#pipeline.first;
    if (this.#mustWait) {
      this.#endedMeanwhile = { clean };
      return true;
    }
    if (!this.#isOpen || exchange === undefined) return false;
    if (this.#body.isComplete) this.#endBetweenBodies(exchange);
    else if (clean && this.#body.isUntilClose) this.#complete(exchange);
    else this.#pipeline.abort('ORIGIN_TRUNCATED', 'the origin ended in the middle of a response body');
    if (this.#mustClose) this.#pipeline.close();
    return true;
  }

  #endBetweenBodies(exchange: LiveExchange): void {
    if (exchange.isResponseDone) {
      this.#closeAfter(exchange);
      this.#pipeline.close();
    } else endUnanswered(this.#pipeline, this.#section.isActive);
  }

  /** A head that came in pieces is a chunk of its own; the rest follows as another. */
  #consume(bytes: Buffer): void {
    if (!this.#section.isActive) {
      this.#consumeChunk(bytes);
      return;
    }
    const after = this.#collect(bytes, 0);
    if (after < 0) return;
    this.#consumeChunk(this.#section.take());
    if (after === bytes.length) return;
    if (this.#pipeline.switchedTo !== undefined) this.#pipeline.switchedTo.earlyBytes = bytes.subarray(after);
    else if (this.#isAwaited) this.#hold(bytes.subarray(after));
    else if (this.#isOpen) this.#consumeChunk(bytes.subarray(after));
  }

  #consumeChunk(bytes: Buffer): void {
    const end = bytes.length;
    let at = 0;
    this.#forwarder.open(bytes);
    while (at < end && this.#isOpen && !this.#isAwaited) {
      at = this.#body.isComplete ? this.#readHead(bytes, at, end) : this.#readBody(bytes, at, end);
    }
    this.#forwarder.close(at, this.#pipeline.first?.responseBodyBytes);
    if (this.#isAwaited && at < end) this.#hold(bytes.subarray(at));
    // After a 101 the rest of the chunk is no longer HTTP.
    const { switchedTo } = this.#pipeline;
    if (switchedTo !== undefined && at < end) switchedTo.earlyBytes = bytes.subarray(at);
  }

  #readHead(bytes: Buffer, at: number, end: number): number {
    const exchange = this.#pipeline.first;
    this.#forwarder.startMessage(at);
    if (exchange === undefined || exchange.isResponseDone) {
      this.#refuse({ code: 'ORIGIN_HTTP_UNSOLICITED', detail: '' }, undefined);
      return at;
    }
    const parsed = parseResponseHead(bytes, at, end, exchange.request.method, this.#section.memo);
    switch (parsed.kind) {
      case 'partial':
        this.#forwarder.skip(at, end);
        this.#collect(bytes, at);
        return end;
      case 'failed':
        this.#refuse(parsed, exchange);
        return end;
      case 'parsed':
        exchange.responseWireBytes += parsed.length;
        this.#begin(parsed, exchange, bytes, at);
        return at + parsed.length;
    }
  }

  /** Keeps bytes of a head that comes in pieces. Returns the position after the head, or a negative number. */
  #collect(bytes: Buffer, at: number): number {
    const after = this.#section.append(bytes, at, bytes.length);
    if (after === partial || after >= 0) return after;
    this.#refuse(sectionFailure('origin', after === outgrown), this.#pipeline.first);
    return after;
  }

  #begin(parsed: ParsedResponse, exchange: LiveExchange, bytes: Buffer, at: number): void {
    const { head } = parsed;
    const fault = faultBetween(parsed, exchange);
    if (fault !== '') this.#refuse(headFailure('origin', 'ambiguous', fault), exchange);
    else if (head.status < 200 && head.status !== 101) this.#passInterim(parsed, exchange, bytes, at);
    else {
      const verdict = exchange.inspected.responseHead(head);
      if (verdict.kind !== 'allow') this.#refuse(refusalOf(verdict), exchange);
      else if (parsed.upgrade !== undefined) this.#switch(parsed.upgrade, head, exchange);
      else {
        const isFarewell = this.#pipeline.saysFarewell(parsed.persistent);
        const changes = isFarewell ? farewell(head, verdict.changes) : verdict.changes;
        if (changes !== undefined) this.#change(bytes, at, at + parsed.length, changes);
        this.#forwarder.keep(verdict);
        this.#isLast = isFarewell || !parsed.persistent;
        this.#beginBody(head, exchange);
      }
    }
  }

  #passInterim({ head, length }: ParsedResponse, exchange: LiveExchange, bytes: Buffer, at: number): void {
    const isTooMany = ++exchange.interimResponses > limits.httpInterimResponses;
    if (isTooMany) return this.#refuse(headFailure('origin', 'malformed', 'too many interim responses'), exchange);
    const verdict = exchange.inspected.interim(head);
    if (verdict.kind !== 'allow') this.#refuse(refusalOf(verdict), exchange);
    else if (verdict.changes !== undefined) this.#change(bytes, at, at + length, verdict.changes);
  }

  #change(bytes: Buffer, at: number, end: number, changes: HeadChanges): void {
    this.#forwarder.replace(at, end, changeHead(bytes.subarray(at, end), changes));
  }

  #switch(protocol: string, head: ResponseHead, exchange: LiveExchange): void {
    const outcome = switchOutcome(protocol, head, exchange, this.#options.upgrades);
    if (outcome.kind === 'refused') return this.#refuse(outcome.refusal, exchange);
    this.#isOpen = false;
    exchange.isResponseBegun = true;
    exchange.isResponseDone = true;
    exchange.inspected.upgraded(protocol, outcome.unread);
    this.#pipeline.switchedTo = { protocol, webSocket: outcome.webSocket, earlyBytes: undefined };
  }

  #beginBody(head: ResponseHead, exchange: LiveExchange): void {
    exchange.isResponseBegun = true;
    this.#body.begin(head.framing);
    if (head.framing.kind === 'until-close') this.#options.onUntilClose?.();
    if (this.#body.isComplete) this.#complete(exchange);
  }

  #readBody(bytes: Buffer, at: number, end: number): number {
    const exchange = this.#pipeline.first;
    const body = this.#body;
    const after = body.read(bytes, at, end);
    if (exchange === undefined) return end;
    exchange.responseWireBytes += after - at;
    if (body.fault !== undefined) {
      this.#refuse(headFailure('origin', body.fault, body.detail), exchange);
      return after;
    }
    if (body.to > body.from) {
      exchange.responseBodyBytes += body.to - body.from;
      const verdict = exchange.inspected.responseBody(viewOf(bytes, body.from, body.to));
      const refusal = verdict.kind === 'allow' ? this.#forwarder.keep(verdict) : refusalOf(verdict);
      if (refusal !== undefined) {
        this.#refuse(refusal, exchange);
        return after;
      }
      if (this.#forwarder.isWaiting) this.#pauseUntilTaken();
    }
    if (body.isComplete) forwardTrailers(this.#forwarder, body, bytes, after, this.#complete(exchange));
    else if (body.heldFrom >= 0) this.#forwarder.skip(body.heldFrom, after);
    return after;
  }

  #complete(exchange: LiveExchange): Verdict {
    const verdict = exchange.inspected.responseEnd(this.#body.trailers);
    if (this.#awaits(verdict, (settled) => this.#completed(exchange, settled))) this.#forwarder.keep(verdict);
    else this.#completed(exchange, verdict);
    return verdict;
  }

  #completed(exchange: LiveExchange, verdict: Verdict): void {
    const refusal = verdict.kind === 'allow' ? this.#forwarder.keep(verdict) : refusalOf(verdict);
    if (refusal !== undefined) return this.#refuse(refusal, exchange);
    if (!this.#forwarder.isWaiting) return this.#passed(exchange);
    this.#isAwaited = true;
    this.#pauseUntilTaken(() => {
      this.#isAwaited = false;
      this.#passed(exchange);
    });
  }

  #passed(exchange: LiveExchange): void {
    if (this.#isLast) {
      this.#mustClose = true;
      this.#closeAfter(exchange);
    } else {
      exchange.isResponseDone = true;
      if (exchange.isRequestDone) this.#pipeline.completeFirst();
    }
  }

  #awaits(verdict: Verdict, settled: (verdict: Verdict) => void): boolean {
    this.#isAwaited = this.#pipeline.awaits(verdict, (last) => {
      this.#isAwaited = false;
      settled(last);
      this.#resume();
    });
    if (this.#isAwaited) this.#options.wire.pause('origin', true);
    return this.#isAwaited;
  }

  /** Goes on with what came while a response waited. */
  #resume(): void {
    if (this.#mustClose) this.#pipeline.close();
    while (this.#isOpen && !this.#isAwaited && !this.#held.isEmpty && !this.#pipeline.isOver) {
      const bytes = this.#held.shift();
      if (bytes !== undefined) this.receive(bytes);
    }
    if (!this.#mustWait && !this.#pipeline.isOver) this.#options.wire.pause('origin', false);
  }

  /** A response waits for a verdict, or for its client to take it. */
  get #mustWait(): boolean {
    return this.#isAwaited || this.#forwarder.isWaiting;
  }

  #pauseUntilTaken(taken?: () => void): void {
    this.#options.wire.pause('origin', true);
    this.#forwarder.afterTaken(() => {
      taken?.();
      this.#resume();
    });
  }

  /** How the origin ended while a response waited; told once. */
  takeEnd(): { readonly clean: boolean } | undefined {
    if (this.#mustWait) return undefined;
    const ended = this.#endedMeanwhile;
    this.#endedMeanwhile = undefined;
    return ended;
  }

  #hold(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (!this.#held.isFull) this.#held.push(bytes);
    else this.#pipeline.abort('GATEWAY_OVERLOADED', 'bytes kept coming from a paused origin');
  }

  /** Nothing can follow this response: later bytes of the origin are not forwarded, later requests stay unanswered. */
  #closeAfter(exchange: LiveExchange): void {
    this.#isOpen = false;
    exchange.isResponseDone = true;
    if (exchange.isRequestDone) this.#pipeline.completeFirst();
    else exchange.finish(undefined, 'the origin answered before the request was complete, and closes');
  }

  /** Nothing of this response that was not sent yet is sent any more; where none was, the gateway answers instead. */
  #refuse(refusal: Refusal, exchange: LiveExchange | undefined): void {
    const { code, detail } = refusal;
    const isCut = this.#forwarder.isBegun;
    this.#isOpen = false;
    this.#forwarder.discardMessage();
    if (isCut || code === 'POLICY_RULE_RESET') this.#pipeline.abort(code, detail);
    else if (exchange === undefined) this.#pipeline.close(code, detail);
    else this.#pipeline.answerFirst(refusal);
  }
}
