import { once } from 'node:events';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { connect, createSecureContext, TLSSocket } from 'node:tls';
import { expect, it } from 'vitest';
import { ClearableTransport } from '../../src/net/clearable-transport.ts';
import { listening } from '../support/tcp.ts';
import { createTestAuthority } from '../support/test-authority.ts';

/** A peer that ends TLS on its side and leaves the connection as it is. */
class Leaving extends ClearableTransport {
  override _final(done: () => void): void {
    done();
  }
}

it('a peer that sends without end while TLS cannot end is not read without bound', async () => {
  const authority = await createTestAuthority();
  const context = createSecureContext(await authority.issue({ names: ['localhost'] }));
  const server = createServer();
  const port = await listening(server);
  const peer = connectTcp(port, '127.0.0.1');
  const [socket] = (await once(server, 'connection')) as [Socket];
  const transport = new ClearableTransport(socket);
  const secure = new TLSSocket(transport, { isServer: true, secureContext: context });
  transport.watch(secure);
  const other = connect({ socket: new Leaving(peer), ca: authority.rootPem, servername: 'localhost' });
  for (const stream of [secure, other, peer, socket]) stream.on('error', () => {});
  await Promise.all([once(secure, 'secure'), once(other, 'secureConnect')]);
  // It reads nothing more, so that our end of TLS never leaves.
  peer.removeAllListeners('data').pause();
  secure.pause();
  while (socket.writableLength === 0) {
    secure.write(Buffer.alloc(65_536));
    await new Promise((resolve) => setImmediate(resolve));
  }
  other.end();
  peer.write(Buffer.alloc(4_194_304, 'NOOP\r\n'));
  expect(await transport.clear(secure, 1_000)).toEqual({ kind: 'late' });
  expect(socket.bytesRead).toBeLessThan(524_288);
  peer.destroy();
  server.close();
});
