import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { FailureCode } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { Side } from '../core/side.ts';
import { resetConnection } from './reset.ts';

export interface SpliceOptions {
  /** Time without a byte in either direction. */
  readonly idleTimeoutMs: number;
  /** Time without a byte after one side has ended its half. */
  readonly halfCloseTimeoutMs?: number;
  /** Told of every chunk once it is forwarded. */
  readonly onBytes?: (from: Side, bytes: number) => void;
}

/** Why a splice ended: both sides ended their halves, or a failure that the flow records. */
export type SpliceReason = 'ended' | Extract<FailureCode, 'CLIENT_GONE' | 'ORIGIN_GONE' | 'CLIENT_IDLE_TIMEOUT'>;

export interface SpliceOutcome {
  readonly bytesFromClient: number;
  readonly bytesFromOrigin: number;
  readonly reason: SpliceReason;
}

/**
 * Copies bytes between two connections, unread, until both directions have ended. Each side's end reaches the other as
 * the end of that half only (both streams must allow half-open), a slow receiver pauses the sender, and a side that is
 * reset resets the other. Both streams are closed when the promise resolves; it never rejects.
 */
export function splice(client: Duplex, origin: Duplex, options: SpliceOptions): Promise<SpliceOutcome> {
  return new Promise((resolve) => {
    new Splice(client, origin, options, resolve).start();
  });
}

class Splice {
  readonly #client: Direction;
  readonly #origin: Direction;
  readonly #options: SpliceOptions;
  readonly #resolve: (outcome: SpliceOutcome) => void;
  #timer: NodeJS.Timeout | undefined;
  #bytesAtTick = 0;
  #idleTicks = 0;
  #finished = false;

  constructor(client: Duplex, origin: Duplex, options: SpliceOptions, resolve: (outcome: SpliceOutcome) => void) {
    const onChange = (): void => this.#change();
    this.#client = new Direction('client', client, origin, options.onBytes, onChange);
    this.#origin = new Direction('origin', origin, client, options.onBytes, onChange);
    this.#options = options;
    this.#resolve = resolve;
  }

  start(): void {
    this.#scheduleTick();
    this.#client.start();
    this.#origin.start();
    this.#change();
  }

  /** A half has ended, or a stream is closed. */
  #change(): void {
    if (this.#finished) return;
    if (this.#client.complete && this.#origin.complete) this.#finish('ended');
    else if (this.#client.isGone) this.#finish('CLIENT_GONE');
    else if (this.#origin.isGone) this.#finish('ORIGIN_GONE');
    else this.#scheduleTick();
  }

  /** Comparing counts a few times in the period costs nothing per chunk; the end may come a quarter late. */
  #scheduleTick(): void {
    const { idleTimeoutMs, halfCloseTimeoutMs = limits.halfCloseTimeoutMs } = this.#options;
    const halfClosed = this.#client.ended || this.#origin.ended;
    const timeoutMs = halfClosed ? Math.min(halfCloseTimeoutMs, idleTimeoutMs) : idleTimeoutMs;
    clearInterval(this.#timer);
    this.#idleTicks = 0;
    this.#timer = setInterval(this.#onTick, Math.ceil(timeoutMs / ticksPerTimeout));
  }

  readonly #onTick = (): void => {
    const bytes = this.#client.bytes + this.#origin.bytes;
    this.#idleTicks = bytes === this.#bytesAtTick ? this.#idleTicks + 1 : 0;
    this.#bytesAtTick = bytes;
    if (this.#idleTicks >= ticksPerTimeout) this.#finish('CLIENT_IDLE_TIMEOUT');
  };

  #finish(reason: SpliceReason): void {
    this.#finished = true;
    clearInterval(this.#timer);
    this.#client.close(reason !== 'ended');
    this.#origin.close(reason !== 'ended');
    this.#resolve({ bytesFromClient: this.#client.bytes, bytesFromOrigin: this.#origin.bytes, reason });
  }
}

const ticksPerTimeout = 4;

/** One way: from a source to a sink. */
class Direction {
  bytes = 0;
  readonly #from: Side;
  readonly #source: Duplex;
  readonly #sink: Duplex;
  readonly #onBytes: SpliceOptions['onBytes'];
  readonly #onChange: () => void;

  constructor(from: Side, source: Duplex, sink: Duplex, onBytes: SpliceOptions['onBytes'], onChange: () => void) {
    this.#from = from;
    this.#source = source;
    this.#sink = sink;
    this.#onBytes = onBytes;
    this.#onChange = onChange;
  }

  /** The source has ended its half. */
  get ended(): boolean {
    return this.#source.readableEnded;
  }

  /** And the sink has passed all of it on. */
  get complete(): boolean {
    return this.ended && this.#sink.writableFinished;
  }

  /** The source is closed although there was more to come from it or to go to it. */
  get isGone(): boolean {
    const { destroyed, readableEnded, writableFinished } = this.#source;
    return destroyed && !(readableEnded && writableFinished);
  }

  start(): void {
    this.#source.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onChange);
    // What went wrong is told by the close that follows; the listener stays, for errors that come late.
    this.#source.on('error', () => {});
    this.#sink.on('drain', this.#onDrain).on('finish', this.#onChange);
    if (this.ended) this.#sink.end();
    else this.#source.resume();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.bytes += chunk.length;
    if (!this.#sink.write(chunk)) this.#source.pause();
    this.#onBytes?.(this.#from, chunk.length);
  };

  readonly #onDrain = (): void => {
    this.#source.resume();
  };

  readonly #onEnd = (): void => {
    this.#sink.end();
    this.#onChange();
  };

  close(reset: boolean): void {
    this.#source.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onChange);
    this.#sink.off('drain', this.#onDrain).off('finish', this.#onChange);
    if (!reset) this.#source.destroy();
    // TLS shows a cut by the missing close_notify.
    else if (this.#source instanceof Socket && !(this.#source instanceof TLSSocket)) resetConnection(this.#source);
    else this.#source.destroy();
  }
}
