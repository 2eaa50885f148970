import { limits } from '../core/limits.ts';
import { WatchedTransport } from './watched-transport.ts';

/**
 * A TCP connection under TLS that does not end with it at once, but when the peer has ended too, or a moment later. For what
 * leads through an HTTP proxy: Squid gives up both directions at the first end of TCP, and whatever the peer says after that
 * (its tickets of TLS 1.3, on a busy machine) resets its connection, and it loses the tail of what it was sent.
 */
export class LingeringTransport extends WatchedTransport {
  override _final(done: (error?: Error | null) => void): void {
    const { socket } = this;
    const end = (): void => {
      clearTimeout(timer);
      socket.off('end', end).off('close', end);
      super._final(done);
    };
    const timer = setTimeout(end, limits.ftpDataCloseMs);
    if (socket.readableEnded || socket.destroyed) end();
    else socket.on('end', end).on('close', end);
  }
}
