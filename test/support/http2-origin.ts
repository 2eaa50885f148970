import { once } from 'node:events';
import {
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { Credentials } from './test-authority.ts';

export type Http2Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

export interface Http2Origin extends AsyncDisposable {
  readonly port: number;
  /** Requests seen, as `METHOD authority path`. */
  readonly requests: readonly string[];
  readonly connections: () => number;
  readonly sessions: ReadonlySet<ServerHttp2Session>;
}

export interface Http2OriginWishes {
  /** Over TLS with these; in the clear without. */
  readonly credentials?: Credentials;
  readonly handler?: Http2Handler;
  readonly settings?: Settings;
  /** Speaks HTTP/1.1 as well, where it is asked for. */
  readonly allowHTTP1?: boolean;
}

/** A real HTTP/2 origin (Node, so nghttp2) that answers what it was asked. */
export async function startHttp2Origin({
  credentials,
  handler = echo,
  settings = {},
  allowHTTP1 = false,
}: Http2OriginWishes): Promise<Http2Origin> {
  const requests: string[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const sockets = new Set<Socket>();
  let connections = 0;
  const server: Http2Server =
    credentials === undefined
      ? createServer({ settings })
      : createSecureServer({ ...credentials, settings, allowHTTP1 });
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
    session.on('close', () => sessions.delete(session));
  });
  server.on('sessionError', () => {});
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    requests.push(`${headers[':method']} ${headers[':authority']} ${headers[':path']}`);
    stream.on('error', () => {});
    handler(stream, headers);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    requests,
    sessions,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Tells method, path and how many bytes came, with a trailer. */
const echo: Http2Handler = (stream, headers) => {
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  stream.on('end', () => {
    stream.respond({ ':status': 200, 'content-type': 'text/plain' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-bytes': String(bytes) }));
    stream.end(`${headers[':method']} ${headers[':path']} ${bytes}\n`);
  });
};
