import type { Refusal } from './http1-pipeline.ts';
import type { ClientWindow } from './http2-client-window.ts';
import type { Http2Stream } from './http2-stream.ts';

/**
 * Why a stream that has stood still for its time is given up; undefined when it may go on. A response that has begun may
 * be silent for as long as it likes (server-sent events, a watch over gRPC), as long as the client leaves it a window.
 */
export function staleStream(stream: Http2Stream, window: ClientWindow): Refusal | undefined {
  const { isResponseBegun, isResponseDone, isRequestDone, isTunnel, isGrpc } = stream;
  if (isResponseBegun && !isResponseDone) {
    const isStalled = window.left <= 0 || window.initialWindow + stream.credited - stream.sent <= 0;
    return isStalled ? { code: 'CLIENT_IDLE_TIMEOUT', detail: 'the client takes nothing of the response' } : undefined;
  }
  // A call of gRPC may wait for its first message: the deadline that it carries bounds it, and pings keep its connection.
  if (isTunnel || isGrpc) return undefined;
  return isRequestDone
    ? { code: 'ORIGIN_IDLE_TIMEOUT', detail: 'the response did not come' }
    : { code: 'CLIENT_IDLE_TIMEOUT', detail: 'the request body stopped coming' };
}
