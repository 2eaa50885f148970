import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import type { Credentials } from './test-authority.ts';

/** A mail server in the test's own process. */
export interface MailOrigin extends AsyncDisposable {
  readonly port: number;
  /** Contents of the mails that it took. */
  readonly mails: readonly string[];
  /** Addresses that were named in MAIL. */
  readonly senders: readonly string[];
}

/** Starts smtp-server on the loopback; without credentials it offers no STARTTLS. */
export async function startMailOrigin(
  credentials: Credentials | undefined,
  options: SMTPServerOptions = {},
): Promise<MailOrigin> {
  const mails: string[] = [];
  const senders: string[] = [];
  const server = new SMTPServer({
    ...(credentials === undefined ? { disabledCommands: ['STARTTLS'] } : credentials),
    name: 'localhost',
    authOptional: true,
    disableReverseLookup: true,
    logger: false,
    onAuth: ({ username }, _session, done) => done(null, { user: username }),
    onMailFrom: ({ address }, _session, done) => {
      senders.push(address);
      done();
    },
    onData: (stream, _session, done) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        mails.push(Buffer.concat(chunks).toString('latin1'));
        done(null);
      });
    },
    ...options,
  });
  server.on('error', () => {});
  const listener = server.listen(0, '127.0.0.1');
  await new Promise<void>((resolve) => listener.once('listening', resolve));
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    port: address.port,
    mails,
    senders,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

/** A typist on a socket: says lines and waits for what comes back. */
export class Typist {
  readonly #socket: NodeJS.ReadWriteStream;
  #heard = '';
  #isOver = false;

  constructor(socket: NodeJS.ReadWriteStream) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => (this.#heard += chunk.toString('latin1')));
    for (const event of ['end', 'close', 'error']) socket.on(event, () => (this.#isOver = true));
    socket.resume();
  }

  get heard(): string {
    return this.#heard;
  }

  say(text: string): void {
    this.#socket.write(Buffer.from(text, 'latin1'));
  }

  /** Waits until what was heard since the last call fits, and returns it; rejects when the other side has gone before. */
  async hears(pattern: RegExp): Promise<string> {
    const deadline = performance.now() + 10_000;
    while (!pattern.test(this.#heard)) {
      if (this.#isOver || performance.now() > deadline) throw new Error(`heard ${JSON.stringify(this.#heard)}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const heard = this.#heard;
    this.#heard = '';
    return heard;
  }

  /** Waits for the end, and returns what was heard since the last call. */
  async hearsEnd(): Promise<string> {
    const deadline = performance.now() + 10_000;
    while (!this.#isOver && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
    if (!this.#isOver) throw new Error(`no end after ${JSON.stringify(this.#heard)}`);
    return this.#heard;
  }

  /** Leaves the socket to another reader. */
  leave(): void {
    this.#socket.removeAllListeners('data');
    this.#socket.pause();
  }
}
