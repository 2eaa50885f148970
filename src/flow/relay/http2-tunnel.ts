import type { FailureCode } from '../../core/failures.ts';
import type { Relay, Wire } from '../../core/relay.ts';
import { otherSide, type Side } from '../../core/side.ts';
import type { Switch } from './http1-pipeline.ts';
import type { Http2Connection } from './http2-connection.ts';
import { HeldMessage } from './http2-held-message.ts';
import type { Http2Stream } from './http2-stream.ts';
import { createWebSocketRelay } from './websocket.ts';

/**
 * A WebSocket in one stream (RFC 8441): to its relay the stream is a wire, as a connection of its own is over HTTP/1.1.
 * DATA that its relay sends on as it came goes on in its own frame; the rest goes as the windows allow.
 */
export class Http2Tunnel implements Wire {
  readonly #connection: Http2Connection;
  readonly #stream: Http2Stream;
  readonly #out: Readonly<Record<Side, HeldMessage>>;
  readonly #relay: Relay;
  /** What is read now, the window that its frame took, and whom it is for. */
  #reading: Buffer | undefined;
  #readingBytes = 0;
  #readingTo: Side = 'origin';
  /** Its frame goes on as it is. */
  #isWhole = false;
  /** The frame is the last of its side, and goes on as such. */
  #isLast = false;
  #isOver = false;
  #hasNoRoom = false;

  constructor(connection: Http2Connection, stream: Http2Stream, webSocket: NonNullable<Switch['webSocket']>) {
    this.#connection = connection;
    this.#stream = stream;
    stream.toOrigin ??= new HeldMessage(connection, stream, 'origin');
    stream.toClient ??= new HeldMessage(connection, stream, 'client');
    this.#out = { client: stream.toClient, origin: stream.toOrigin };
    const { shareKey } = connection.options;
    this.#relay = createWebSocketRelay({ wire: this, ...webSocket, shareKey, isSharingBuffers: true });
  }

  /** Both sides have closed the WebSocket: what happens to the stream cuts nothing. */
  get isClosed(): boolean {
    return this.#isOver || this.#relay.idle?.() === true;
  }

  /** Reads DATA of a side. True when its frame goes on as it is. */
  receive(from: Side, bytes: Buffer, windowBytes: number, endsStream: boolean): boolean {
    const to = otherSide(from);
    const out = this.#out[to];
    if (this.#isOver) {
      // The stream's window is not given back: so the side can send no more than it had.
      this.#connection.credit(from, windowBytes);
      return false;
    }
    out.took(windowBytes);
    this.#reading = bytes;
    this.#readingBytes = windowBytes;
    this.#readingTo = to;
    this.#isWhole = bytes.length === 0 && endsStream && out.isEmpty;
    this.#isLast = endsStream;
    this.#relay.receive(from, bytes);
    if (endsStream) this.#relay.end(from, true);
    this.#reading = undefined;
    const isWhole = this.#isWhole;
    this.#isWhole = false;
    if (isWhole) out.passed(windowBytes);
    if (isWhole && endsStream) out.done();
    if (this.#hasNoRoom) this.#break('GATEWAY_OVERLOADED', 'no room for what the other side does not take');
    out.advance();
    out.refund();
    return isWhole;
  }

  /** Reads what came before there was an answer, and whether the client has ended its half behind it. */
  begin(early: readonly Buffer[]): void {
    for (const bytes of early) this.#relay.receive('client', bytes);
    if (this.#stream.isClientDone) this.#relay.end('client', true);
    if (this.#hasNoRoom) this.#break('GATEWAY_OVERLOADED', 'no room for what came early');
    this.#out.origin.refund();
  }

  tick(nowMs: number): void {
    this.#relay.tick?.(nowMs);
  }

  /** The stream is over. */
  cut(code: FailureCode | undefined, detail: string): void {
    this.#isOver = true;
    if (code !== undefined) return this.#relay.cut(code, detail);
    this.#relay.end('client', true);
    this.#relay.end('origin', true);
  }

  send(to: Side, bytes: Buffer): void {
    const out = this.#out[to];
    if (bytes === this.#reading && to === this.#readingTo && out.isEmpty && out.fits(this.#readingBytes)) {
      this.#isWhole = true;
    } else {
      this.#cutUp(to);
      this.#push(out, bytes);
    }
  }

  end(to: Side): void {
    if (to === this.#readingTo && this.#isWhole && this.#isLast) return;
    this.#cutUp(to);
    this.#out[to].end();
    this.#out[to].keep(0);
    this.#out[to].advance();
  }

  /** Both sides are sent what was meant for them, and the end of the stream behind it. */
  close(code?: FailureCode): void {
    this.#isOver = true;
    if (code !== undefined) this.#connection.countReset();
    this.end('client');
    this.end('origin');
  }

  abort(code: FailureCode, detail = ''): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#break(code, detail);
  }

  /** The relay of a WebSocket asks for neither. */
  upgrade(): void {}
  pause(): void {}

  /** What is read cannot go on in its frame: something follows it there. */
  #cutUp(to: Side): void {
    if (!this.#isWhole || to !== this.#readingTo) return;
    this.#isWhole = false;
    if (this.#reading !== undefined) this.#push(this.#out[to], this.#reading);
  }

  #push(out: HeldMessage, bytes: Buffer): void {
    if (out.push(bytes) === undefined) this.#hasNoRoom = true;
    out.keep(0);
    out.advance();
  }

  #break(code: FailureCode, detail: string): void {
    this.#isWhole = false;
    if (this.#connection.streams.get(this.#stream.id) !== this.#stream) return;
    this.#connection.refuse(this.#stream, { code, detail });
  }
}
