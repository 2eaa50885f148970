import type { Duplex } from 'node:stream';
import { limits } from '../core/limits.ts';

/** Time a peer gets to close its half after ours is flushed; then the socket is destroyed. */
const lingerMs = 2_000;
const lingering = new WeakSet<Duplex>();

/**
 * Lets a stream that was ended hand its last bytes to the kernel and see the peer's end, then destroys it: a close with
 * unread bytes would send a reset that destroys what the peer has not read yet. Bounded against a peer that never reads.
 */
export function destroyAfterFlush(stream: Duplex, onFlushed: () => void = () => {}): void {
  if (lingering.has(stream) || stream.destroyed) return;
  lingering.add(stream);
  const flushTimer = setTimeout(() => stream.destroy(), limits.halfCloseTimeoutMs);
  let lingerTimer: NodeJS.Timeout | undefined;
  const flushed = (): void => {
    lingerTimer ??= setTimeout(() => stream.destroy(), lingerMs);
    lingerTimer.unref();
    onFlushed();
  };
  stream.once('close', () => {
    clearTimeout(flushTimer);
    clearTimeout(lingerTimer);
    onFlushed();
  });
  if (stream.writableFinished) flushed();
  else stream.once('finish', flushed);
}
