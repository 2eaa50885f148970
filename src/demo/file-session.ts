import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';

/** What a file server holds. */
export interface Shelf {
  readonly files: Map<string, Buffer>;
  /** Bytes of content that reached it, of uploads that were broken off too. */
  contentBytes: number;
}

/** A data connection that is expected. */
interface Expected {
  readonly server: Server;
  readonly connection: Promise<Socket>;
}

const longestLine = 1_024;
const mostFiles = 100;
const mostFileBytes = 1_000_000;
const idleMs = 60_000;

/** One control connection: obeys its commands one at a time. */
export class FileSession {
  readonly #context: SecureContext;
  readonly #shelf: Shelf;
  #socket: Socket;
  #text = '';
  #isBusy = false;
  #isProtected = false;
  #expected: Expected | undefined;

  constructor(socket: Socket, context: SecureContext, shelf: Shelf) {
    this.#context = context;
    this.#shelf = shelf;
    this.#socket = socket;
    this.#listen();
    this.#say('220 Daylight demo file server');
  }

  #listen(): void {
    this.#socket.on('error', () => {}).on('data', this.#onText);
    this.#socket.on('close', () => this.#expected?.server.close());
    this.#socket.setTimeout(idleMs, () => this.#socket.destroy());
  }

  readonly #onText = (chunk: Buffer): void => {
    this.#text += chunk.toString('latin1');
    if (this.#text.length > longestLine) this.#socket.destroy();
    else void this.#work().catch(() => this.#socket.destroy());
  };

  async #work(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (let end = this.#text.indexOf('\r\n'); end >= 0; end = this.#text.indexOf('\r\n')) {
      const [verb = '', ...words] = this.#text.slice(0, end).split(' ');
      this.#text = this.#text.slice(end + 2);
      await this.#obey(verb.toUpperCase(), words.join(' '));
    }
    this.#isBusy = false;
  }

  async #obey(verb: string, argument: string): Promise<void> {
    switch (verb) {
      case 'AUTH':
        return this.#secure(argument);
      case 'PROT':
        this.#isProtected = argument.toUpperCase() === 'P';
        return this.#say('200 Done');
      case 'EPSV':
      case 'PASV':
        return this.#expect(verb);
      case 'STOR':
        return this.#take(nameOf(argument));
      case 'RETR':
        return this.#give(this.#shelf.files.get(nameOf(argument)));
      case 'NLST':
      case 'LIST':
        return this.#give(Buffer.from([...this.#shelf.files.keys()].map((name) => `${name}\r\n`).join('')));
      case 'QUIT':
        this.#say('221 Goodbye');
        this.#socket.end();
        return;
      default:
        this.#say(replies[verb] ?? '502 Not here');
    }
  }

  #say(reply: string): void {
    if (this.#socket.writable) this.#socket.write(`${reply}\r\n`, 'latin1');
  }

  #secure(mechanism: string): void {
    if (mechanism.toUpperCase() !== 'TLS' || this.#socket instanceof TLSSocket) return this.#say('504 AUTH TLS, once');
    this.#say('234 Go ahead');
    this.#socket.off('data', this.#onText);
    // What came behind the command in plaintext is nobody's.
    this.#text = '';
    this.#socket = new TLSSocket(this.#socket, { isServer: true, secureContext: this.#context });
    this.#listen();
  }

  async #expect(verb: 'EPSV' | 'PASV'): Promise<void> {
    this.#expected?.server.close();
    const { localAddress = '127.0.0.1' } = this.#socket;
    const server = createServer({ allowHalfOpen: true }).listen(0, localAddress);
    await once(server, 'listening');
    const connection = once(server, 'connection', { signal: AbortSignal.timeout(idleMs) }).then(([socket]) => {
      server.close();
      return (socket as Socket).on('error', () => {});
    });
    connection.catch(() => server.close());
    this.#expected = { server, connection };
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    if (verb === 'EPSV') return this.#say(`229 Here (|||${port}|)`);
    this.#say(`227 Here (${localAddress.replaceAll('.', ',')},${port >> 8},${port & 255})`);
  }

  async #take(name: string): Promise<void> {
    const { files } = this.#shelf;
    if (files.size >= mostFiles) return this.#say('452 Full');
    const content = await this.#transfer(async (socket) => {
      const chunks: Buffer[] = [];
      let length = 0;
      for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        chunks.push(chunk);
        length += chunk.length;
        this.#shelf.contentBytes += chunk.length;
        if (length > mostFileBytes) throw new Error('too long');
      }
      socket.end();
      return Buffer.concat(chunks);
    });
    if (content !== undefined) files.set(name, content);
  }

  async #give(content: Buffer | undefined): Promise<void> {
    if (content === undefined) return this.#say('550 No such file');
    await this.#transfer(async (socket) => {
      socket.resume().end(content);
      await once(socket, 'close');
    });
  }

  /** Runs a transfer over the data connection that is expected; undefined when it was broken off. */
  async #transfer<T>(run: (socket: Socket) => Promise<T>): Promise<T | undefined> {
    const expected = this.#expected;
    this.#expected = undefined;
    if (expected === undefined) {
      this.#say('425 EPSV or PASV first');
      return undefined;
    }
    this.#say('150 Go ahead');
    let socket: Socket | undefined;
    try {
      socket = await expected.connection;
      if (this.#isProtected) socket = new TLSSocket(socket, { isServer: true, secureContext: this.#context });
      socket.on('error', () => {}).setTimeout(idleMs, () => socket?.destroy());
      const outcome = await run(socket);
      this.#say('226 Done');
      return outcome;
    } catch {
      this.#say('426 Broken off, nothing kept');
      return undefined;
    } finally {
      socket?.destroySoon();
    }
  }
}

/** Replies that change nothing here. */
const replies: Readonly<Record<string, string>> = {
  USER: '331 Any password will do',
  PASS: '230 Welcome',
  PBSZ: '200 Done',
  SYST: '215 UNIX Type: L8',
  FEAT: '211-Here:\r\n AUTH TLS\r\n EPSV\r\n PBSZ\r\n PROT\r\n UTF8\r\n211 End',
  OPTS: '200 Done',
  TYPE: '200 Done',
  STRU: '200 Done',
  MODE: '200 Done',
  NOOP: '200 Done',
  PWD: '257 "/"',
  CWD: '250 Done',
  ABOR: '226 Nothing to abort',
};

/** One folder is all there is. */
function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
