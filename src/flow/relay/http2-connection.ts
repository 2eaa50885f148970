import type { Http2Field } from '../../codec/http2-field.ts';
import {
  goawayFrame,
  type Http2Error,
  http2Errors,
  mostStream,
  rstStreamFrame,
  settingsFrame,
  windowUpdateFrame,
} from '../../codec/http2-frames.ts';
import { type FailureCode, FlowFailure } from '../../core/failures.ts';
import { limits } from '../../core/limits.ts';
import type { Side } from '../../core/side.ts';
import type { Verdict } from '../../core/verdict.ts';
import { HeldMemory } from './held-memory.ts';
import type { Refusal } from './http1-pipeline.ts';
import { WaitingAnswers } from './http2-answers.ts';
import { Budget } from './http2-budget.ts';
import type { HeldMessage } from './http2-held-message.ts';
import { cutHoarder, stalledBytes } from './http2-hoarding.ts';
import type { Http2Options } from './http2-options.ts';
import { Http2Outgoing } from './http2-outgoing.ts';
import { answerStream, askToEnd } from './http2-page.ts';
import { ResetMemory } from './http2-reset-memory.ts';
import type { Http2Stream } from './http2-stream.ts';
import { StrippedOffers } from './http2-stripped-offers.ts';
import { ConnectionWindow } from './http2-window.ts';

/** What both directions of a connection share: its streams, what may still be sent, and how streams and connection end. */
export class Http2Connection {
  readonly options: Http2Options;
  readonly to: Readonly<Record<Side, Http2Outgoing>>;
  /** What each side still takes of DATA. */
  readonly windows: Readonly<Record<Side, ConnectionWindow>>;
  readonly answers: WaitingAnswers;
  /** Messages that wait for a window, in turn. */
  readonly waiting = new Set<HeldMessage>();
  /** Requests of which the origin knows nothing yet, by rising stream. */
  readonly heldHeads = new Set<HeldMessage>();
  /** Of what waits in messages. */
  readonly memory: HeldMemory;
  readonly streams = new Map<number, Http2Stream>();
  /** Streams of which a side may still send frames although they are over. */
  readonly late: Readonly<Record<Side, ResetMemory>> = { client: new ResetMemory(), origin: new ResetMemory() };
  readonly #resets = new Budget(limits.http2Resets, limits.http2ResetsPerSecond);
  /** Highest stream that the client has opened. */
  lastStreamId = 0;
  /** Highest stream that is taken: what GOAWAY has told the client. */
  #mostStreamId = mostStream;
  /** Exchanges begun. */
  depth = 0;
  nowMs = 0;
  isOver = false;
  /** Goes on after a wait: runs what it is given as part of the relay, whose faults end this flow alone. */
  onSettled: (goOn: () => void) => void = (goOn) => goOn();
  readonly stripped = new StrippedOffers();
  /** No new stream is taken. */
  isDraining = false;

  constructor(options: Http2Options) {
    this.options = options;
    this.memory = new HeldMemory(options.shareKey, () => this.onSettled(() => cutHoarder(this)));
    this.to = {
      client: new Http2Outgoing(options.wire, 'client', true),
      origin: new Http2Outgoing(options.wire, 'origin', false),
    };
    this.windows = { client: new ConnectionWindow(), origin: new ConnectionWindow() };
    this.answers = new WaitingAnswers(this.to.client, this.windows.client);
  }

  /** Whether another stream may be opened. What is not taken was not acted on: the client may try it again elsewhere. */
  takesStream(streamId: number): boolean {
    return !this.isDraining && streamId <= this.#mostStreamId && this.streams.size < limits.http2Streams;
  }

  /** The origin takes no stream beyond the last. Returns whether the client is to know: what it was told goes only down. */
  originLeaves(lastStreamId: number): boolean {
    if (lastStreamId > this.#mostStreamId) return false;
    this.#mostStreamId = lastStreamId;
    for (const stream of this.streams.values()) {
      if (stream.id > lastStreamId) this.wasReset(stream, 'origin', 'ORIGIN_GONE', 'the origin goes away before it');
    }
    return true;
  }

  /** Tells the client to open no other stream. */
  drain(): void {
    if (this.isDraining || this.isOver) return;
    this.isDraining = true;
    this.#mostStreamId = Math.min(this.#mostStreamId, this.lastStreamId);
    this.to.client.send(goawayFrame(this.#mostStreamId, http2Errors.noError));
  }

  /** Tells the origin of a stream. Stream ids only go up: requests before it that are held are told of as well, without body. */
  openAtOrigin(
    stream: Http2Stream,
    fields: readonly Http2Field[],
    endsStream: boolean,
    priority: Buffer | undefined,
  ): void {
    if (this.heldHeads.size > 0) this.#openBefore(stream.id);
    stream.isForwarded = true;
    this.to.origin.headers(stream.id, fields, endsStream, priority);
    const grown = stream.creditedByClient;
    if (grown > 0) this.to.origin.send(windowUpdateFrame(stream.id, grown));
  }

  #openBefore(streamId: number): void {
    for (const held of this.heldHeads) {
      if (held.stream.id > streamId) break;
      held.sendHead();
    }
  }

  /** A message has been sent to a side in full. Frees a stream of which both are. */
  done(stream: Http2Stream, to: Side): void {
    if (to === 'origin') stream.isRequestDone = true;
    else stream.isResponseDone = true;
    if (!stream.isResponseDone) return;
    if (stream.isUploadStopped && !stream.isRequestDone) {
      this.to.client.send(rstStreamFrame(stream.id, http2Errors.noError));
      this.wasReset(stream, 'origin', undefined, earlyAnswer);
    } else if (stream.isRequestDone) {
      this.streams.delete(stream.id);
      if (!stream.isClientDone || !stream.isOriginDone) askToEnd(this, stream);
      stream.finish(undefined, '');
    }
  }

  /** A window has grown: what waits for it goes on, and what is too much for it waits on. */
  advance(side: Side): void {
    if (side === 'client' && !this.answers.isEmpty) this.answers.advance();
    if (this.waiting.size === 0) return;
    for (const held of [...this.waiting]) if (held.to === side && this.to[side].takesMore) held.advance();
  }

  /** A verdict comes later. Nothing is done with it when the stream is over by then. */
  await(stream: Http2Stream, until: Promise<Verdict>, settled: (verdict: Verdict) => void): void {
    stream.isAwaited = true;
    until.then((verdict) => {
      stream.isAwaited = false;
      stream.activeMs = this.nowMs;
      if (!this.isOver && this.streams.get(stream.id) === stream) this.onSettled(() => settled(verdict));
    });
  }

  /** Refuses a stream: what was not sent of it is not sent, and where no answer has begun the gateway answers. */
  refuse(stream: Http2Stream, refusal: Refusal): void {
    const { code, detail } = refusal;
    this.#leave(stream, http2Errors.cancel);
    if (code === 'POLICY_RULE_RESET') this.#resetClient(stream, http2Errors.cancel);
    else if (stream.isResponseBegun) this.#resetClient(stream, http2Errors.internalError);
    else answerStream(this, stream, refusal);
    stream.finish(code, detail);
    this.countReset();
  }

  /** Resets a stream on both legs because one side broke the rules on it (RFC 9113 section 8.1.1). */
  breakOff(stream: Http2Stream, code: FailureCode, detail: string): void {
    this.#leave(stream, http2Errors.protocolError);
    this.#resetClient(stream, http2Errors.protocolError);
    stream.finish(code, detail);
    this.countReset();
  }

  /** A stream was reset by a side, which was passed on: nothing else of it passes. */
  wasReset(stream: Http2Stream, by: Side, code: FailureCode | undefined, detail: string): void {
    this.streams.delete(stream.id);
    if (by === 'client' && stream.isForwarded && !stream.isOriginDone) this.late.origin.add(stream.id);
    if (by === 'origin' && !stream.isClientDone) this.late.client.add(stream.id);
    stream.finish(code, detail);
  }

  /** A stream was cancelled or refused, for which an honest client has a reason now and then. */
  countReset(): void {
    if (this.isOver || this.#resets.spend(1)) return;
    this.fail('client', http2Errors.enhanceYourCalm, 'CLIENT_HTTP2_RAPID_RESET', 'too many streams reset or refused');
  }

  /** Enlarges the window that a side has, of the connection or of a stream: for DATA that the other side never saw. */
  credit(side: Side, bytes: number, streamId = 0): void {
    if (bytes > 0) this.to[side].send(windowUpdateFrame(streamId, bytes));
  }

  /** Ends the connection because a side broke its rules. What the origin broke, the client is told for each request. */
  fail(side: Side, error: Http2Error, code: FailureCode, detail: string): void {
    if (this.isOver) return;
    if (side === 'origin') {
      this.to.origin.send(goawayFrame(0, error));
      this.close(code, detail, http2Errors.internalError);
    } else {
      this.finishAll(code, detail);
      this.#openClient();
      this.to.client.send(goawayFrame(Math.min(this.lastStreamId, this.#mostStreamId), error));
      this.options.wire.close(code, detail);
    }
  }

  /** Ends the connection in order: each request that has no answer yet gets one, and the client is told which were taken up. */
  close(code: FailureCode, detail: string, error: Http2Error = http2Errors.noError): void {
    if (this.isOver) return;
    for (const stream of this.streams.values()) {
      if (stream.isResponseBegun) this.to.client.send(rstStreamFrame(stream.id, http2Errors.internalError));
      else answerStream(this, stream, { code, detail });
    }
    this.finishAll(code, detail);
    this.#openClient();
    this.to.client.send(goawayFrame(Math.min(this.lastStreamId, this.#mostStreamId), error));
    this.options.wire.close(code, detail);
  }

  /** The client has ended its half: what it had not asked for in full it will not get. */
  abandonRequests(): void {
    for (const stream of this.streams.values()) {
      if (stream.isClientDone) continue;
      this.#leave(stream, http2Errors.cancel);
      stream.finish('CLIENT_GONE', 'the client ended in the middle of a request body');
    }
  }

  /** The origin has ended its half: what it had not answered in full it never will. */
  abandonResponses(code: FailureCode, detail: string): void {
    for (const stream of this.streams.values()) {
      if (stream.isOriginDone) continue;
      this.streams.delete(stream.id);
      if (stream.isResponseBegun) this.#resetClient(stream, http2Errors.internalError);
      else answerStream(this, stream, { code, detail });
      stream.finish(code, detail);
    }
  }

  /** Ends the connection visibly broken. */
  abort(code: FailureCode, detail: string): void {
    if (this.isOver) return;
    this.finishAll(code, detail);
    this.options.wire.abort(code, detail);
  }

  /** The connection is over: only the exchanges are left to report. */
  finishAll(code: FailureCode, detail: string): void {
    this.isOver = true;
    const broken: unknown[] = [];
    for (const stream of this.streams.values()) {
      try {
        stream.finish(code, detail);
      } catch (error) {
        // Records cannot be written, which is told for each: the others are due theirs all the same.
        broken.push(error);
      }
    }
    this.streams.clear();
    if (broken.length > 0) throw broken[0];
  }

  /** An inspector that fails, e.g. because an alarm cannot be written, ends the exchanges; the pump ends the flow. */
  broken(error: unknown): unknown {
    this.to.client.flush();
    this.to.origin.flush();
    try {
      this.finishAll(error instanceof FlowFailure ? error.code : 'GATEWAY_INTERNAL', 'the inspection failed');
    } catch {
      // What broke the inspection breaks its last reports too.
    }
    return error;
  }

  tick(nowMs: number): void {
    this.nowMs = nowMs;
    this.#resets.refill();
    if (!this.memory.isEmpty) this.memory.stalledBytes = stalledBytes(this);
  }

  flush(): void {
    this.to.client.endTurn();
    this.to.origin.endTurn();
  }

  /** The last frames to a client that has had no settings yet: it gets some, or it would understand none of them. */
  #openClient(): void {
    const settings = settingsFrame(Buffer.alloc(0));
    if (this.to.client.isWaiting) this.to.client.forward(settings, 0, settings.length);
    this.to.client.open();
  }

  /** The stream is over for the origin too, which is told so if it knows of it and is not done. */
  #leave(stream: Http2Stream, error: Http2Error): void {
    this.streams.delete(stream.id);
    if (!stream.isForwarded) return;
    if (!stream.isOriginDone || !stream.isRequestDone) this.to.origin.send(rstStreamFrame(stream.id, error));
    if (!stream.isOriginDone) this.late.origin.add(stream.id);
  }

  #resetClient(stream: Http2Stream, error: Http2Error): void {
    if (!stream.isClientDone) this.late.client.add(stream.id);
    this.to.client.send(rstStreamFrame(stream.id, error));
  }
}

/** Why a stream ends before its request does. */
export const earlyAnswer = 'the origin answered before the request was complete';
