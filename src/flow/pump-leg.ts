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
  /** What waits to be sent; nearly always one piece, so the list is made only for more. */
  #first: Buffer | undefined;
  #more: Buffer[] | undefined;
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
    this.#first = undefined;
    this.#more = undefined;
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
    if (this.#first === undefined) this.#first = bytes;
    else if (this.#more === undefined) this.#more = [this.#first, bytes];
    else this.#more.push(bytes);
  }

  /** Writes what is queued, as one piece; true when the send buffer is full. */
  flush(): boolean {
    const stream = this.#stream;
    const first = this.#first;
    if (first === undefined || stream === undefined || this.finished) return false;
    const bytes = this.#more === undefined ? first : Buffer.concat(this.#more);
    this.#first = undefined;
    this.#more = undefined;
    return !stream.write(bytes) && stream.writableLength >= limits.sendBufferBytes;
  }

  /** Ends our half after what was written. */
  finish(): void {
    this.finished = true;
    this.#stream?.end();
  }

  /** Whether bytes wait for the peer to take those before them. */
  get isStalled(): boolean {
    return (this.#stream?.writableLength ?? 0) > 0;
  }

  /** Whether everything that was sent is in the kernel's hands, or cannot get there any more. */
  get isFlushed(): boolean {
    const stream = this.#stream;
    return stream === undefined || stream.destroyed || stream.writableFinished;
  }
}
