import type { Exchange, RequestHead } from '../../core/http.ts';
import { LiveExchange, requestField } from './http1-exchange.ts';

/** One stream from its request head until both messages are done or it is reset. Both legs know it by the same id. */
export class Http2Stream extends LiveExchange {
  readonly id: number;
  /** Protocol of an extended CONNECT that the origin has accepted: DATA is opaque from then on. */
  isTunnel = false;
  readonly protocol: string | undefined;
  /** The client has ended its half, whether or not that was passed on. */
  isClientDone = false;
  /** The origin knows of it. */
  isForwarded = false;
  /** Body bytes that Content-Length still promises; negative without one. */
  requestLeft = -1;
  responseLeft = -1;
  /** What the client's window of this stream grew by, and what was sent of it. */
  credited = 0;
  sent = 0;
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
}
