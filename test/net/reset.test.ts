import { once } from 'node:events';
import { createServer } from 'node:net';
import { connect, createSecureContext, TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { resetConnection } from '../../src/net/reset.ts';
import { selfSigned } from '../support/self-signed.ts';
import { listening, socketPair } from '../support/tcp.ts';

describe('resetConnection', () => {
  it('is seen as a reset by the peer, whatever is unsent', async () => {
    await using pair = await socketPair();
    pair.near.write(Buffer.alloc(8_000_000));
    const error = once(pair.far, 'error');
    resetConnection(pair.near);
    pair.far.resume();
    expect(await error).toMatchObject([{ code: 'ECONNRESET' }]);
  });

  it('does nothing to a connection that is closed', async () => {
    await using pair = await socketPair();
    pair.near.destroy();
    await once(pair.near, 'close');
    resetConnection(pair.near);
    resetConnection(pair.near);
  });

  it('survives a storm: TLS sockets reset in the middle of handshakes, reads and writes', async () => {
    const context = createSecureContext(await selfSigned('origin.example'));
    let resets = 0;
    const server = createServer({ allowHalfOpen: true }, (transport) => {
      const secure = new TLSSocket(transport, { isServer: true, secureContext: context });
      transport.on('error', () => {});
      secure.on('error', () => {});
      const reset = (): void => {
        resets++;
        resetConnection(transport, secure);
      };
      const kind = resets % 4;
      if (kind === 0) setImmediate(reset);
      else if (kind === 1) secure.once('data', reset);
      else if (kind === 2) secure.once('data', () => secure.write(Buffer.alloc(1_000_000), reset) && reset());
      else
        secure.once('data', () => {
          secure.end(Buffer.alloc(1_000_000));
          setImmediate(reset);
        });
      // A peer that has gone before needs its reset too, or the storm would wait for it.
      secure.once('close', () => kind !== 0 && resetConnection(transport, secure));
    });
    const port = await listening(server);
    const seen: Record<string, number> = {};
    const storm = async (): Promise<void> => {
      for (let count = 0; count < 40; count++) {
        const client = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
        client.on('error', ({ code = '' }: NodeJS.ErrnoException) => {
          seen[code] = (seen[code] ?? 0) + 1;
        });
        client.once('secureConnect', () => client.write(Buffer.alloc(100_000)));
        client.resume();
        await new Promise((resolve) => client.once('close', resolve));
      }
    };
    await Promise.all(Array.from({ length: 8 }, storm));
    expect(resets).toBeGreaterThan(300);
    expect(seen.ECONNRESET).toBeGreaterThan(100);
    server.close();
    await once(server, 'close');
  });
});
