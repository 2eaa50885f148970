import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import type { Server, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Credentials } from './test-authority.ts';

export interface TestOrigin extends AsyncDisposable {
  readonly port: number;
  /** Requests seen, as `METHOD url`. */
  readonly requests: readonly string[];
  /** Application bytes that arrived over all connections. */
  readonly bytesReceived: () => number;
  /** TLS connections whose session was resumed. */
  readonly resumed: () => number;
  /** TCP connections accepted. */
  readonly connections: () => number;
  /** Staples an OCSP answer from now on. */
  readonly staple: (answer: Buffer) => void;
}

/** A real HTTPS origin (HTTP without credentials) that remembers what reached it. */
export async function startOrigin(
  credentials: Credentials | undefined,
  handler: RequestListener = echo,
  options: ServerOptions = {},
  host = '127.0.0.1',
): Promise<TestOrigin> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  let bytes = 0;
  let resumed = 0;
  let connections = 0;
  const listener: RequestListener = (request, response) => {
    requests.push(`${request.method} ${request.url}`);
    handler(request, response);
  };
  const server: Server =
    credentials === undefined ? createHttpServer(listener) : createServer({ ...credentials, ...options }, listener);
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    if (credentials === undefined) socket.on('data', (chunk) => (bytes += chunk.length));
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    if (socket.isSessionReused()) resumed += 1;
    socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    requests,
    bytesReceived: () => bytes,
    resumed: () => resumed,
    connections: () => connections,
    staple: (answer) => {
      server.on('OCSPRequest', (_certificate, _issuer, callback) => callback(null, answer));
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const echo: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    response.setHeader('content-type', 'text/plain');
    response.end(`${request.method} ${request.headers.host} ${request.url} ${body.length}\n`);
  });
};
