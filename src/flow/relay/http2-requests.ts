import { headFailure } from '../../codec/http1-fault.ts';
import type { Http2Field } from '../../codec/http2-field.ts';
import type { FrameReader } from '../../codec/http2-frame-reader.ts';
import { http2Errors, mostWindow, rstStreamFrame } from '../../codec/http2-frames.ts';
import { type Http2Request, requestOfFields } from '../../codec/http2-request.ts';
import { trailersOfFields } from '../../codec/http2-response.ts';
import type { Http2Settings } from '../../codec/http2-settings.ts';
import { limits } from '../../core/limits.ts';
import { allow, keptBytes, type Verdict } from '../../core/verdict.ts';
import { mayAskFor } from './http1-admission.ts';
import { viewOf } from './http1-forwarder.ts';
import { type Refusal, refusalOf } from './http1-pipeline.ts';
import type { Http2Connection } from './http2-connection.ts';
import type { FrameHandler, Http2Direction } from './http2-direction.ts';
import { forwardedFields } from './http2-field-changes.ts';
import type { HeaderBlock } from './http2-header-block.ts';
import { endHeld, holdJudged, receiveHeld } from './http2-held-data.ts';
import { HeldMessage } from './http2-held-message.ts';
import { Http2Stream } from './http2-stream.ts';

/** The client's direction: has each request judged, and sends on what was allowed. */
export class Http2Requests implements FrameHandler {
  readonly #connection: Http2Connection;
  readonly #direction: Http2Direction;
  readonly #responses: Http2Direction;

  constructor(connection: Http2Connection, direction: Http2Direction, responses: Http2Direction) {
    this.#connection = connection;
    this.#direction = direction;
    this.#responses = responses;
  }

  headers(block: HeaderBlock, fields: readonly Http2Field[], isTooLarge: boolean): void {
    const { streams, lastStreamId, late } = this.#connection;
    const { streamId, endsStream } = block;
    const stream = streams.get(streamId);
    if (stream !== undefined) this.#trailers(stream, block, fields, isTooLarge);
    else if (streamId > lastStreamId && streamId % 2 === 1) this.#open(block, fields, isTooLarge);
    else if (!late.client.has(streamId)) this.#direction.fail(http2Errors.streamClosed, 'HEADERS on a closed stream');
    else if (endsStream) late.client.delete(streamId);
  }

  data(frame: FrameReader, from: number, to: number, endsStream: boolean): boolean {
    const stream = this.#connection.streams.get(frame.streamId);
    const windowBytes = frame.to - frame.payload;
    if (stream === undefined) return this.#lateData(frame.streamId, windowBytes, endsStream);
    if (stream.isClientDone) return this.#direction.fail(http2Errors.streamClosed, 'DATA behind the end of a stream');
    const bodyBytes = to - from;
    stream.activeMs = this.#connection.nowMs;
    stream.isClientDone = endsStream;
    stream.requestWireBytes += frame.to - frame.from;
    stream.requestBodyBytes += bodyBytes;
    if (!isPromised(stream, bodyBytes, endsStream)) {
      this.#connection.credit('client', windowBytes);
      this.#connection.breakOff(stream, 'CLIENT_HTTP_MALFORMED', 'a body other than its Content-Length');
      return false;
    }
    if (stream.isUploadStopped) {
      this.#connection.credit('client', windowBytes);
      return false;
    }
    if (stream.tunnel !== undefined) {
      return stream.tunnel.receive('client', viewOf(frame.bytes, from, to), windowBytes, endsStream);
    }
    if (stream.toOrigin !== undefined) {
      receiveHeld(stream.toOrigin, viewOf(frame.bytes, from, to), windowBytes, endsStream);
      return false;
    }
    const { inspected } = stream;
    let verdict: Verdict = allow;
    if (bodyBytes > 0 && !stream.isTunnel) verdict = inspected.requestBody(viewOf(frame.bytes, from, to));
    if (keptBytes(verdict) > 0 || this.#connection.windows.origin.mustWait(windowBytes)) {
      stream.toOrigin = new HeldMessage(this.#connection, stream, 'origin');
      holdJudged(stream.toOrigin, viewOf(frame.bytes, from, to), windowBytes, verdict, endsStream);
      return false;
    }
    if (verdict.kind === 'allow' && endsStream && !stream.isTunnel) verdict = inspected.requestEnd([]);
    if (verdict.kind !== 'allow') {
      this.#connection.credit('client', windowBytes);
      this.#connection.refuse(stream, refusalOf(verdict));
      return false;
    }
    this.#connection.windows.origin.use(windowBytes);
    stream.sentToOrigin += windowBytes;
    if (endsStream) this.#connection.done(stream, 'origin');
    return true;
  }

  reset(streamId: number, error: number): boolean {
    const { streams, answers, late } = this.#connection;
    const stream = streams.get(streamId);
    if (stream === undefined) {
      if (this.#isIdle(streamId))
        return this.#direction.fail(http2Errors.protocolError, 'RST_STREAM on an idle stream');
      answers.forget(streamId);
      late.client.delete(streamId);
      return false;
    }
    const isEnd = stream.isTunnel && (error === http2Errors.noError || error === http2Errors.cancel);
    const isOrderly = isEnd && stream.tunnel?.isClosed !== false;
    // The origin may know nothing of it yet.
    const isPassed = stream.isForwarded;
    this.#connection.wasReset(
      stream,
      'client',
      isOrderly ? undefined : 'CLIENT_GONE',
      `the client reset the stream (error ${error})`,
    );
    this.#connection.countReset();
    return isPassed;
  }

  windowUpdate(streamId: number, increment: number): number {
    const { answers, streams, windows, nowMs } = this.#connection;
    if (streamId === 0) {
      windows.client.grew(increment);
      if (windows.client.left > mostWindow) {
        this.#direction.fail(http2Errors.flowControlError, 'a window that is too large');
      } else this.#connection.advance('client');
      return windows.client.grant(increment);
    }
    const stream = streams.get(streamId);
    if (stream !== undefined) {
      stream.activeMs = nowMs;
      stream.creditedByClient += increment;
      // The origin hears of it with the head, in one update.
      if (!stream.isForwarded) return this.#creditedEarly(stream);
      return stream.toClient === undefined ? increment : stream.toClient.enlarge(increment);
    }
    if (this.#isIdle(streamId)) this.#direction.fail(http2Errors.protocolError, 'WINDOW_UPDATE on an idle stream');
    else answers.enlarge(streamId, increment);
    return 0;
  }

  #creditedEarly(stream: Http2Stream): 0 {
    if (this.#connection.windows.client.initialWindow + stream.creditedByClient > mostWindow) {
      this.#connection.breakOff(stream, 'CLIENT_HTTP2_PROTOCOL', 'a window that is too large');
    }
    return 0;
  }

  goaway(): boolean {
    return true;
  }

  settled({ initialWindow }: Http2Settings): void {
    this.#connection.windows.client.initialWindow = initialWindow;
    this.#connection.advance('client');
  }

  #open(block: HeaderBlock, fields: readonly Http2Field[], isTooLarge: boolean): void {
    const connection = this.#connection;
    const { streamId, endsStream } = block;
    connection.lastStreamId = streamId;
    if (!connection.takesStream(streamId)) {
      if (!endsStream) connection.late.client.add(streamId);
      connection.to.client.send(rstStreamFrame(streamId, http2Errors.refusedStream));
      connection.countReset();
      return;
    }
    const request = requestOfFields(fields, streamId, endsStream);
    const inspected = connection.options.exchange(connection.depth++, request.head.host);
    const protocol = request.protocol?.toLowerCase();
    const stream = new Http2Stream(streamId, inspected, request.head, protocol, connection.nowMs);
    stream.isClientDone = endsStream;
    stream.requestWireBytes = block.length;
    connection.streams.set(streamId, stream);
    if (connection.stripped.isUntold) connection.stripped.note(stream);
    const judged = inspected.requestHead(request.head);
    let verdict = judged;
    if (request.fault !== undefined && !isTooLarge) {
      const { code, detail } = headFailure('client', request.fault.fault, request.fault.detail);
      connection.breakOff(stream, code, detail);
      return;
    }
    const refusal = verdict.kind === 'allow' ? this.#refusal(request, protocol, isTooLarge) : undefined;
    // What follows the head of an extended CONNECT is no body of it.
    const isWhole = endsStream || protocol !== undefined;
    if (verdict.kind === 'allow' && refusal === undefined && isWhole) verdict = inspected.requestEnd([]);
    if (refusal !== undefined) connection.refuse(stream, refusal);
    else if (verdict.kind !== 'allow') connection.refuse(stream, refusalOf(verdict));
    else this.#pass(stream, block, forwardedFields(fields, judged), judged);
  }

  #pass(stream: Http2Stream, block: HeaderBlock, fields: readonly Http2Field[], verdict: Verdict): void {
    const connection = this.#connection;
    const { endsStream, priority } = block;
    if (!endsStream && keptBytes(verdict) > 0) {
      stream.toOrigin = new HeldMessage(connection, stream, 'origin', { fields, priority });
      stream.toOrigin.keep(keptBytes(verdict));
      stream.toOrigin.advance();
      return;
    }
    // The bytes of an extended CONNECT wait for its answer.
    if (stream.protocol !== undefined) stream.toOrigin = new HeldMessage(connection, stream, 'origin');
    connection.openAtOrigin(stream, fields, endsStream, priority);
    if (endsStream) connection.done(stream, 'origin');
  }

  #refusal({ head }: Http2Request, protocol: string | undefined, isTooLarge: boolean): Refusal | undefined {
    const { hostRefusal, hostAllowed, upgrades } = this.#connection.options;
    if (isTooLarge) return { code: 'CLIENT_HTTP_HEAD_TOO_LARGE', detail: 'a header list beyond the limit' };
    if (head.method === 'CONNECT' && protocol === undefined) return { code: 'POLICY_CONNECT_REFUSED', detail: '' };
    if (protocol !== undefined && !mayAskFor(protocol, upgrades)) return { code: 'POLICY_UPGRADE_REFUSED', detail: '' };
    if (protocol !== undefined && !this.#responses.settings.allowsConnect) {
      return { code: 'POLICY_CONNECT_REFUSED', detail: 'the origin does not allow extended CONNECT' };
    }
    const refused = hostRefusal?.(head.host);
    if (refused !== undefined) return { code: 'POLICY_REFUSED', detail: refused };
    if (hostAllowed === undefined || hostAllowed(head.host)) return undefined;
    return { code: 'CLIENT_HOST_MISMATCH', detail: `host ${head.host}` };
  }

  #trailers(stream: Http2Stream, block: HeaderBlock, fields: readonly Http2Field[], isTooLarge: boolean): void {
    const connection = this.#connection;
    if (stream.isClientDone) {
      this.#direction.fail(http2Errors.streamClosed, 'HEADERS behind the end of a stream');
      return;
    }
    stream.isClientDone = block.endsStream;
    stream.requestWireBytes += block.length;
    if (stream.isUploadStopped) return;
    const { headers, fault } = trailersOfFields(fields);
    const isWrong = !block.endsStream || stream.protocol !== undefined || !isPromised(stream, 0, true);
    if (isTooLarge) connection.refuse(stream, { code: 'CLIENT_HTTP_HEAD_TOO_LARGE', detail: 'trailers' });
    else if (fault !== undefined) connection.breakOff(stream, 'CLIENT_HTTP_MALFORMED', fault.detail);
    else if (isWrong) connection.breakOff(stream, 'CLIENT_HTTP_MALFORMED', 'trailers where none may be');
    else if (stream.toOrigin !== undefined) endHeld(stream.toOrigin, { fields, priority: block.priority }, headers);
    else {
      const verdict = stream.inspected.requestEnd(headers);
      if (verdict.kind !== 'allow') connection.refuse(stream, refusalOf(verdict));
      else {
        connection.done(stream, 'origin');
        connection.to.origin.headers(stream.id, forwardedFields(fields, verdict), true, block.priority);
      }
    }
  }

  /** DATA of a stream that was reset meanwhile: dropped, and its window given back. */
  #lateData(streamId: number, bytes: number, endsStream: boolean): false {
    const { late } = this.#connection;
    if (this.#isIdle(streamId)) return this.#direction.fail(http2Errors.protocolError, 'DATA on an idle stream');
    if (!late.client.has(streamId)) return this.#direction.fail(http2Errors.streamClosed, 'DATA on a closed stream');
    if (endsStream) late.client.delete(streamId);
    // Small ones cost the client as little as they bring.
    if (bytes < limits.http2SmallDataBytes && !this.#direction.spend(2)) return false;
    this.#connection.credit('client', bytes);
    return false;
  }

  #isIdle(streamId: number): boolean {
    return streamId > this.#connection.lastStreamId || streamId % 2 === 0;
  }
}

/** Whether a body keeps to its Content-Length so far. */
function isPromised(stream: Http2Stream, bodyBytes: number, isLast: boolean): boolean {
  if (stream.requestLeft < 0) return true;
  stream.requestLeft -= bodyBytes;
  return isLast ? stream.requestLeft === 0 : stream.requestLeft >= 0;
}
