import { readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';

/**
 * Load of mail from a process of its own: `mails` keeps eight sessions open and sends one mail of 4 KB after another in each,
 * `sessions` opens a session under STARTTLS for each mail. Writes the count of mails and the seconds that they took.
 * `node bench/processes/mail-load.ts mails|sessions PORT CA_FILE COUNT`
 */
const [kind = '', port = '', caFile = '', count = ''] = process.argv.slice(2);
const sessions = 8;
const ca = readFileSync(caFile, 'utf8');

const line = 'The quick brown fox jumps over the lazy dog, and the mail goes on to its end.\r\n';
const head = 'From: <sender@bench.test>\r\nTo: <reader@bench.test>\r\nSubject: bench\r\nMIME-Version: 1.0\r\n';
const content = `${head}Content-Type: text/plain; charset=utf-8\r\n\r\n${line.repeat(52)}`;
const mail = Buffer.from(`${content}.\r\n`);
/** In one write, as clients that pipeline do (RFC 2920). */
const envelope = Buffer.from('MAIL FROM:<sender@bench.test> SIZE=4200\r\nRCPT TO:<reader@bench.test>\r\nDATA\r\n');

/** A session that sends and waits for replies in their order. */
class Session {
  #socket: Socket | TLSSocket;
  #heard = '';
  #wanted = 0;
  #resolve: (() => void) | undefined;
  #reject: ((error: Error) => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#listen();
  }

  static async open(): Promise<Session> {
    const socket = connectTcp(Number(port), 'localhost');
    socket.setNoDelay(true);
    const session = new Session(socket);
    await session.replies(1);
    await session.ask('EHLO bench.test\r\n', 1);
    await session.ask('STARTTLS\r\n', 1);
    await session.#secure();
    await session.ask('EHLO bench.test\r\n', 1);
    return session;
  }

  async send(): Promise<void> {
    await this.ask(envelope, 3);
    await this.ask(mail, 1);
  }

  ask(bytes: Buffer | string, replies: number): Promise<void> {
    this.#socket.write(bytes);
    return this.replies(replies);
  }

  /** Waits for replies of one line or several. */
  replies(count: number): Promise<void> {
    this.#wanted = count;
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  async quit(): Promise<void> {
    await this.ask('QUIT\r\n', 1);
    this.#socket.end();
  }

  #listen(): void {
    this.#socket.setEncoding('latin1');
    this.#socket.on('data', (text: string) => this.#hear(text));
    for (const event of ['error', 'close']) this.#socket.on(event, () => this.#reject?.(new Error('cut')));
  }

  #hear(text: string): void {
    this.#heard += text;
    for (let end = this.#heard.indexOf('\n'); end >= 0; end = this.#heard.indexOf('\n')) {
      const reply = this.#heard.slice(0, end);
      this.#heard = this.#heard.slice(end + 1);
      if (reply[3] === '-') continue;
      if (!/^[23]/.test(reply)) return this.#reject?.(new Error(reply));
      this.#wanted -= 1;
      if (this.#wanted === 0) this.#resolve?.();
    }
  }

  async #secure(): Promise<void> {
    const plain = this.#socket;
    plain.removeAllListeners();
    const options: ConnectionOptions = { socket: plain, servername: 'localhost', ca };
    const secure = connect(options);
    await new Promise<void>((resolve, reject) => {
      secure.once('secureConnect', resolve);
      secure.once('error', reject);
    });
    secure.removeAllListeners('error');
    this.#socket = secure;
    this.#listen();
  }
}

let left = Number(count);

async function mails(): Promise<void> {
  const session = await Session.open();
  await session.send();
  await begun();
  while (left > 0) {
    left -= 1;
    await session.send();
  }
  await session.quit();
}

async function newSessions(): Promise<void> {
  await begun();
  while (left > 0) {
    left -= 1;
    const session = await Session.open();
    await session.send();
    await session.quit();
  }
}

let waiting = 0;
let startMs = 0;
const start = Promise.withResolvers<void>();
/** All begin together. */
function begun(): Promise<void> {
  waiting += 1;
  if (waiting === sessions) {
    startMs = performance.now();
    start.resolve();
  }
  return start.promise;
}

await Promise.all(Array.from({ length: sessions }, kind === 'mails' ? mails : newSessions));
console.log(JSON.stringify({ count: Number(count), seconds: (performance.now() - startMs) / 1_000 }));
