import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A pair of connected TCP sockets over the loopback, and how to be rid of them. Errors are swallowed: tests look at events. */
export interface SocketPair extends AsyncDisposable {
  readonly near: Socket;
  readonly far: Socket;
}

/** Connects a socket pair: `near` as a gateway accepts it (half-open allowed), `far` as the peer. */
export async function socketPair(): Promise<SocketPair> {
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  const port = await listening(server);
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  await once(far, 'connect');
  const [near] = await accepted;
  server.close();
  for (const socket of [near, far]) socket.on('error', () => {});
  return {
    near,
    far,
    async [Symbol.asyncDispose]() {
      near.destroy();
      far.destroy();
    },
  };
}

/** Listens on a free port of the loopback and gives its number. */
export async function listening(server: Server, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}

/** Writes bytes so that each call becomes a segment of its own, as far as the kernel lets it. */
export async function writeSegments(socket: Socket, segments: Iterable<Buffer>): Promise<void> {
  for (const segment of segments) {
    socket.write(segment);
    await turn();
  }
}

/** Cuts bytes into segments of a size. */
export function* cut(bytes: Buffer, size: number): Iterable<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Lets the event loop go around once. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Lets some time pass. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Collects what a socket receives until it ends. */
export async function receiveAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await Promise.race([once(socket, 'end'), once(socket, 'close')]);
  return Buffer.concat(chunks);
}
