import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { hasSocketOptions } from './libc.ts';
import { descriptorOf, resetOnClose } from './socket-options.ts';

/**
 * Ends a connection at once with a TCP reset, so that no peer takes a cut message for a whole one. `over` is the TLS
 * socket (or other stream) on top of `transport`, if any: it goes first, because a native TLS socket whose transport is
 * reset under it can crash the process. Without socket options the connection is closed, not reset.
 */
export function resetConnection(transport: Socket, over?: Duplex): void {
  const fd = hasSocketOptions ? descriptorOf(transport) : undefined;
  if (fd !== undefined) resetOnClose(fd);
  over?.destroy();
  transport.destroy();
}
