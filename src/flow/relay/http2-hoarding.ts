import { http2Errors } from '../../codec/http2-frames.ts';
import type { Side } from '../../core/side.ts';
import type { Http2Connection } from './http2-connection.ts';

/** What waits in the messages of a connection for its receivers alone, who have taken next to nothing of it for a while. */
export function stalledBytes(connection: Http2Connection): number {
  return stalledTo(connection, 'client') + stalledTo(connection, 'origin');
}

/** Ends a connection because others need the memory of what a side takes nothing of, if that is still so. */
export function cutHoarder(connection: Http2Connection): void {
  const client = stalledTo(connection, 'client');
  const origin = stalledTo(connection, 'origin');
  const detail = `${Math.max(client, origin)} bytes waited for it alone, and others needed their memory`;
  const { enhanceYourCalm } = http2Errors;
  if (client > 0 && client >= origin) connection.fail('client', enhanceYourCalm, 'CLIENT_HOARDING', detail);
  else if (origin > 0) connection.fail('origin', enhanceYourCalm, 'ORIGIN_HOARDING', detail);
}

function stalledTo({ waiting, nowMs }: Http2Connection, side: Side): number {
  let bytes = 0;
  for (const held of waiting) if (held.to === side) bytes += held.stalledBytes(nowMs);
  return bytes;
}
