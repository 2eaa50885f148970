import { once } from 'node:events';
import { type ClientHttp2Session, connect, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import WebSocket, * as library from 'ws';
import { openTlsTunnel } from './tunnel.ts';

/** What the library offers beyond its types. */
interface Deflate {
  offer(): object;
  accept(offers: readonly object[]): object;
}
interface Parts {
  readonly extension: {
    parse(header: string): Record<string, readonly object[]>;
    format(offers: Record<string, object>): string;
  };
  readonly PerMessageDeflate: new (options: { threshold: number; isServer: boolean }) => Deflate;
}
interface Settable {
  _isServer: boolean;
  _extensions: Record<string, Deflate>;
  setSocket(socket: Duplex, head: Buffer, options: object): void;
}

const { extension, PerMessageDeflate } = library as unknown as Parts;
const Unopened = WebSocket as unknown as new (address: null, protocols: undefined, options: object) => WebSocket;
const name = 'permessage-deflate';

/** The real library `ws` over a stream of HTTP/2 (RFC 8441), which it does not open itself. */
function over(stream: Duplex, isServer: boolean, deflate: Deflate | undefined): WebSocket {
  const socket = new Unopened(null, undefined, { autoPong: true, closeTimeout: 5_000 });
  const settable = socket as unknown as Settable;
  settable._isServer = isServer;
  if (deflate !== undefined) settable._extensions[name] = deflate;
  settable.setSocket(stream, Buffer.alloc(0), { maxPayload: 100_000_000, allowSynchronousEvents: true });
  return socket;
}

/** Accepts a WebSocket in a stream that asks for one. */
export function acceptOverHttp2(stream: ServerHttp2Stream, offered: string | undefined): WebSocket {
  const offers = offered === undefined ? undefined : extension.parse(offered)[name];
  const deflate = offers === undefined ? undefined : new PerMessageDeflate({ threshold: 0, isServer: true });
  const agreed = offers === undefined ? undefined : extension.format({ [name]: deflate?.accept(offers) ?? {} });
  stream.respond({ ':status': 200, ...(agreed === undefined ? {} : { 'sec-websocket-extensions': agreed }) });
  return over(stream, true, deflate);
}

/** A session of Node's client through a gateway, once the origin's settings are there. */
export async function openSession(proxyPort: number, target: string, ca: Buffer | string): Promise<ClientHttp2Session> {
  const socket = await openTlsTunnel(proxyPort, target, { ca, ALPNProtocols: ['h2'] });
  const session = connect(`https://${target}`, { createConnection: () => socket });
  session.on('error', () => {});
  await once(session, 'remoteSettings');
  return session;
}

/** Opens a WebSocket in such a session. Rejects with the status that refuses it. */
export async function openOverHttp2(
  session: ClientHttp2Session,
  path: string,
  isCompressed: boolean,
): Promise<WebSocket> {
  const deflate = new PerMessageDeflate({ threshold: 0, isServer: false });
  const stream = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':path': path,
    'sec-websocket-version': '13',
    ...(isCompressed ? { 'sec-websocket-extensions': extension.format({ [name]: deflate.offer() }) } : {}),
  });
  stream.on('error', () => {});
  const [headers] = (await once(stream, 'response')) as [Record<string, string | number>];
  if (headers[':status'] !== 200) throw new Error(`${headers[':status']} ${headers['daylight-failure']}`);
  const agreed = headers['sec-websocket-extensions'];
  if (agreed !== undefined) deflate.accept(extension.parse(String(agreed))[name] ?? []);
  return over(stream, false, agreed === undefined ? undefined : deflate);
}
