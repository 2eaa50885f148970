import { once } from 'node:events';
import { connect, createServer as createTcpServer } from 'node:net';
import { createServer } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { parseClientHello } from '../../src/codec/client-hello.ts';
import { limits } from '../../src/core/limits.ts';
import { KeyShareMemory } from '../../src/flow/key-share-memory.ts';
import { startDataPlane } from '../support/data-plane.ts';
import { listening } from '../support/tcp.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { openTlsTunnel } from '../support/tunnel.ts';

describe('the memory of key shares', () => {
  it('holds for an origin alone, until its time is over or the hybrid group was chosen', () => {
    const memory = new KeyShareMemory();
    expect(memory.prefersClassical('a', 0)).toBe(false);
    memory.learn('a', 'X25519', 1_000);
    memory.learn('b', 'X25519MLKEM768', 1_000);
    expect([memory.prefersClassical('a', 1_001), memory.prefersClassical('b', 1_001)]).toEqual([true, false]);
    // A handshake without the hybrid share proves nothing anew.
    memory.learn('a', 'X25519', limits.keyShareMemoryMs);
    expect(memory.prefersClassical('a', limits.keyShareMemoryMs + 1_000)).toBe(false);
    memory.learn('a', 'X25519', limits.keyShareMemoryMs + 1_000);
    memory.learn('a', 'X25519MLKEM768', limits.keyShareMemoryMs + 1_001);
    expect(memory.prefersClassical('a', limits.keyShareMemoryMs + 1_002)).toBe(false);
  });

  it('forgets the origin that it learned of first when it is full', () => {
    const memory = new KeyShareMemory();
    for (let index = 0; index <= limits.originMemoryEntries; index += 1) memory.learn(`o${index}`, 'X25519', 0);
    expect([memory.prefersClassical('o0', 1), memory.prefersClassical('o1', 1)]).toEqual([false, true]);
  });
});

const hybridGroup = 0x11ec;
/** The group and the length of its share: what a key_share entry begins with. */
const hybridShare = Buffer.from('11ec04c0', 'hex');

/** What three flows in turn sent to an origin that knows these groups: whether each offered the hybrid one and sent its share. */
async function flightsTo(groups: string) {
  const authority = await createTestAuthority();
  const server = createServer({ ...(await authority.issue({ names: ['localhost'] })), ecdhCurve: groups }, (socket) =>
    socket.on('error', () => {}).resume(),
  );
  const behind = await listening(server);
  const flights: { offered: boolean; sent: boolean }[] = [];
  const front = createTcpServer((socket) => {
    const onward = connect(behind, '127.0.0.1');
    for (const leg of [socket, onward]) leg.on('error', () => {});
    let seen = Buffer.alloc(0);
    const read = (chunk: Buffer): void => {
      seen = Buffer.concat([seen, chunk]);
      const parse = parseClientHello(seen);
      if (parse.kind !== 'complete') return;
      socket.off('data', read);
      flights.push({ offered: parse.hello.groups.includes(hybridGroup), sent: parse.helloBytes.includes(hybridShare) });
    };
    socket.on('data', read).pipe(onward).pipe(socket);
  });
  const port = await listening(front);
  await using plane = await startDataPlane({ originTrust: { rootsPem: [authority.rootPem] } });
  for (let flow = 0; flow < 3; flow += 1) {
    const client = await openTlsTunnel(plane.port, `localhost:${port}`, { ca: plane.ca, ALPNProtocols: [] });
    client.resume().end();
    await once(client, 'close');
  }
  front.close();
  server.close();
  return flights;
}

describe('an origin', () => {
  const both = { offered: true, sent: true };

  it('without the hybrid group is sent its share once and offered it ever after', async () => {
    const classical = { offered: true, sent: false };
    expect(await flightsTo('X25519')).toEqual([both, classical, classical]);
  });

  it('with the hybrid group is sent its share each time', async () => {
    expect(await flightsTo('X25519MLKEM768:X25519')).toEqual([both, both, both]);
  });
});
