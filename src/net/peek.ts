import type { Duplex } from 'node:stream';
import { recogniseOpening } from '../codec/first-bytes.ts';
import { type FailureCode, FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { Opening, Recognition } from '../core/opening.ts';

export interface PeekOptions {
  /** Time for the complete opening from its first byte. */
  readonly deadlineMs: number;
  /** Silence after which the origin is taken to speak first. */
  readonly silenceMs: number;
}

/** The opening, and all bytes that had come when it was recognised: a view, not to be changed. */
export interface Peeked {
  readonly opening: Opening;
  readonly bytes: Buffer;
}

/**
 * Reads the first bytes of a connection until they are recognised, over any segmentation, and puts all of them back: a
 * TLS socket or a relay then reads them as if nothing had happened. Rejects with FlowFailure CLIENT_OPENING_TIMEOUT,
 * CLIENT_OPENING_TOO_LARGE or CLIENT_GONE; closing is the caller's, as is an `error` listener for the time after.
 */
export function peekOpening(socket: Duplex, options: PeekOptions): Promise<Peeked> {
  return new Promise((resolve, reject) => {
    new Peek(socket, options, resolve, reject).start();
  });
}

/** One connection's opening on its way in. */
class Peek {
  readonly #socket: Duplex;
  readonly #options: PeekOptions;
  readonly #resolve: (peeked: Peeked) => void;
  readonly #reject: (failure: FlowFailure) => void;
  #store: Buffer = Buffer.alloc(0);
  #length = 0;
  /** Fewer bytes than these can tell nothing new. */
  #neededBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    socket: Duplex,
    options: PeekOptions,
    resolve: (peeked: Peeked) => void,
    reject: (failure: FlowFailure) => void,
  ) {
    this.#socket = socket;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    if (this.#socket.destroyed || this.#socket.readableEnded) {
      this.#fail('CLIENT_GONE');
      return;
    }
    this.#timer = setTimeout(this.#onSilence, this.#options.silenceMs);
    this.#socket.on('readable', this.#onReadable).on('end', this.#onGone);
    this.#socket.on('error', this.#onGone).on('close', this.#onGone);
  }

  readonly #onReadable = (): void => {
    const chunk: Buffer | null = this.#socket.read();
    if (chunk === null) return;
    const isFirst = this.#length === 0;
    this.#append(chunk);
    const recognition = this.#recognise();
    if (recognition.kind !== 'partial') this.#settle(recognition);
    else if (this.#length > limits.openingBytes) this.#fail('CLIENT_OPENING_TOO_LARGE');
    else if (isFirst) this.#awaitRest();
  };

  /** A ClientHello in thousands of records, each in segments of its own, is not walked through anew for each of them. */
  #recognise(): Recognition {
    if (this.#length < this.#neededBytes) return { kind: 'partial' };
    const recognition = recogniseOpening(this.#received());
    if (recognition.kind === 'partial') this.#neededBytes = recognition.neededBytes ?? 0;
    return recognition;
  }

  /** An opening in one segment is not copied at all, one in many segments not once for each. */
  #append(chunk: Buffer): void {
    const length = this.#length + chunk.length;
    if (this.#length === 0) this.#store = chunk;
    else if (length > this.#store.length) this.#store = Buffer.concat([this.#received()], 2 * length);
    if (this.#length > 0) chunk.copy(this.#store, this.#length);
    this.#length = length;
  }

  #received(): Buffer {
    return this.#store.subarray(0, this.#length);
  }

  #awaitRest(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onDeadline, this.#options.deadlineMs);
  }

  readonly #onSilence = (): void => this.#settle({ kind: 'silent' });
  readonly #onDeadline = (): void => this.#fail('CLIENT_OPENING_TIMEOUT');
  readonly #onGone = (): void => this.#fail('CLIENT_GONE');

  #settle(opening: Opening): void {
    this.#release();
    const bytes = this.#received();
    if (bytes.length > 0) this.#socket.unshift(bytes);
    this.#resolve({ opening, bytes });
  }

  #fail(code: FailureCode): void {
    this.#release();
    this.#reject(new FlowFailure(code, `after ${this.#length} bytes of its opening`));
  }

  #release(): void {
    clearTimeout(this.#timer);
    this.#socket.off('readable', this.#onReadable).off('end', this.#onGone);
    this.#socket.off('error', this.#onGone).off('close', this.#onGone);
  }
}
