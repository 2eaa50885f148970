import type { Duplex } from 'node:stream';
import { limits } from '../core/limits.ts';

/** Who stops the reading of a leg: the relay (a full pipeline) and a full send buffer do so independently. */
export type PauseReason = 'relay' | 'pressure';

/** One leg as the pump drives it: its stream, which may still be on its way, and what waits to be sent. */
export class PumpLeg {
  /** The peer has ended its half. */
  ended = false;
  /** Our half is ended: nothing more is sent. */
  finished = false;
  /** Bytes received. */
  bytes = 0;
  #stream: Duplex | undefined;
  #queued: Buffer[] = [];
  readonly #pauses = new Set<PauseReason>();

  constructor(stream: Duplex | undefined) {
    this.#stream = stream;
  }

  get stream(): Duplex | undefined {
    return this.#stream;
  }

  /** Gives the leg its stream, with what was queued for it meanwhile. */
  open(stream: Duplex): void {
    this.#stream = stream;
  }

  /** Takes the stream away without telling anyone: another origin follows. */
  detach(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#queued = [];
    if (stream === undefined) return;
    for (const event of ['data', 'end', 'close', 'error', 'drain']) stream.removeAllListeners(event);
    stream.on('error', () => {});
    stream.destroy();
  }

  pause(reason: PauseReason, paused: boolean): void {
    if (this.#pauses.has(reason) === paused) return;
    if (paused) this.#pauses.add(reason);
    else this.#pauses.delete(reason);
    this.applyPause();
  }

  applyPause(): void {
    if (this.#pauses.size > 0) this.#stream?.pause();
    else this.#stream?.resume();
  }

  queue(bytes: Buffer): void {
    this.#queued.push(bytes);
  }

  /** Writes what is queued, as one piece; true when the send buffer is full. */
  flush(): boolean {
    const stream = this.#stream;
    const first = this.#queued[0];
    if (first === undefined || stream === undefined || this.finished) return false;
    const bytes = this.#queued.length === 1 ? first : Buffer.concat(this.#queued);
    this.#queued = [];
    return !stream.write(bytes) && stream.writableLength >= limits.sendBufferBytes;
  }

  /** Ends our half after what was written. */
  finish(): void {
    this.finished = true;
    this.#stream?.end();
  }

  /** Whether everything that was sent is in the kernel's hands, or cannot get there any more. */
  get isFlushed(): boolean {
    const stream = this.#stream;
    return stream === undefined || stream.destroyed || stream.writableFinished;
  }
}
