import { Duplex } from 'node:stream';
import { connect as connectTls, createSecureContext } from 'node:tls';
import { expect, it } from 'vitest';
import { acceptClient } from '../../src/flow/client-leg.ts';
import type { LeafContext } from '../../src/flow/leaf-store.ts';
import { certificateFactsOf } from '../../src/pki/certificate-facts.ts';
import { socketPair } from '../support/tcp.ts';
import { type Credentials, createTestAuthority } from '../support/test-authority.ts';

it.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'a client leg of %s closes when its client breaks TLS later',
  async (version) => {
    const authority = await createTestAuthority();
    const credentials = await authority.issue({ names: ['localhost'] });
    await using pair = await socketPair();
    const accepted = acceptClient({
      transport: pair.near,
      leaf: leafOf(credentials),
      alpn: undefined,
      serverName: 'localhost',
      timeoutMs: 5_000,
    });
    // TLS over a stream of our own, so that other bytes can be slipped under it.
    const under = new Duplex({ read() {}, write: (chunk, _encoding, done) => void pair.far.write(chunk, done) });
    pair.far.on('data', (chunk) => under.push(chunk));
    const client = connectTls({ socket: under, ca: authority.rootPem, servername: 'localhost', maxVersion: version });
    client.on('error', () => {});
    const { socket } = await accepted;
    const broken = new Promise((resolve) => socket.on('error', resolve));
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.resume();
    pair.far.write(Buffer.from('170303001000112233445566778899aabbccddeeff', 'hex'));
    expect(await broken).toMatchObject({ code: expect.stringContaining('ERR_SSL') });
    await closed;
    client.destroy();
  },
);

it('a client that closes in the handshake without an alert is noticed at once', async () => {
  const authority = await createTestAuthority();
  const credentials = await authority.issue({ names: ['localhost'] });
  await using pair = await socketPair();
  const accepted = acceptClient({
    transport: pair.near,
    leaf: leafOf(credentials),
    alpn: undefined,
    serverName: 'localhost',
    timeoutMs: 600_000,
  });
  // It trusts another root, and Node closes such a connection without a word.
  const client = connectTls({ socket: pair.far, servername: 'localhost', ca: (await createTestAuthority()).rootPem });
  client.on('error', () => {});
  await expect(accepted).rejects.toMatchObject({ code: 'CLIENT_GONE' });
  client.destroy();
});

function leafOf(credentials: Credentials): LeafContext {
  const context = createSecureContext(credentials);
  const certificate = certificateFactsOf(credentials.cert);
  const leaf: LeafContext = { context, certificate, withoutTickets: () => context, bound: () => leaf };
  return leaf;
}
