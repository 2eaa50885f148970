import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  connect as connectTls,
  createSecureContext,
  type SecureContext,
  TLSSocket,
} from 'node:tls';
import type { PolicyDocument, ReverseListener } from '../../src/core/policy.ts';
import type { PacketSink } from '../../src/flow/plaintext-export.ts';
import { startDataPlane, type TestDataPlane } from './data-plane.ts';
import { type ScriptedFtpOrigin, startScriptedFtpOrigin } from './ftp-origin.ts';
import { Typist } from './mail-origin.ts';
import { listening } from './tcp.ts';
import type { TestAuthority } from './test-authority.ts';

/** A listener that publishes an origin on the loopback. */
export function published(host: string, port: number): ReverseListener {
  return {
    id: 'reverse:test',
    mode: 'reverse',
    listen: { ip: '127.0.0.1', port: 0 },
    proxyProtocol: 'off',
    trustedProxies: [],
    origin: { host, port },
    originTls: 'as-client',
    originName: 'localhost',
    asset: undefined,
    certificate: undefined,
    sendProxyProtocol: 'off',
  };
}

/** A control connection through a published endpoint, and what is at its ends. */
export interface FtpTestSession extends AsyncDisposable {
  readonly origin: ScriptedFtpOrigin;
  readonly plane: TestDataPlane;
  readonly socket: Socket;
  readonly typist: Typist;
  readonly asks: (line: string, pattern: RegExp) => Promise<string>;
}

/** Opens one to an origin that answers as told. */
export async function openFtpSession(
  authority: TestAuthority,
  answer: (line: string, socket: Socket) => string | undefined,
  changes: Partial<PolicyDocument> = {},
  packets?: PacketSink,
): Promise<FtpTestSession> {
  const origin = await startScriptedFtpOrigin(answer);
  const plane = await startDataPlane(
    {
      listeners: [published('127.0.0.1', origin.port)],
      originTrust: { rootsPem: [authority.rootPem] },
      ...changes,
    },
    packets,
  );
  const socket = connect(plane.port, '127.0.0.1');
  await once(socket, 'connect');
  const typist = new Typist(socket);
  await typist.hears(/^220 /);
  typist.say('SYST\r\n');
  await typist.hears(/^215 /);
  return {
    origin,
    plane,
    socket,
    typist,
    async asks(line, pattern) {
      typist.say(`${line}\r\n`);
      return typist.hears(pattern);
    },
    async [Symbol.asyncDispose]() {
      socket.destroy();
      await plane[Symbol.asyncDispose]();
      await origin[Symbol.asyncDispose]();
    },
  };
}

/** A data port of the origin, and what connects to it first. */
export async function dataPort(): Promise<{ port: number; next: Promise<Socket>; server: Server }> {
  const server = createServer({ allowHalfOpen: true });
  const next = once(server, 'connection').then(([socket]) => {
    (socket as Socket).on('error', () => {});
    return socket as Socket;
  });
  return { port: await listening(server), next, server };
}

/** The port that 229 names. */
export function portOf(reply: string): number {
  return Number(/\|\|\|(\d+)\|/.exec(reply)?.[1]);
}

/** An origin that consents to AUTH TLS and is then answered for by `answer`; `says` is what it says of itself. */
export function upgradingOrigin(context: SecureContext, answer: (line: string) => string) {
  let secure: TLSSocket | undefined;
  return {
    plain(_line: string, socket: Socket): undefined {
      socket.write('234 go\r\n');
      socket.removeAllListeners('data');
      secure = new TLSSocket(socket, { isServer: true, secureContext: context });
      secure.on('error', () => {});
      secure.on('data', (bytes: Buffer) => {
        const line = bytes.toString('latin1').trimEnd();
        secure?.write(`${line === 'PWD' ? '257 "/"' : answer(line)}\r\n`);
      });
    },
    says: (text: string) => secure?.write(`${text}\r\n`),
  };
}

/** AUTH TLS through the gateway: the control connection of the client, its handshake begun. */
export async function beginTls(session: FtpTestSession, options: ConnectionOptions = {}): Promise<TLSSocket> {
  await session.asks('AUTH TLS', /^234 /);
  session.typist.leave();
  const { socket, plane } = session;
  return connectTls({ socket, servername: 'localhost', ca: plane.ca, ...options }).on('error', () => {});
}

/** AUTH TLS, PROT P and EPSV through the gateway, and a transfer begun; the origin's data leg is a TLS server over `data.next`. */
export async function openProtectedTransfer(
  authority: TestAuthority,
  verb: 'RETR' | 'STOR',
  options: ConnectionOptions = {},
) {
  const data = await dataPort();
  const context = createSecureContext(await authority.issue({ names: ['localhost'] }));
  const origin = upgradingOrigin(context, (line) =>
    line === 'EPSV' ? `229 x (|||${data.port}|)` : line.startsWith(verb) ? '150 here' : '200 OK',
  );
  const session = await openFtpSession(authority, origin.plain);
  const control = await beginTls(session);
  await once(control, 'secureConnect');
  const inside = new Typist(control);
  inside.say('PROT P\r\n');
  await inside.hears(/^200 /);
  inside.say('EPSV\r\n');
  const own = connect(portOf(await inside.hears(/^229 /)), '127.0.0.1');
  own.on('error', () => {});
  inside.say(`${verb} file\r\n`);
  await inside.hears(/^150 /);
  const client = connectTls({ socket: own, servername: 'localhost', ca: session.plane.ca, ...options });
  client.on('error', () => {});
  return { session, data, context, own, client, inside, answers: origin.says };
}
