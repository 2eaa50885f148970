import { headFailure } from '../../codec/http1-fault.ts';
import type { Http2Field } from '../../codec/http2-field.ts';
import type { FrameReader } from '../../codec/http2-frame-reader.ts';
import { http2Errors, mostWindow } from '../../codec/http2-frames.ts';
import { responseOfFields, trailersOfFields } from '../../codec/http2-response.ts';
import type { Http2Settings } from '../../codec/http2-settings.ts';
import type { BodyFraming, ResponseHead } from '../../core/http.ts';
import { limits } from '../../core/limits.ts';
import { allow, keptBytes, type Verdict } from '../../core/verdict.ts';
import { viewOf } from './http1-forwarder.ts';
import { refusalOf } from './http1-pipeline.ts';
import { switchOutcome } from './http1-switch.ts';
import { earlyAnswer, type Http2Connection } from './http2-connection.ts';
import type { FrameHandler, Http2Direction } from './http2-direction.ts';
import { forwardedFields } from './http2-field-changes.ts';
import type { HeaderBlock } from './http2-header-block.ts';
import { endHeld, holdJudged, receiveHeld, release } from './http2-held-data.ts';
import { HeldMessage } from './http2-held-message.ts';
import type { Http2Stream } from './http2-stream.ts';
import { Http2Tunnel } from './http2-tunnel.ts';

/** The origin's direction: has each response judged, and sends on what was allowed. */
export class Http2Responses implements FrameHandler {
  readonly #connection: Http2Connection;
  readonly #direction: Http2Direction;

  constructor(connection: Http2Connection, direction: Http2Direction) {
    this.#connection = connection;
    this.#direction = direction;
  }

  headers(block: HeaderBlock, fields: readonly Http2Field[], isTooLarge: boolean): void {
    const { streams, late } = this.#connection;
    const stream = streams.get(block.streamId);
    if (stream === undefined) {
      if (!late.origin.has(block.streamId)) {
        this.#direction.fail(http2Errors.streamClosed, 'HEADERS on a closed or idle stream');
      } else if (block.endsStream) late.origin.delete(block.streamId);
      return;
    }
    if (!stream.isForwarded) {
      this.#idle('HEADERS');
      return;
    }
    stream.activeMs = this.#connection.nowMs;
    stream.responseWireBytes += block.length;
    if (stream.isOriginDone) {
      this.#direction.fail(http2Errors.streamClosed, 'HEADERS behind the end of a stream');
      return;
    }
    stream.isOriginDone = block.endsStream;
    if (isTooLarge) {
      this.#connection.refuse(stream, { code: 'ORIGIN_HTTP_HEAD_TOO_LARGE', detail: 'a header list beyond the limit' });
    } else if (stream.hasResponseHead) this.#trailers(stream, block, fields);
    else this.#begin(stream, block, fields);
  }

  data(frame: FrameReader, from: number, to: number, endsStream: boolean): boolean {
    const connection = this.#connection;
    const stream = connection.streams.get(frame.streamId);
    const windowBytes = frame.to - frame.payload;
    if (stream === undefined) return this.#lateData(frame.streamId, windowBytes, endsStream);
    if (!stream.isForwarded) return this.#idle('DATA');
    if (stream.isOriginDone) return this.#direction.fail(http2Errors.streamClosed, 'DATA behind the end of a stream');
    const bodyBytes = to - from;
    stream.isOriginDone = endsStream;
    stream.activeMs = connection.nowMs;
    const fault = faultOf(stream, bodyBytes, endsStream);
    if (fault !== '') {
      connection.credit('origin', windowBytes);
      connection.refuse(stream, { code: 'ORIGIN_HTTP_MALFORMED', detail: fault });
      return false;
    }
    stream.responseWireBytes += frame.to - frame.from;
    stream.responseBodyBytes += bodyBytes;
    if (stream.tunnel !== undefined) {
      return stream.tunnel.receive('origin', viewOf(frame.bytes, from, to), windowBytes, endsStream);
    }
    if (stream.toClient !== undefined) {
      receiveHeld(stream.toClient, viewOf(frame.bytes, from, to), windowBytes, endsStream);
      return false;
    }
    const { inspected } = stream;
    let verdict: Verdict = allow;
    if (bodyBytes > 0 && !stream.isTunnel) verdict = inspected.responseBody(viewOf(frame.bytes, from, to));
    if (keptBytes(verdict) > 0 || connection.windows.client.mustWait(windowBytes)) {
      stream.toClient = new HeldMessage(connection, stream, 'client');
      holdJudged(stream.toClient, viewOf(frame.bytes, from, to), windowBytes, verdict, endsStream);
      return false;
    }
    if (verdict.kind === 'allow' && endsStream && !stream.isTunnel) verdict = inspected.responseEnd([]);
    if (verdict.kind !== 'allow') {
      connection.credit('origin', windowBytes);
      connection.refuse(stream, refusalOf(verdict));
      return false;
    }
    connection.windows.client.use(windowBytes);
    stream.sentToClient += windowBytes;
    if (endsStream) connection.done(stream, 'client');
    return true;
  }

  reset(streamId: number, error: number): boolean {
    const connection = this.#connection;
    const stream = connection.streams.get(streamId);
    if (stream === undefined) {
      connection.late.origin.delete(streamId);
      return streamId > connection.lastStreamId
        ? this.#direction.fail(http2Errors.protocolError, 'RST_STREAM on an idle stream')
        : false;
    }
    if (!stream.isForwarded) return this.#idle('RST_STREAM');
    // RFC 9113 section 8.1: a server that has answered in full may ask the client to stop sending.
    const isOrderly = error === http2Errors.noError && stream.isOriginDone;
    if (isOrderly && !stream.isResponseDone) {
      // The client is told behind the answer, which waits.
      stream.isUploadStopped = true;
      return false;
    }
    const isClosed =
      stream.tunnel?.isClosed === true && (error === http2Errors.noError || error === http2Errors.cancel);
    if (isOrderly || isClosed) connection.wasReset(stream, 'origin', undefined, earlyAnswer);
    else connection.wasReset(stream, 'origin', 'ORIGIN_GONE', `the origin reset the stream (error ${error})`);
    // What makes an origin reset streams may be the client (CVE-2025-8671).
    if (error !== http2Errors.noError) connection.countReset();
    return true;
  }

  windowUpdate(streamId: number, increment: number): number {
    const { streams, lastStreamId, nowMs, windows } = this.#connection;
    if (streamId === 0) {
      windows.origin.grew(increment);
      if (windows.origin.left > mostWindow) {
        this.#direction.fail(http2Errors.flowControlError, 'a window that is too large');
      } else this.#connection.advance('origin');
      return windows.origin.grant(increment);
    }
    const stream = streams.get(streamId);
    if (stream?.isForwarded === false) this.#idle('WINDOW_UPDATE');
    else if (stream !== undefined) {
      stream.activeMs = nowMs;
      stream.creditedByOrigin += increment;
      return stream.toOrigin === undefined ? increment : stream.toOrigin.enlarge(increment);
    }
    if (streamId > lastStreamId) this.#direction.fail(http2Errors.protocolError, 'WINDOW_UPDATE on an idle stream');
    return 0;
  }

  /** The request is held here: to the origin, which knows nothing of it, its stream is idle (RFC 9113 section 5.1). */
  #idle(frame: string): false {
    return this.#direction.fail(http2Errors.protocolError, `${frame} on an idle stream`);
  }

  goaway(lastStreamId: number): boolean {
    return this.#connection.originLeaves(lastStreamId);
  }

  settled({ initialWindow }: Http2Settings): void {
    this.#connection.windows.origin.initialWindow = initialWindow;
    this.#connection.advance('origin');
  }

  #begin(stream: Http2Stream, block: HeaderBlock, fields: readonly Http2Field[]): void {
    const connection = this.#connection;
    const { endsStream } = block;
    const { head, fault } = responseOfFields(fields, stream.request.method, endsStream);
    if (fault !== undefined) {
      connection.refuse(stream, headFailure('origin', fault.fault, fault.detail));
      return;
    }
    if (head.status < 200) {
      this.#interim(stream, head, fields);
      return;
    }
    const isTunnel = stream.protocol !== undefined && head.status < 300 && !endsStream;
    const judged = stream.inspected.responseHead(head);
    let verdict = judged;
    if (verdict.kind === 'allow' && endsStream) verdict = stream.inspected.responseEnd([]);
    if (verdict.kind !== 'allow') {
      connection.refuse(stream, refusalOf(verdict));
      return;
    }
    const passed = forwardedFields(fields, judged);
    stream.hasResponseHead = true;
    stream.responseLeft = promisedBytes(head.framing);
    if (isTunnel) return this.#open(stream, head, passed, block.priority);
    if (stream.protocol !== undefined) this.#endRequest(stream);
    if (!endsStream && keptBytes(judged) > 0) {
      stream.toClient = new HeldMessage(connection, stream, 'client', { fields: passed, priority: block.priority });
      stream.toClient.keep(keptBytes(judged));
      stream.toClient.advance();
    } else {
      stream.isResponseBegun = true;
      connection.to.client.headers(stream.id, passed, endsStream, block.priority);
      if (endsStream) connection.done(stream, 'client');
    }
  }

  /** The origin has agreed to an extended CONNECT (RFC 8441 section 5). */
  #open(stream: Http2Stream, head: ResponseHead, fields: readonly Http2Field[], priority?: Buffer): void {
    const connection = this.#connection;
    const outcome = switchOutcome(stream.protocol ?? '', head, stream, connection.options.upgrades);
    if (outcome.kind === 'refused') {
      connection.refuse(stream, outcome.refusal);
      return;
    }
    stream.isTunnel = true;
    stream.isResponseBegun = true;
    stream.responseLeft = -1;
    stream.inspected.upgraded(stream.protocol ?? '', outcome.unread);
    connection.to.client.headers(stream.id, fields, false, priority);
    if (outcome.webSocket === undefined) {
      const early = stream.toOrigin;
      // What comes from now on passes frame by frame.
      if (early?.bodyBytes === 0 && !stream.isClientDone) stream.toOrigin = undefined;
      else if (early !== undefined) {
        if (stream.isClientDone) early.end();
        release(early);
      }
      return;
    }
    stream.opened();
    const early = stream.toOrigin?.takeKept() ?? [];
    stream.tunnel = new Http2Tunnel(connection, stream, outcome.webSocket);
    stream.tunnel.begin(early);
  }

  /** The origin has refused an extended CONNECT: what its client sends for it leads nowhere. */
  #endRequest(stream: Http2Stream): void {
    stream.isUploadStopped = true;
    if (stream.toOrigin === undefined) return;
    stream.toOrigin.takeKept();
    stream.toOrigin.end();
    release(stream.toOrigin);
  }

  #interim(stream: Http2Stream, head: ResponseHead, fields: readonly Http2Field[]): void {
    stream.interimResponses++;
    if (stream.interimResponses > limits.httpInterimResponses) {
      this.#connection.refuse(stream, headFailure('origin', 'malformed', 'too many interim responses'));
      return;
    }
    const verdict = stream.inspected.interim(head);
    if (verdict.kind !== 'allow') this.#connection.refuse(stream, refusalOf(verdict));
    else this.#connection.to.client.headers(stream.id, forwardedFields(fields, verdict), false);
  }

  #trailers(stream: Http2Stream, block: HeaderBlock, fields: readonly Http2Field[]): void {
    const connection = this.#connection;
    const { headers, fault } = trailersOfFields(fields);
    const isWrong = !block.endsStream || stream.isTunnel || stream.responseLeft > 0;
    if (fault !== undefined || isWrong) {
      const detail = fault?.detail ?? 'trailers where none may be';
      connection.refuse(stream, { code: 'ORIGIN_HTTP_MALFORMED', detail });
      return;
    }
    if (stream.toClient !== undefined) {
      endHeld(stream.toClient, { fields, priority: block.priority }, headers);
      return;
    }
    const verdict = stream.inspected.responseEnd(headers);
    if (verdict.kind !== 'allow') connection.refuse(stream, refusalOf(verdict));
    else {
      connection.to.client.headers(stream.id, forwardedFields(fields, verdict), true, block.priority);
      connection.done(stream, 'client');
    }
  }

  /** DATA of a stream that was reset meanwhile: dropped, and its window given back. */
  #lateData(streamId: number, bytes: number, endsStream: boolean): boolean {
    const { late } = this.#connection;
    if (!late.origin.has(streamId)) {
      return this.#direction.fail(http2Errors.streamClosed, 'DATA on a closed or idle stream');
    }
    if (endsStream) late.origin.delete(streamId);
    if (bytes < limits.http2SmallDataBytes && !this.#direction.spend(2)) return false;
    this.#connection.credit('origin', bytes);
    return false;
  }
}

/** Why DATA may not come here; empty when it may. */
function faultOf(stream: Http2Stream, bodyBytes: number, isLast: boolean): string {
  if (!stream.hasResponseHead) return 'a body before its head';
  if (stream.responseLeft < 0) return '';
  stream.responseLeft -= bodyBytes;
  const isKept = isLast ? stream.responseLeft === 0 : stream.responseLeft >= 0;
  return isKept ? '' : 'a body other than its head says';
}

function promisedBytes(framing: BodyFraming): number {
  if (framing.kind === 'none') return 0;
  return framing.kind === 'length' ? framing.bytes : -1;
}
