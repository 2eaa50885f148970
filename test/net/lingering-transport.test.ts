import { once } from 'node:events';
import { connect as connectTls, createSecureContext, TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { LingeringTransport } from '../../src/net/lingering-transport.ts';
import { type SocketPair, socketPair } from '../support/tcp.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

let authority: TestAuthority;
beforeAll(async () => {
  authority = await createTestAuthority();
});

/** TLS over such a connection, and what its server sees: content, the end of TLS, the end of TCP. */
async function secured({ near, far }: SocketPair) {
  const seen: string[] = [];
  far.on('end', () => seen.push('FIN'));
  const secureContext = createSecureContext(await authority.issue({ names: ['localhost'] }));
  const server = new TLSSocket(far, { isServer: true, secureContext, allowHalfOpen: true } as object);
  server.on('error', () => {}).on('end', () => seen.push('close_notify'));
  server.on('data', (bytes: Buffer) => seen.push(bytes.toString()));
  const client = connectTls({ socket: new LingeringTransport(near), ca: authority.rootPem, servername: 'localhost' });
  client.on('error', () => {}).resume();
  await once(client, 'secureConnect');
  return { client, server, seen };
}

describe('a connection that lingers behind the end of TLS on it', () => {
  it('takes what its peer still says, and ends when that has ended', async () => {
    await using pair = await socketPair();
    const { client, server, seen } = await secured(pair);
    const finished = once(client, 'finish');
    client.end('content');
    await expect.poll(() => seen).toEqual(['content', 'close_notify']);
    expect(pair.near.writableEnded).toBe(false);
    server.end();
    await finished;
    await expect.poll(() => pair.near.writableFinished).toBe(true);
  });

  it('ends by itself a moment later', async () => {
    await using pair = await socketPair();
    const { client, seen } = await secured(pair);
    const finished = once(client, 'finish');
    client.end('content');
    await expect.poll(() => seen).toEqual(['content', 'close_notify']);
    expect(pair.near.writableEnded).toBe(false);
    await finished;
    expect(pair.near.writableFinished).toBe(true);
  });

  it.each(['is reset', 'is given up'])('leaves nothing behind where it %s', async (how) => {
    await using pair = await socketPair();
    const { client, seen } = await secured(pair);
    const closed = new Promise((resolve) => client.once('close', resolve));
    client.end('content');
    await expect.poll(() => seen).toEqual(['content', 'close_notify']);
    if (how === 'is reset') pair.far.resetAndDestroy();
    else client.destroy();
    await closed;
    await expect.poll(() => pair.near.destroyed).toBe(true);
  });
});
