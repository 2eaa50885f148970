import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';

/** A TLS origin in a process of its own, so that its CPU is not counted: told certificate and key, it tells its port. */
process.on('message', ({ cert, key }: { readonly cert: string; readonly key: string }) => {
  const server = createServer({ cert, key }, (socket) => {
    socket.on('error', () => {});
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
});
process.on('disconnect', () => process.exit(0));
