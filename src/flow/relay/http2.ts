import { connectionPreface, http2Errors } from '../../codec/http2-frames.ts';
import { type FailureCode, FlowFailure } from '../../core/failures.ts';
import { limits } from '../../core/limits.ts';
import type { Relay } from '../../core/relay.ts';
import type { Side } from '../../core/side.ts';
import { Http2Connection } from './http2-connection.ts';
import { Http2Direction } from './http2-direction.ts';
import type { Http2Options as ConnectionOptions } from './http2-options.ts';
import { Http2Requests } from './http2-requests.ts';
import { Http2Responses } from './http2-responses.ts';
import { staleStream } from './http2-stale-stream.ts';

export interface Http2Options extends ConnectionOptions {
  /** How long a stream may stand still whose turn it is somebody's. */
  readonly streamIdleMs: number;
}

/**
 * Relays HTTP/2 frame by frame between one client and its origin. DATA, WINDOW_UPDATE, PING, PRIORITY, RST_STREAM, GOAWAY
 * and stream ids pass as they are, so that flow control stays between the two ends and nothing is buffered; header blocks
 * are decoded and written anew without a table, so that each stream can be refused or answered without touching another.
 */
export function createHttp2Relay(options: Http2Options): Relay {
  return new Http2Relay(options);
}

class Http2Relay implements Relay {
  readonly #options: Http2Options;
  readonly #connection: Http2Connection;
  readonly #from: Readonly<Record<Side, Http2Direction>>;
  /** Bytes of the client's preface that have come. */
  #prefaceBytes = 0;
  /** A side has ended: the flow ends when nothing is under way any more. */
  #hasEnded = false;
  #endingCode: FailureCode | undefined;

  constructor(options: Http2Options) {
    const connection = new Http2Connection(options);
    const allowsConnect = options.upgrades !== 'refuse';
    const headerTableBytes = limits.http2TableBytes;
    const client = new Http2Direction(connection, 'client', {
      headerTableBytes,
      concurrentStreams: undefined,
      refusesPush: true,
      allowsConnect,
    });
    const origin = new Http2Direction(connection, 'origin', {
      headerTableBytes,
      concurrentStreams: limits.http2Streams,
      refusesPush: false,
      allowsConnect,
    });
    client.join(new Http2Requests(connection, client, origin), origin);
    origin.join(new Http2Responses(connection, origin), client);
    this.#options = options;
    this.#connection = connection;
    this.#from = { client, origin };
    connection.onSettled = (goOn) => this.#goOn(goOn);
  }

  receive(from: Side, bytes: Buffer): void {
    if (this.#connection.isOver) return;
    try {
      if (from === 'origin' || this.#prefaceBytes === connectionPreface.length) this.#from[from].receive(bytes);
      else this.#receivePreface(bytes);
      this.#settle();
    } catch (error) {
      throw this.#connection.broken(error);
    }
  }

  end(from: Side, clean: boolean): void {
    if (this.#connection.isOver) return;
    try {
      if (from === 'client') this.#clientEnded(clean);
      else this.#originEnded(clean);
      this.#settle();
    } catch (error) {
      throw this.#connection.broken(error);
    }
  }

  cut(code: FailureCode, detail: string): void {
    if (!this.#connection.isOver) this.#connection.finishAll(code, detail);
  }

  /** Nothing comes from either side although something was begun: whose turn it is failed to go on. */
  timedOut(): void {
    const { streams } = this.#connection;
    const isOrigins = [...streams.values()].some(
      ({ isRequestDone, isResponseDone }) => isRequestDone && !isResponseDone,
    );
    const code = isOrigins ? 'ORIGIN_IDLE_TIMEOUT' : 'CLIENT_IDLE_TIMEOUT';
    this.#connection.close(code, 'no byte within the idle limit');
  }

  drained(side: Side): void {
    const connection = this.#connection;
    if (connection.isOver || connection.waiting.size === 0) return;
    try {
      connection.advance(side);
      this.#settle();
    } catch (error) {
      throw connection.broken(error);
    }
  }

  tick(nowMs: number): void {
    const connection = this.#connection;
    if (connection.isOver) return;
    // What was begun before the clock was known begins now.
    if (connection.nowMs === 0) for (const stream of connection.streams.values()) stream.activeMs = nowMs;
    connection.tick(nowMs);
    this.#from.client.tick(nowMs);
    this.#from.origin.tick(nowMs);
    for (const stream of connection.streams.values()) {
      if (connection.isOver) return;
      stream.tunnel?.tick(nowMs);
      if (nowMs - stream.activeMs <= this.#options.streamIdleMs) continue;
      const refusal = staleStream(stream, connection.windows.client);
      if (refusal !== undefined) connection.refuse(stream, refusal);
    }
    this.#settle();
  }

  idle(): boolean {
    const { streams, answers } = this.#connection;
    return (
      streams.size === 0 && answers.isEmpty && this.#from.client.isBetweenFrames && this.#from.origin.isBetweenFrames
    );
  }

  drain(): void {
    if (this.#prefaceBytes === connectionPreface.length) this.#connection.drain();
  }

  #receivePreface(bytes: Buffer): void {
    const expected = connectionPreface.subarray(this.#prefaceBytes, this.#prefaceBytes + bytes.length);
    if (!bytes.subarray(0, expected.length).equals(expected)) {
      this.#from.client.fail(http2Errors.protocolError, 'no connection preface');
      return;
    }
    this.#prefaceBytes += expected.length;
    if (this.#prefaceBytes < connectionPreface.length) return;
    this.#connection.to.origin.send(connectionPreface);
    if (bytes.length > expected.length) this.#from.client.receive(bytes.subarray(expected.length));
  }

  /** What becomes possible after bytes or ends were taken in. */
  #settle(): void {
    const { isOver, streams, answers } = this.#connection;
    if (isOver) return;
    this.#connection.flush();
    if (this.#hasEnded && streams.size === 0 && answers.isEmpty) this.#close();
  }

  /** A verdict that was waited for is there. Nobody calls us then, so a fault is handled here. */
  #goOn(goOn: () => void): void {
    try {
      goOn();
      this.#settle();
    } catch (error) {
      this.#connection.broken(error);
      const isExpected = error instanceof FlowFailure;
      this.#options.wire.abort(isExpected ? error.code : 'GATEWAY_INTERNAL', isExpected ? error.detail : '');
    }
  }

  /** A client that ends in order may still read what it asked for in full. */
  #clientEnded(clean: boolean): void {
    const connection = this.#connection;
    this.#hasEnded = true;
    if (!clean && connection.streams.size > 0) connection.abort('CLIENT_GONE', 'the client broke off');
    else connection.abandonRequests();
  }

  /** What the origin has answered in full may wait here yet. */
  #originEnded(clean: boolean): void {
    const connection = this.#connection;
    const streams = [...connection.streams.values()];
    if (streams.some(({ isOriginDone }) => !isOriginDone)) {
      this.#endingCode = clean ? 'ORIGIN_GONE' : 'ORIGIN_TRUNCATED';
      if (!streams.some(({ isOriginDone }) => isOriginDone)) return connection.close(this.#endingCode, originEnded);
      connection.abandonResponses(this.#endingCode, originEnded);
    }
    this.drain();
    this.#hasEnded = true;
  }

  #close(): void {
    this.#connection.isOver = true;
    this.#options.wire.close(this.#endingCode, this.#endingCode === undefined ? '' : originEnded);
  }
}

const originEnded = 'the origin ended the connection';
