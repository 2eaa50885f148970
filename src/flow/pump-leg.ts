import type { Duplex } from 'node:stream';
import type { FailureCode } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { Side } from '../core/side.ts';
import type { PumpOutcome } from './pump-options.ts';

/**
 * Who stops the reading of a leg: the relay (a full pipeline), a full send buffer of the other leg, and one of its own
 * that only answers of the gateway can have filled do so independently.
 */
export type PauseReason = 'relay' | 'pressure' | 'answers';

/** What the pump does at the events of a leg's stream. */
export interface LegListeners {
  readonly data: (bytes: Buffer) => void;
  readonly end: () => void;
  readonly error: (error: NodeJS.ErrnoException) => void;
  readonly close: () => void;
  readonly drain: () => void;
}

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
  #listeners: LegListeners | undefined;

  constructor(stream: Duplex | undefined) {
    this.#stream = stream;
  }

  get stream(): Duplex | undefined {
    return this.#stream;
  }

  /** Gives the leg its stream, with what was queued for it meanwhile. */
  open(stream: Duplex, listeners: LegListeners): void {
    this.#stream = stream;
    this.#listeners = listeners;
    for (const [event, listener] of Object.entries(listeners)) stream.on(event, listener);
    stream.on('drain', () => this.pause('answers', false));
    // Whoever looked at the opening left the stream paused.
    this.applyPause();
    // What has ended by now tells it no more. Bytes that were put back come first.
    if (stream.destroyed || stream.readableEnded) setImmediate(() => this.#missed(stream, listeners));
  }

  #missed(stream: Duplex, { close, end }: LegListeners): void {
    if (this.#stream !== stream) return;
    if (stream.destroyed) close();
    else end();
  }

  /** Lets go of the stream as it is, for TLS to be put over it; the bytes that nobody has read stay in it. */
  release(): Duplex | undefined {
    const stream = this.#stream;
    for (const [event, listener] of Object.entries(this.#listeners ?? {})) stream?.off(event, listener);
    this.#listeners = undefined;
    stream?.pause();
    return stream;
  }

  /** Takes the stream away without telling anyone: another origin follows. */
  detach(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#first = undefined;
    this.#more = undefined;
    this.#listeners = undefined;
    this.ended = false;
    this.finished = false;
    if (stream === undefined) return;
    for (const event of ['data', 'end', 'close', 'error', 'drain']) stream.removeAllListeners(event);
    discard(stream);
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
    const isFull = !stream.write(bytes) && stream.writableLength >= limits.sendBufferBytes;
    // A peer that reads nothing does not get answers made for it without end.
    if (isFull && stream.writableLength >= 4 * limits.sendBufferBytes) this.pause('answers', true);
    return isFull;
  }

  /** Ends our half after what was written. */
  finish(): void {
    this.finished = true;
    this.#stream?.end();
  }

  /** Nothing goes either way any more. */
  shut(): void {
    this.ended = true;
    this.finished = true;
  }

  /** Whether the peer has yet to take what was sent; `drain` tells when it has. */
  get isFull(): boolean {
    return this.#stream?.writableNeedDrain === true;
  }

  /** Whether bytes wait for the peer to take those before them. */
  get isStalled(): boolean {
    return (this.#stream?.writableLength ?? 0) > 0;
  }

  /** Whether our half was ended behind something that has yet to be sent. */
  get hasLastWord(): boolean {
    return this.#stream?.writableEnded === true && !this.isFlushed;
  }

  /** Whether everything that was sent is in the kernel's hands, or cannot get there any more. */
  get isFlushed(): boolean {
    const stream = this.#stream;
    return stream === undefined || stream.destroyed || stream.writableFinished;
  }
}

/** What a flow came to over these legs. */
export function outcomeOf(
  failure: { readonly code: FailureCode; readonly detail: string } | undefined,
  { client, origin }: Readonly<Record<Side, PumpLeg>>,
): PumpOutcome {
  return {
    code: failure?.code,
    detail: failure?.detail ?? '',
    bytesFromClient: client.bytes,
    bytesFromOrigin: origin.bytes,
  };
}

/** Gets rid of a stream that nobody reads any more. */
export function discard(stream: Duplex): void {
  stream.on('error', () => {});
  stream.destroy();
}
