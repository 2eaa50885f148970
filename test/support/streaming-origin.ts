import { createHash } from 'node:crypto';
import { createServer as createPlainServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { listening } from './tcp.ts';
import type { Credentials } from './test-authority.ts';

/** An origin with one path for each way in which HTTP/1.1 messages come and end. */
export interface StreamingOrigin extends AsyncDisposable {
  readonly port: number;
  /** Responses that the test goes on with, by path. */
  readonly held: ReadonlyMap<string, ServerResponse>;
  /** Requests whose body nobody reads yet, by path. */
  readonly unread: ReadonlyMap<string, IncomingMessage>;
  /** Bytes handed to the kernel for `/endless`. */
  readonly sentBytes: () => number;
}

/** Starts it with HTTPS, or with HTTP when it has no credentials. */
export async function startStreamingOrigin(credentials?: Credentials): Promise<StreamingOrigin> {
  const sockets = new Set<Duplex>();
  const origin = new Paths();
  const server: Server = credentials === undefined ? createPlainServer() : createServer(credentials);
  server.on('connection', (socket: Duplex) => {
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)));
  });
  server.on('request', (request, response) => origin.receive(request, response));
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    if (request.url === '/refuse-expected') return void response.writeHead(417, { Connection: 'close' }).end('no');
    response.writeContinue();
    origin.receive(request, response);
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    shoutBack(request.headers['sec-websocket-key'] ?? '', socket);
  });
  return {
    port: await listening(server),
    held: origin.held,
    unread: origin.unread,
    sentBytes: () => origin.sentBytes,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

class Paths {
  readonly held = new Map<string, ServerResponse>();
  readonly unread = new Map<string, IncomingMessage>();
  sentBytes = 0;

  receive(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? '';
    if (path === '/unread') {
      this.unread.set(path, request);
      this.held.set(path, response);
      return;
    }
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    request.on('end', () => this.#respond(path, bytes, response));
  }

  #respond(path: string, bytes: number, response: ServerResponse): void {
    switch (path) {
      case '/trailers':
        response.writeHead(200, { Trailer: 'X-Checksum' }).write('one ');
        response.addTrailers({ 'X-Checksum': 'abc' });
        response.end('two');
        return;
      case '/interim':
        response.writeProcessing();
        response.writeEarlyHints({ link: '</style.css>; rel=preload' });
        response.end('at last');
        return;
      case '/204':
        response.writeHead(204).end();
        return;
      case '/304':
        response.writeHead(304, { ETag: '"1"' }).end();
        return;
      case '/events':
        response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: first\n\n');
        this.held.set(path, response);
        return;
      case '/until-close':
        response.useChunkedEncodingByDefault = false;
        response.shouldKeepAlive = false;
        response.write('to ');
        response.end('the end');
        return;
      case '/endless':
        this.#sendEndlessly(response);
        return;
      default:
        response.end(`${path} ${bytes}`);
    }
  }

  #sendEndlessly(response: ServerResponse): void {
    const part = Buffer.alloc(65_536, 1);
    const send = (): void => {
      do this.sentBytes += part.length;
      while (!response.destroyed && response.write(part));
    };
    response.on('drain', send);
    send();
  }
}

/** A WebSocket server in a few lines (RFC 6455): a text of up to 125 bytes comes back in capitals. */
function shoutBack(key: string, socket: Duplex): void {
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'];
  socket.write(`${[...head, `Sec-WebSocket-Accept: ${accept}`].join('\r\n')}\r\n\r\n`);
  socket.on('data', (frame: Buffer) => {
    const [kind = 0, masked = 0] = frame;
    const mask = frame.subarray(2, 6);
    const payload = Buffer.from(frame.subarray(6, 6 + (masked & 0x7f)).map((byte, at) => byte ^ (mask[at % 4] ?? 0)));
    const isClose = kind === 0x88;
    const answer = isClose ? payload : Buffer.from(payload.toString().toUpperCase());
    socket.write(Buffer.concat([Buffer.from([kind, answer.length]), answer]));
    if (isClose) socket.end();
  });
}
