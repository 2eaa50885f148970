import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Side } from '../../src/core/side.ts';
import { splice } from '../../src/net/splice.ts';
import { listening, receiveAll, type SocketPair, sleep, socketPair } from '../support/tcp.ts';

/** The gateway between two pairs: `client.far` and `origin.far` are the peers. */
let client: SocketPair;
let origin: SocketPair;
const idleTimeoutMs = 5_000;

beforeEach(async () => {
  [client, origin] = await Promise.all([socketPair(), socketPair()]);
});
afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
});

describe('splice', () => {
  it('copies both directions and counts them', async () => {
    const seen: [Side, number][] = [];
    const done = splice(client.near, origin.near, { idleTimeoutMs, onBytes: (...chunk) => seen.push(chunk) });
    client.far.end('request');
    origin.far.end('response!');
    const [atOrigin, atClient] = await Promise.all([receiveAll(origin.far), receiveAll(client.far)]);
    expect([atOrigin.toString(), atClient.toString()]).toEqual(['request', 'response!']);
    expect(await done).toEqual({ bytesFromClient: 7, bytesFromOrigin: 9, reason: 'ended' });
    expect(seen.toSorted()).toEqual([
      ['client', 7],
      ['origin', 9],
    ]);
    expect(client.near.destroyed && origin.near.destroyed).toBe(true);
  });

  it('passes an end on as the end of that half only', async () => {
    const done = splice(client.near, origin.near, { idleTimeoutMs });
    client.far.end('all I have to say');
    expect((await receiveAll(origin.far)).toString()).toBe('all I have to say');
    await sleep(50);
    origin.far.write('a late ');
    await sleep(20);
    origin.far.end('answer');
    expect((await receiveAll(client.far)).toString()).toBe('a late answer');
    expect((await done).reason).toBe('ended');
  });

  it('goes on with what was put back, and with a half that has ended already', async () => {
    client.near.unshift(Buffer.from('peeked '));
    client.far.end('rest');
    const done = splice(client.near, origin.near, { idleTimeoutMs });
    expect((await receiveAll(origin.far)).toString()).toBe('peeked rest');
    origin.far.end();
    expect((await done).bytesFromClient).toBe(11);
  });

  it('carries 16 MB without loss while a slow receiver holds the sender back', async () => {
    const sent = Buffer.alloc(16 * 1024 * 1024, 'abcdefghijklmnopq');
    const done = splice(client.near, origin.near, { idleTimeoutMs });
    client.far.end(sent);
    await sleep(100);
    // Nobody reads: what is under way is what sockets and kernel buffers hold.
    expect(origin.near.writableLength).toBeLessThan(1_048_576);
    expect(client.near.readableLength).toBeLessThan(1_048_576);
    const received = await receiveAll(origin.far);
    expect(received.equals(sent)).toBe(true);
    origin.far.end();
    expect(await done).toMatchObject({ bytesFromClient: sent.length, reason: 'ended' });
  });

  it.each([
    ['client', 'CLIENT_GONE'],
    ['origin', 'ORIGIN_GONE'],
  ] as const)('resets the other side when the %s resets', async (side, reason) => {
    const done = splice(client.near, origin.near, { idleTimeoutMs });
    const [resetting, other] = side === 'client' ? [client.far, origin.far] : [origin.far, client.far];
    const error = once(other, 'error');
    other.resume();
    resetting.resetAndDestroy();
    expect(await done).toMatchObject({ reason });
    expect(await error).toMatchObject([{ code: 'ECONNRESET' }]);
  });

  it('ends when no byte has come for the idle time, not while bytes come in one direction', async () => {
    const startMs = performance.now();
    const done = splice(client.near, origin.near, { idleTimeoutMs: 200 });
    origin.far.resume();
    const writing = setInterval(() => client.far.write('.'), 50);
    setTimeout(() => clearInterval(writing), 500);
    expect(await done).toMatchObject({ reason: 'CLIENT_IDLE_TIMEOUT' });
    expect(performance.now() - startMs).toBeGreaterThan(600);
  });

  it('ends a half-closed connection after its own, shorter time', async () => {
    const done = splice(client.near, origin.near, { idleTimeoutMs, halfCloseTimeoutMs: 100 });
    client.far.end();
    const startMs = performance.now();
    expect(await done).toMatchObject({ reason: 'CLIENT_IDLE_TIMEOUT' });
    expect(performance.now() - startMs).toBeLessThan(1_000);
  });

  it('ends at once when a side was gone before', async () => {
    client.near.destroy();
    expect(await splice(client.near, origin.near, { idleTimeoutMs })).toMatchObject({ reason: 'CLIENT_GONE' });
    expect(origin.near.destroyed).toBe(true);
  });
});

describe('many spliced connections', () => {
  it('end with every mix of resets and half-closes, and leave no socket behind', async () => {
    const origins = createServer({ allowHalfOpen: true }, (socket) => misbehave(socket));
    const originPort = await listening(origins);
    const reasons = new Set<string>();
    let open = 0;
    const gateway = createServer({ allowHalfOpen: true }, async (near) => {
      open++;
      const far = connect({ port: originPort, host: '127.0.0.1', allowHalfOpen: true });
      const { reason } = await splice(near, far, { idleTimeoutMs: 300 });
      reasons.add(reason);
      open--;
    });
    const port = await listening(gateway);
    for (let round = 0; round < 5; round++) {
      await Promise.all(Array.from({ length: 30 }, () => misbehavingClient(port)));
    }
    await expect.poll(() => open, { timeout: 5_000 }).toBe(0);
    expect([...reasons].toSorted()).toEqual(['CLIENT_GONE', 'CLIENT_IDLE_TIMEOUT', 'ORIGIN_GONE', 'ended']);
    gateway.close();
    origins.close();
    await Promise.all([once(gateway, 'close'), once(origins, 'close')]);
  });
});

/** Ends, resets, ends when its peer ends, or stays, after more or less bytes. */
function misbehave(socket: Socket): void {
  socket.on('error', () => {}).resume();
  const kind = Math.floor(Math.random() * 4);
  socket.write(Buffer.alloc(Math.floor(1 + Math.random() * 100_000)));
  if (kind === 0) socket.end();
  else if (kind === 1) setTimeout(() => socket.resetAndDestroy(), Math.random() * 20);
  else if (kind === 2) socket.on('end', () => socket.end());
  // Node stops polling a socket whose peer has ended, so that a reset after that goes unnoticed.
  else socket.on('end', () => setTimeout(() => socket.destroy(), 400));
}

async function misbehavingClient(port: number): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  misbehave(socket);
  await once(socket, 'close').catch(() => {});
}
