import { createServer, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { listening } from './tcp.ts';
import type { Credentials } from './test-authority.ts';

/** An origin that does as a test tells it, byte by byte. */
export interface RawOrigin extends AsyncDisposable {
  readonly port: number;
  /** What it has received over all connections, decrypted. */
  readonly received: () => string;
}

/** One connection to it. `transport` is the TCP connection under `socket`, or the same without TLS. */
export interface RawConnection {
  readonly socket: Socket;
  readonly transport: Socket;
}

/**
 * Starts it; with credentials it speaks TLS. `onRequest` is called with the first bytes of each connection, `onAccept`
 * when TCP is there.
 */
export async function startRawOrigin(
  credentials: Credentials | undefined,
  onRequest: (connection: RawConnection, request: string) => void,
  onAccept: (transport: Socket) => void = () => {},
): Promise<RawOrigin> {
  const open = new Set<Socket>();
  let received = '';
  const context = credentials === undefined ? undefined : createSecureContext({ ...credentials });
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (transport) => {
    open.add(transport);
    transport.on('error', () => {}).on('close', () => open.delete(transport));
    onAccept(transport);
    if (transport.destroyed) return;
    const socket =
      context === undefined ? transport : new TLSSocket(transport, { isServer: true, secureContext: context });
    socket.on('error', () => {}).on('_tlsError', () => transport.destroy());
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
    });
    socket.once('data', (chunk: Buffer) => onRequest({ socket, transport }, chunk.toString('latin1')));
    socket.on('end', () => socket.end());
  });
  const port = await listening(server);
  return {
    port,
    received: () => received,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
