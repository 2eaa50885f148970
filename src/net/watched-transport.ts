import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

/** TLS streams whose peer ended TCP without having ended TLS before. */
const cutShort = new WeakSet<Duplex>();

/**
 * A TCP connection as a stream of our own, for TLS to be put over it. Node reports the end of TLS (close_notify) and the
 * bare end of TCP alike (RFC 8446 section 6.1); below TLS they differ: at a bare end this stream ends first. It costs
 * about a sixth more CPU per byte than the socket itself, so it is used only where the end of a connection ends a message.
 */
export class WatchedTransport extends Duplex {
  protected readonly socket: Socket;
  readonly #listeners = {
    data: (bytes: Buffer) => this.received(bytes),
    end: () => this.push(null),
    error: (error: Error) => this.destroy(error),
    close: () => this.destroy(),
  };

  constructor(socket: Socket) {
    super({ allowHalfOpen: true, autoDestroy: false });
    this.socket = socket;
    for (const [event, listener] of Object.entries(this.#listeners)) socket.on(event, listener);
  }

  protected received(bytes: Buffer): void {
    if (!this.push(bytes)) this.socket.pause();
  }

  /** Hears nothing of the connection any more. */
  protected release(): void {
    for (const [event, listener] of Object.entries(this.#listeners)) this.socket.off(event, listener);
  }

  override _read(): void {
    this.socket.resume();
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.socket.write(bytes, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.socket.destroy();
    done(error);
  }
}

/** Notes of a TLS stream over a watched transport how it ends. Before its handshake. */
export function watchEnd(secure: TLSSocket, transport: WatchedTransport): void {
  const push = secure.push.bind(secure);
  secure.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk === null && transport.readableEnded) cutShort.add(secure);
    return push(chunk, encoding);
  };
}

/** Whether a stream that has ended is TLS whose end was not the peer's word: what was read may be cut short. */
export function isCutShort(stream: Duplex): boolean {
  return cutShort.has(stream);
}
