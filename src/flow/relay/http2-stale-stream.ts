import type { Refusal } from './http1-pipeline.ts';
import type { Http2Stream } from './http2-stream.ts';
import type { ConnectionWindow } from './http2-window.ts';

/**
 * Why a stream that has stood still for its time is given up; undefined when it may go on. A response that has begun may
 * be silent for as long as it likes (server-sent events, a watch over gRPC), as long as the client leaves it a window.
 */
export function staleStream(stream: Http2Stream, window: ConnectionWindow): Refusal | undefined {
  const { isResponseBegun, isResponseDone, isRequestDone, isClientDone, isTunnel, isGrpc } = stream;
  if (stream.isAwaited) return undefined;
  // A tunnel that is silent in both directions is given up, as it is over a connection of its own.
  if (isTunnel) return { code: 'CLIENT_IDLE_TIMEOUT', detail: 'no byte within the idle limit' };
  if (isResponseBegun && !isResponseDone) {
    const isStalled = window.left <= 0 || window.initialWindow + stream.roomOf('client') <= 0;
    return isStalled ? { code: 'CLIENT_IDLE_TIMEOUT', detail: 'the client takes nothing of the response' } : undefined;
  }
  // A call of gRPC may wait for its first message: the deadline that it carries bounds it, and pings keep its connection.
  // What is held for a rule is bounded by nothing else.
  const isHeld = stream.hasResponseHead || !stream.isForwarded;
  if (isGrpc && !isHeld) return undefined;
  return isRequestDone || (isClientDone && stream.isForwarded)
    ? { code: 'ORIGIN_IDLE_TIMEOUT', detail: 'the response did not come' }
    : { code: 'CLIENT_IDLE_TIMEOUT', detail: 'the request body stopped coming' };
}
