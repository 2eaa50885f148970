import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { TlsRecords } from '../codec/tls-records.ts';
import { WatchedTransport } from './watched-transport.ts';

/** The connection without TLS, its next byte the first behind it; or why there is none. */
export type Cleared =
  | { readonly kind: 'clear'; readonly socket: Socket }
  /** The peer has sent something between the agreement and its end of TLS. */
  | { readonly kind: 'injected' }
  | { readonly kind: 'gone'; readonly detail: string }
  | { readonly kind: 'late' };

/**
 * A TCP connection under TLS that can be had back when TLS ends on it (CCC, RFC 4217 section 12.3). Node hands a socket to
 * TLS for good; here TLS gets whole records, one by one as soon as its end is due, so that what stands behind the last one
 * is never taken for a part of TLS, nor the other way round.
 */
export class ClearableTransport extends WatchedTransport {
  readonly #records = new TlsRecords();
  #state: 'secure' | 'ending' | 'cleared' = 'secure';
  /** The peer has ended TLS by close_notify. */
  #isTlsEnded = false;
  /** Ours is on its way. */
  #hasEndedTls = false;
  #progress: () => void = ignore;

  /** Learns of the TLS over this connection how it ends. Before its handshake. */
  watch(secure: TLSSocket): void {
    const push = secure.push.bind(secure);
    secure.push = (chunk: unknown, encoding?: BufferEncoding) => {
      if (chunk === null && !this.readableEnded && !this.socket.readableEnded) this.#isTlsEnded = true;
      return push(chunk, encoding);
    };
  }

  /**
   * Ends TLS in both directions and gives back the connection. curl in its passive mode sends no close_notify of its own:
   * once ours is sent, a byte at the border of a record that begins none is taken for plaintext. Never rejects.
   */
  async clear(secure: TLSSocket, timeoutMs: number): Promise<Cleared> {
    if (secure.destroyed || secure.writableEnded || this.socket.destroyed) return { kind: 'gone', detail: 'closed' };
    this.#state = 'ending';
    goingOn.add(secure);
    const outcome = await this.#ended(secure, timeoutMs);
    if (outcome.kind !== 'clear') goingOn.delete(secure);
    secure.on('error', ignore).destroy();
    return outcome;
  }

  protected override received(bytes: Buffer): void {
    this.#records.push(bytes);
    if (this.#state === 'secure') return this.#passAll();
    this.#progress();
    // Who goes on sending while TLS ends is not read without bound.
    if (this.#state === 'ending' && this.#isFull) this.socket.pause();
  }

  override _read(): void {
    if (this.#state !== 'ending' || !this.#isFull) super._read();
    // Called before what was asked for is taken.
    if (this.#state === 'ending') setImmediate(() => this.#progress());
  }

  get #isFull(): boolean {
    return this.#records.length >= heldBytes;
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#state === 'secure') return super._final(done);
    this.#hasEndedTls = true;
    done();
    this.#progress();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (this.#state !== 'cleared') return super._destroy(error, done);
    done(error);
  }

  /** What is no record goes to TLS too, whose affair it is to refuse it. */
  #passAll(): void {
    let isTaken = true;
    for (let record = this.#records.take(); record !== undefined; record = this.#records.take()) {
      isTaken = this.push(record);
    }
    if (this.#records.isForeign) isTaken = this.push(this.#records.rest());
    if (!isTaken) this.socket.pause();
  }

  #ended(secure: TLSSocket, timeoutMs: number): Promise<Cleared> {
    return new Promise((resolve) => {
      const settle = (outcome: Cleared): void => {
        if (this.#progress === ignore) return;
        this.#progress = ignore;
        clearTimeout(timer);
        for (const event of troubles) secure.off(event, onTrouble);
        this.socket.off('end', onGone).off('close', onGone);
        secure.off('data', onData);
        // At once: a TLS stream that has ended both ways ends what is under it.
        if (outcome.kind === 'clear') this.#letGo();
        // TLS may be in the middle of the record that has told it.
        setImmediate(() => resolve(outcome));
      };
      const onTrouble = (error?: NodeJS.ErrnoException): void =>
        settle({ kind: 'gone', detail: error?.code ?? 'closed' });
      const onGone = (): void => {
        // An end of TCP behind that of TLS is the affair of whoever reads on.
        if (!this.#isTlsEnded) settle({ kind: 'gone', detail: 'the connection ended before TLS' });
      };
      const onData = (): void => settle({ kind: 'injected' });
      const timer = setTimeout(() => settle({ kind: 'late' }), timeoutMs);
      this.#progress = () => {
        if (this.#hasReachedPlaintext()) settle({ kind: 'clear', socket: this.socket });
      };
      for (const event of troubles) secure.on(event, onTrouble);
      this.socket.on('end', onGone).on('close', onGone);
      secure.on('data', onData);
      secure.end();
      secure.resume();
      this.#progress();
    });
  }

  #letGo(): void {
    this.#state = 'cleared';
    this.release();
    this.socket.pause();
    const rest = this.#records.rest();
    if (rest !== undefined && !this.socket.readableEnded) this.socket.unshift(rest);
  }

  /** Gives TLS its records, the next when it has taken the one before; true behind the last. */
  #hasReachedPlaintext(): boolean {
    while (this.readableLength === 0) {
      if (this.#isTlsEnded || this.#records.isForeign) return this.#hasEndedTls;
      const record = this.#records.take();
      if (record === undefined) return false;
      this.push(record);
    }
    return false;
  }
}

/** TLS streams that end, or have ended, while their connection goes on. */
const goingOn = new WeakSet<Duplex>();

/** Whether the end of a stream is that of TLS alone: what both sides say goes on in the connection under it. */
export function goesOnInClear(stream: Duplex): boolean {
  return goingOn.has(stream);
}

/** Of records that wait for TLS, and of plaintext behind the last: some of the largest fit in. */
const heldBytes = 65_536;

/** A TLSSocket outside a tls.Server reports errors by `_tlsError` alone. */
const troubles = ['error', '_tlsError'] as const;

function ignore(): void {}
