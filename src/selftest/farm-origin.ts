import type { Server, Socket } from 'node:net';
import { farmAddress } from './farm.ts';

/** An origin of the farm that runs. */
export interface FarmOrigin extends AsyncDisposable {
  readonly port: number;
  /** Application bytes that reached it so far. */
  readonly bytes: () => number;
}

/** Lets a server listen on a free port of the loopback; its end ends every connection. */
export async function openOrigin(server: Server, bytes: () => number): Promise<FarmOrigin> {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, farmAddress, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    bytes,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
