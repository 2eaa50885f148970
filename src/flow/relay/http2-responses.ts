import { headFailure } from '../../codec/http1-fault.ts';
import type { Http2Field } from '../../codec/http2-field.ts';
import type { FrameReader } from '../../codec/http2-frame-reader.ts';
import { http2Errors } from '../../codec/http2-frames.ts';
import { responseOfFields, trailersOfFields } from '../../codec/http2-response.ts';
import type { BodyFraming, ResponseHead } from '../../core/http.ts';
import { limits } from '../../core/limits.ts';
import { allow, type Verdict } from '../../core/verdict.ts';
import { viewOf } from './http1-forwarder.ts';
import { refusalOf } from './http1-pipeline.ts';
import type { Http2Connection } from './http2-connection.ts';
import type { FrameHandler, Http2Direction } from './http2-direction.ts';
import { forwardedFields } from './http2-field-changes.ts';
import type { HeaderBlock } from './http2-header-block.ts';
import type { Http2Stream } from './http2-stream.ts';

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
    stream.activeMs = this.#connection.nowMs;
    stream.responseWireBytes += block.length;
    if (stream.isResponseDone) this.#direction.fail(http2Errors.streamClosed, 'HEADERS behind the end of a stream');
    else if (isTooLarge) {
      this.#connection.refuse(stream, { code: 'ORIGIN_HTTP_HEAD_TOO_LARGE', detail: 'a header list beyond the limit' });
    } else if (stream.isResponseBegun) this.#trailers(stream, block, fields);
    else this.#begin(stream, block, fields);
  }

  data(frame: FrameReader, from: number, to: number, endsStream: boolean): boolean | undefined {
    const connection = this.#connection;
    const stream = connection.streams.get(frame.streamId);
    const windowBytes = frame.to - frame.payload;
    if (stream === undefined) return this.#lateData(frame.streamId, windowBytes, endsStream);
    if (stream.isResponseDone) return this.#direction.fail(http2Errors.streamClosed, 'DATA behind the end of a stream');
    if (connection.window.mustHold(windowBytes)) return undefined;
    const bodyBytes = to - from;
    stream.activeMs = connection.nowMs;
    const fault = faultOf(stream, bodyBytes, endsStream);
    if (fault !== '') {
      connection.credit('origin', windowBytes);
      connection.refuse(stream, { code: 'ORIGIN_HTTP_MALFORMED', detail: fault });
      return false;
    }
    stream.responseWireBytes += frame.to - frame.from;
    stream.responseBodyBytes += bodyBytes;
    const { inspected } = stream;
    let verdict: Verdict = allow;
    if (bodyBytes > 0 && !stream.isTunnel) verdict = inspected.responseBody(viewOf(frame.bytes, from, to));
    if (verdict.kind === 'allow' && endsStream) verdict = inspected.responseEnd([]);
    if (verdict.kind !== 'allow') {
      connection.credit('origin', windowBytes);
      connection.refuse(stream, refusalOf(verdict));
      return false;
    }
    connection.window.use(windowBytes);
    stream.sent += windowBytes;
    if (endsStream) this.#done(stream);
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
    // RFC 9113 section 8.1: a server that has answered in full may ask the client to stop sending.
    const isOrderly = error === http2Errors.noError && stream.isResponseDone;
    if (isOrderly)
      connection.wasReset(stream, 'origin', undefined, 'the origin answered before the request was complete');
    else connection.wasReset(stream, 'origin', 'ORIGIN_GONE', `the origin reset the stream (error ${error})`);
    // What makes an origin reset streams may be the client (CVE-2025-8671).
    if (error !== http2Errors.noError) connection.countReset();
    return true;
  }

  windowUpdate(streamId: number, increment: number): number {
    if (streamId === 0) return increment;
    const { streams, lastStreamId, nowMs } = this.#connection;
    const stream = streams.get(streamId);
    if (stream !== undefined) {
      stream.activeMs = nowMs;
      return increment;
    }
    if (streamId > lastStreamId) this.#direction.fail(http2Errors.protocolError, 'WINDOW_UPDATE on an idle stream');
    return 0;
  }

  goaway(lastStreamId: number): boolean {
    return this.#connection.originLeaves(lastStreamId);
  }

  settled(): void {}

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
    const judged = stream.inspected.responseHead(head);
    let verdict = judged;
    if (verdict.kind === 'allow' && endsStream) verdict = stream.inspected.responseEnd([]);
    if (verdict.kind !== 'allow') {
      connection.refuse(stream, refusalOf(verdict));
      return;
    }
    stream.isResponseBegun = true;
    stream.responseLeft = promisedBytes(head.framing);
    if (stream.protocol !== undefined && head.status < 300 && !endsStream) {
      stream.isTunnel = true;
      stream.responseLeft = -1;
      stream.inspected.upgraded(stream.protocol, 'a tunnel within HTTP/2');
    }
    if (endsStream) this.#done(stream);
    connection.to.client.headers(stream.id, forwardedFields(fields, judged), endsStream, block.priority);
  }

  #interim(stream: Http2Stream, head: ResponseHead, fields: readonly Http2Field[]): void {
    stream.interimResponses++;
    if (stream.interimResponses > limits.httpInterimResponses) {
      this.#connection.refuse(stream, headFailure('origin', 'malformed', 'too many interim responses'));
      return;
    }
    stream.inspected.interim(head);
    this.#connection.to.client.headers(stream.id, fields, false);
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
    const verdict = stream.inspected.responseEnd(headers);
    if (verdict.kind !== 'allow') connection.refuse(stream, refusalOf(verdict));
    else {
      this.#done(stream);
      connection.to.client.headers(stream.id, fields, true, block.priority);
    }
  }

  #done(stream: Http2Stream): void {
    stream.isResponseDone = true;
    this.#connection.settle(stream);
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
  if (!stream.isResponseBegun) return 'a body before its head';
  if (stream.responseLeft < 0) return '';
  stream.responseLeft -= bodyBytes;
  const isKept = isLast ? stream.responseLeft === 0 : stream.responseLeft >= 0;
  return isKept ? '' : 'a body other than its head says';
}

function promisedBytes(framing: BodyFraming): number {
  if (framing.kind === 'none') return 0;
  return framing.kind === 'length' ? framing.bytes : -1;
}
