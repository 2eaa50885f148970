import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';

/** What a raw client says, in this order. */
export interface Speech {
  /** In the clear before anything else: a PROXY protocol header, a CONNECT. */
  readonly before?: Buffer | string;
  /** Waits for this in the answer to `before`; what comes behind it is heard. */
  readonly until?: string;
  /** Goes on with TLS. */
  readonly tls?: ConnectionOptions;
  readonly say?: Buffer | string;
  /** Ends its half behind that. */
  readonly end?: boolean;
  /** Address of the loopback to come from. */
  readonly from?: string;
  /** How long it listens; 10 s unless said otherwise. */
  readonly patienceMs?: number;
}

/** What became of it. */
export interface Heard {
  /** Everything received after `until`, to the end of the connection. */
  readonly text: string;
  /** Code of the error that ended it, such as ECONNRESET or ERR_SSL_TLSV1_ALERT_ACCESS_DENIED; empty without one. */
  readonly error: string;
  readonly alpn: string | undefined;
  /** Subject alternative names of the certificate that was shown. */
  readonly names: string;
}

const patienceMs = 10_000;

/** A client that says what no real program would, and listens until the connection ends. Never rejects. */
export function talk(port: number, speech: Speech): Promise<Heard> {
  return new Promise((resolve) => new RawClient(port, speech, resolve));
}

class RawClient {
  readonly #speech: Speech;
  readonly #resolve: (heard: Heard) => void;
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];
  readonly #timer: NodeJS.Timeout;
  #secure: TLSSocket | undefined;

  constructor(port: number, speech: Speech, resolve: (heard: Heard) => void) {
    this.#speech = speech;
    this.#resolve = resolve;
    this.#timer = setTimeout(() => this.#finish('no end in time'), speech.patienceMs ?? patienceMs);
    const { from } = speech;
    const local = from === undefined ? {} : { localAddress: from };
    this.#socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, ...local });
    this.#socket.on('error', this.#onError).on('close', this.#onEnd);
    this.#socket.once('connect', () => this.#open());
  }

  #open(): void {
    const { before, until } = this.#speech;
    if (before !== undefined) this.#socket.write(before);
    if (until === undefined) return this.#secureOrSpeak();
    let answer = '';
    const read = (chunk: Buffer): void => {
      answer += chunk.toString('latin1');
      if (!answer.includes(until)) return;
      this.#socket.off('data', read).off('end', missing).pause();
      const rest = answer.slice(answer.indexOf(until) + until.length);
      if (rest !== '') this.#socket.unshift(Buffer.from(rest, 'latin1'));
      this.#secureOrSpeak();
    };
    const missing = (): void => this.#finish(`answered ${answer}`);
    this.#socket.on('data', read).on('end', missing);
  }

  #secureOrSpeak(): void {
    const { tls } = this.#speech;
    if (tls === undefined) return this.#speak(this.#socket);
    this.#socket
      .off('error', this.#onError)
      .off('close', this.#onEnd)
      .on('error', () => {});
    const secure = connectTls({ socket: this.#socket, rejectUnauthorized: false, ...tls });
    this.#secure = secure;
    secure.on('error', this.#onError).on('close', this.#onEnd);
    secure.once('secureConnect', () => this.#speak(secure));
  }

  #speak(over: Socket): void {
    const { say, end } = this.#speech;
    over.on('data', (chunk: Buffer) => this.#chunks.push(chunk)).on('end', this.#onEnd);
    over.resume();
    if (say !== undefined) over.write(say);
    if (end) over.end();
  }

  readonly #onError = (error: NodeJS.ErrnoException): void => this.#finish(error.code ?? error.message);
  readonly #onEnd = (): void => this.#finish('');

  #finish(error: string): void {
    clearTimeout(this.#timer);
    const heard = {
      text: Buffer.concat(this.#chunks).toString('latin1'),
      error,
      alpn: this.#secure?.alpnProtocol || undefined,
      names: this.#secure?.getPeerX509Certificate()?.subjectAltName ?? '',
    };
    this.#secure?.destroy();
    this.#socket.destroy();
    this.#resolve(heard);
  }
}
