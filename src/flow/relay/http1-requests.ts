import { BodyReader } from '../../codec/http1-body.ts';
import { cr, lf, partial } from '../../codec/http1-bytes.ts';
import { headFailure, sectionFailure } from '../../codec/http1-fault.ts';
import { type ParsedRequest, parseRequestHead } from '../../codec/http1-head.ts';
import { outgrown, SectionBuffer } from '../../codec/http1-section.ts';
import { limits } from '../../core/limits.ts';
import type { Verdict } from '../../core/verdict.ts';
import type { Http1Options } from './http1.ts';
import { ProxyLeg, requestDestination, requestRefusal } from './http1-admission.ts';
import { LiveExchange } from './http1-exchange.ts';
import { forwardedHead } from './http1-forwarded-head.ts';
import { Forwarder, viewOf } from './http1-forwarder.ts';
import { HeadClock } from './http1-head-clock.ts';
import { HeldBytes } from './http1-held-bytes.ts';
import { type Pipeline, type Refusal, refusalOf } from './http1-pipeline.ts';
import { forwardTrailers } from './http1-trailers.ts';

/** The client's direction: cuts its bytes into requests, has each judged, and sends on what was allowed. */
export class RequestStream {
  readonly #options: Http1Options;
  readonly #pipeline: Pipeline;
  readonly #forwarder: Forwarder;
  readonly #body = new BodyReader();
  readonly #section = new SectionBuffer(limits.httpHeadBytes);
  readonly #held = new HeldBytes();
  /** The exchange whose request is under way. */
  #current: LiveExchange | undefined;
  #isLast = false;
  #isPaused = false;
  #isOpen = true;
  #isEnded = false;
  /** The present request is whole and waits for a verdict on it. */
  #isAwaited = false;
  /** The next request goes to another origin: earlier exchanges come first. */
  #awaitsEmptyPipeline = false;
  #hasSkippedBlankLine = false;
  #isFirstLineChecked = false;
  readonly #headClock = new HeadClock();
  readonly #leg = new ProxyLeg();

  constructor(options: Http1Options, pipeline: Pipeline) {
    this.#options = options;
    this.#pipeline = pipeline;
    this.#forwarder = new Forwarder(pipeline, 'origin');
  }

  /** Whether the client is between two requests. */
  get isBetweenRequests(): boolean {
    return this.#body.isComplete && !this.#isAwaited && !this.#section.isActive && this.#held.isEmpty;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }
  receive(bytes: Buffer): void {
    if (!this.#isOpen || bytes.length === 0) return;
    if (this.#held.isEmpty) this.#consume(bytes);
    else if (!this.#held.isFull) this.#held.push(bytes);
    else this.#refuse({ code: 'GATEWAY_OVERLOADED', detail: 'bytes kept coming from a paused client' }, undefined);
    this.#applyPause();
  }

  end(): void {
    this.#isEnded = true;
  }

  /** Goes on with what was held, as far as it may, then with the end behind it. */
  resume(): void {
    while (this.#isOpen && !this.#held.isEmpty && this.#mayBegin()) {
      const bytes = this.#held.shift();
      if (bytes !== undefined) this.#consume(bytes);
    }
    this.#applyPause();
    if (this.#isEnded && this.#isOpen && !this.#isAwaited && this.#held.isEmpty) this.#clientEnded();
  }

  /** The protocol was switched: returns what was held, which belongs to the new one. */
  release(): readonly Buffer[] {
    const ahead = [...this.#held.chunks];
    this.#shut();
    this.#applyPause();
    return ahead;
  }

  /** The origin of a proxy client ended between exchanges: the next request opens a new leg. */
  forgetOrigin(): void {
    this.#leg.forget();
  }

  /** Refuses a head that takes too long, to about a second. */
  tick(nowMs: number): void {
    if (!this.#headClock.isLate(this.#isOpen && this.#section.isActive, nowMs)) return;
    this.#refuse({ code: 'CLIENT_HTTP_TIMEOUT', detail: 'an incomplete request head' }, undefined);
  }

  /** A head that came in pieces is a chunk of its own; the rest follows as another. */
  #consume(bytes: Buffer): void {
    if (!this.#section.isActive) {
      this.#consumeChunk(bytes);
      return;
    }
    const after = this.#collect(bytes, 0);
    if (after < 0) return;
    this.#isFirstLineChecked = false;
    this.#headClock.stop();
    const mayGoOn = this.#consumeChunk(this.#section.take());
    if (!this.#isOpen || after === bytes.length) return;
    if (mayGoOn) this.#consumeChunk(bytes.subarray(after));
    else this.#held.putBackSecond(bytes.subarray(after));
  }

  /** Returns false when it left bytes that have to wait. */
  #consumeChunk(bytes: Buffer): boolean {
    const end = bytes.length;
    let at = 0;
    let mayGoOn = true;
    this.#forwarder.open(bytes);
    while (at < end && this.#isOpen) {
      if (!this.#body.isComplete) at = this.#readBody(bytes, at, end);
      else if (this.#mayBegin()) at = this.#readHead(bytes, at, end);
      else {
        this.#held.putBack(bytes.subarray(at));
        mayGoOn = false;
        break;
      }
    }
    this.#forwarder.close(at, this.#current?.requestBodyBytes);
    return mayGoOn;
  }

  /** Returns the position after what was read; the same one when the request has to wait. */
  #readHead(bytes: Buffer, at: number, end: number): number {
    this.#forwarder.startMessage(at);
    if (bytes[at] === cr && !this.#hasSkippedBlankLine) {
      // RFC 9112 section 2.2: old clients send an empty line after a body. It is dropped: the origin need not guess.
      if (at + 1 === end) return this.#keepPart(bytes, at, end);
      if (bytes[at + 1] === lf) {
        this.#hasSkippedBlankLine = true;
        this.#forwarder.skip(at, at + 2);
        return at + 2;
      }
    }
    const parsed = parseRequestHead(bytes, at, end, this.#section.memo);
    switch (parsed.kind) {
      case 'partial':
        return this.#keepPart(bytes, at, end);
      case 'failed':
        this.#refuse(parsed, undefined);
        return end;
      case 'parsed':
        if (this.#mustWait(parsed)) return at;
        this.#begin(parsed, bytes, at);
        return at + parsed.length;
    }
  }

  #keepPart(bytes: Buffer, at: number, end: number): number {
    this.#forwarder.skip(at, end);
    this.#collect(bytes, at);
    return end;
  }

  /** Keeps bytes of a head that comes in pieces. Returns the position after the head, or a negative number. */
  #collect(bytes: Buffer, at: number): number {
    const after = this.#section.append(bytes, at, bytes.length);
    if (after >= 0) return after;
    if (after !== partial) this.#refuse(sectionFailure('client', after === outgrown), undefined);
    else if (this.#section.lines > 0 && !this.#isFirstLineChecked) {
      // A request line that is wrong is answered now: what follows it may never come (HTTP/0.9).
      this.#isFirstLineChecked = true;
      const kept = this.#section.peek();
      const parsed = parseRequestHead(kept, 0, kept.length);
      if (parsed.kind === 'failed') this.#refuse(parsed, undefined);
    }
    return after;
  }

  #begin(parsed: ParsedRequest, bytes: Buffer, at: number): void {
    const { inspector, mode } = this.#options;
    // Without persistence there is nothing to upgrade: bytes behind such a request are not read.
    const upgrade = parsed.offersHttp2 || !parsed.persistent ? undefined : parsed.upgrade;
    const destination = mode === 'proxy' ? requestDestination(parsed) : undefined;
    const inspected = inspector.exchange(this.#pipeline.depth, parsed.head.host, destination);
    const exchange = new LiveExchange(inspected, parsed.head, upgrade);
    exchange.requestWireBytes = parsed.length;
    this.#hasSkippedBlankLine = false;
    this.#current = exchange;
    this.#pipeline.add(exchange);
    const verdict = exchange.inspected.requestHead(parsed.head);
    const refusal = verdict.kind === 'allow' ? requestRefusal(parsed, this.#options) : refusalOf(verdict);
    if (refusal !== undefined) return this.#refuse(refusal, exchange);
    if (mode === 'proxy') this.#pipeline.retarget(this.#leg.turnTo(parsed));
    const head = forwardedHead(bytes, at, parsed, mode === 'proxy', verdict);
    if (head !== undefined) this.#forwarder.replace(at, at + parsed.length, head);
    if (parsed.offersHttp2) inspected.changed?.('request offer of HTTP/2 removed: upgrade');
    this.#forwarder.keep(verdict);
    this.#isLast = !parsed.persistent;
    this.#body.begin(parsed.head.framing);
    if (this.#body.isComplete) this.#complete(exchange);
  }

  #readBody(bytes: Buffer, at: number, end: number): number {
    const exchange = this.#current;
    const body = this.#body;
    const after = body.read(bytes, at, end);
    if (exchange === undefined) return end;
    exchange.requestWireBytes += after - at;
    if (body.fault !== undefined) {
      this.#refuse(headFailure('client', body.fault, body.detail), exchange);
      return after;
    }
    if (body.to > body.from) {
      exchange.requestBodyBytes += body.to - body.from;
      const verdict = exchange.inspected.requestBody(viewOf(bytes, body.from, body.to));
      const refusal = verdict.kind === 'allow' ? this.#forwarder.keep(verdict) : refusalOf(verdict);
      if (refusal !== undefined) {
        this.#refuse(refusal, exchange);
        return after;
      }
      if (this.#forwarder.isWaiting) this.#forwarder.afterTaken(() => this.#applyPause());
    }
    if (body.isComplete) forwardTrailers(this.#forwarder, body, bytes, after, this.#complete(exchange));
    else if (body.heldFrom >= 0) this.#forwarder.skip(body.heldFrom, after);
    return after;
  }

  #complete(exchange: LiveExchange): Verdict {
    const verdict = exchange.inspected.requestEnd(this.#body.trailers);
    this.#isAwaited = this.#pipeline.awaits(verdict, (settled) => this.#completed(exchange, settled));
    if (this.#isAwaited) this.#forwarder.keep(verdict);
    else this.#completed(exchange, verdict);
    return verdict;
  }

  #completed(exchange: LiveExchange, verdict: Verdict): void {
    this.#isAwaited = false;
    const refusal = verdict.kind === 'allow' ? this.#forwarder.keep(verdict) : refusalOf(verdict);
    if (refusal !== undefined) return this.#refuse(refusal, exchange);
    if (!this.#forwarder.isWaiting) return this.#passed(exchange);
    this.#isAwaited = true;
    this.#forwarder.afterTaken(() => {
      this.#isAwaited = false;
      this.#passed(exchange);
      this.#applyPause();
    });
  }

  #passed(exchange: LiveExchange): void {
    exchange.isRequestDone = true;
    this.#current = undefined;
    // The response was early: only now is the exchange over, and the connection good for another (RFC 9112 section 9.3).
    if (exchange.isResponseDone) this.#pipeline.completeFirst();
    if (!this.#isLast) return;
    this.#shut();
    this.#pipeline.endLater();
  }

  /** Nothing of this request that was not sent yet is sent any more. */
  #refuse(refusal: Refusal, exchange: LiveExchange | undefined): void {
    this.#forwarder.discardMessage();
    this.#shut();
    this.#pipeline.refuseRequest(refusal, exchange);
  }

  #clientEnded(): void {
    this.#shut();
    this.#pipeline.clientEnded(this.#current, this.#section.isActive);
  }

  /** Whether the next request may pass now: the pipeline has room, and no upgrade is undecided whose bytes these might be. */
  #mayBegin(): boolean {
    const pipeline = this.#pipeline;
    if (this.#isAwaited || pipeline.hasSaidFarewell) return false;
    if (!this.#body.isComplete || pipeline.length === 0) {
      this.#awaitsEmptyPipeline = false;
      return true;
    }
    if (this.#awaitsEmptyPipeline || pipeline.length >= limits.httpPipelineDepth) return false;
    return pipeline.last?.upgrade === undefined;
  }

  #mustWait(parsed: ParsedRequest): boolean {
    if (this.#options.mode !== 'proxy' || this.#pipeline.length === 0) return false;
    this.#awaitsEmptyPipeline = this.#leg.isLeftBy(parsed);
    return this.#awaitsEmptyPipeline;
  }

  /** No further byte of the client is read. */
  #shut(): void {
    this.#isOpen = false;
    this.#held.clear();
  }

  #applyPause(): void {
    const isPaused = !this.#held.isEmpty || this.#forwarder.isWaiting;
    if (isPaused === this.#isPaused) return;
    this.#isPaused = isPaused;
    this.#options.wire.pause('client', isPaused);
  }
}
