import type { FailureCode } from '../../core/failures.ts';
import type { Exchange, RequestHead } from '../../core/http.ts';
import type { Side } from '../../core/side.ts';
import { LiveExchange, requestField } from './http1-exchange.ts';
import type { HeldMessage } from './http2-held-message.ts';
import type { Http2Tunnel } from './http2-tunnel.ts';

/** One stream from its request head until both messages are done or it is reset. Both legs know it by the same id. */
export class Http2Stream extends LiveExchange {
  readonly id: number;
  /** Protocol of an extended CONNECT that the origin has accepted: DATA is no message from then on. */
  isTunnel = false;
  /** Lower case. */
  readonly protocol: string | undefined;
  /** Reads what passes through the tunnel; undefined where it passes unread. */
  tunnel: Http2Tunnel | undefined;
  /** The client has ended its half, whether or not that was passed on. */
  isClientDone = false;
  /** The origin has ended its half, whether or not that was passed on. */
  isOriginDone = false;
  /** The origin knows of it. */
  isForwarded = false;
  /** The final response has come, whether or not that was passed on. */
  hasResponseHead = false;
  /** The origin has answered in full and wants nothing more of the request. */
  isUploadStopped = false;
  /** The end of a message waits for a verdict, whose time is bounded elsewhere. */
  isAwaited = false;
  /** What of a message waits, by the side that it goes to; undefined while it passes frame by frame. */
  toOrigin: HeldMessage | undefined;
  toClient: HeldMessage | undefined;
  /** Body bytes that Content-Length still promises; negative without one. */
  requestLeft = -1;
  responseLeft = -1;
  /** What a side's window of this stream grew by, and what was sent into it. */
  creditedByClient = 0;
  sentToClient = 0;
  creditedByOrigin = 0;
  sentToOrigin = 0;
  /** Time of the last HEADERS, DATA or WINDOW_UPDATE, on the pump's clock. */
  activeMs: number;

  constructor(id: number, inspected: Exchange, request: RequestHead, protocol: string | undefined, nowMs: number) {
    super(inspected, request, undefined);
    this.id = id;
    this.protocol = protocol;
    this.activeMs = nowMs;
    if (request.framing.kind === 'length') this.requestLeft = request.framing.bytes;
  }

  get isGrpc(): boolean {
    return requestField(this.request, 'content-type')?.startsWith('application/grpc') === true;
  }

  /** Whether a side has ended its half. */
  isDone(side: Side): boolean {
    return side === 'client' ? this.isClientDone : this.isOriginDone;
  }

  sentTo(side: Side, bytes: number): void {
    if (side === 'client') this.sentToClient += bytes;
    else this.sentToOrigin += bytes;
  }

  /** What a side's window of this stream has grown by beyond what was sent into it. */
  roomOf(side: Side): number {
    return side === 'client' ? this.creditedByClient - this.sentToClient : this.creditedByOrigin - this.sentToOrigin;
  }

  /** A protocol was agreed on whose messages are told of by themselves: the exchange is over, the stream goes on. */
  opened(): void {
    super.finish(undefined, '', true);
  }

  override finish(failure: FailureCode | undefined, detail: string): void {
    this.toOrigin?.drop();
    this.toClient?.drop();
    this.tunnel?.cut(failure, detail);
    super.finish(failure, detail);
  }
}
