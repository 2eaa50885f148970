import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/core/limits.ts';
import type { PolicyDocument, ReverseListener } from '../../src/core/policy.ts';
import { startDataPlane } from '../support/data-plane.ts';
import { startOrigin } from '../support/https-origin.ts';
import { listening } from '../support/tcp.ts';
import { createTestAuthority } from '../support/test-authority.ts';

function reverseTo(port: number): Partial<PolicyDocument> {
  const listener: ReverseListener = {
    id: 'reverse:test',
    mode: 'reverse',
    listen: { ip: '127.0.0.1', port: 0 },
    proxyProtocol: 'off',
    trustedProxies: [],
    origin: { host: '127.0.0.1', port },
    originTls: 'as-client',
    originName: 'localhost',
    asset: undefined,
    certificate: undefined,
    sendProxyProtocol: 'off',
  };
  return { listeners: [listener] };
}

/** Milliseconds until a client that says nothing is greeted. */
async function greetedAfter(port: number): Promise<number> {
  const startMs = performance.now();
  const client = connect(port, '127.0.0.1');
  await once(client, 'data');
  client.destroy();
  return performance.now() - startMs;
}

describe('an origin that greets', () => {
  it('is dialled at once from the second time on', async () => {
    const origin = createServer((socket) => socket.on('error', () => {}).write('220 mx.example.test ESMTP\r\n'));
    await using plane = await startDataPlane(reverseTo(await listening(origin)));
    expect(await greetedAfter(plane.port)).toBeGreaterThanOrEqual(limits.silenceMs - 1);
    const later: number[] = [];
    for (let index = 0; index < 5; index += 1) later.push(await greetedAfter(plane.port));
    // A busy machine may hold one of them up.
    expect(Math.min(...later)).toBeLessThan(limits.silenceMs);
    origin.close();
  });

  it('is intercepted all the same where a client speaks TLS first', async () => {
    const authority = await createTestAuthority();
    await using secure = await startOrigin(await authority.issue({ names: ['localhost'] }));
    let isGreeting = true;
    // The same address greets today and serves TLS tomorrow.
    const origin = createServer((socket) => {
      socket.on('error', () => {});
      if (isGreeting) return void socket.write('220 mx.example.test ESMTP\r\n');
      const through = connect(secure.port, '127.0.0.1').on('error', () => {});
      socket.pipe(through).pipe(socket);
    });
    const wishes = reverseTo(await listening(origin));
    await using plane = await startDataPlane({ ...wishes, originTrust: { rootsPem: [authority.rootPem] } });
    await greetedAfter(plane.port);
    isGreeting = false;
    const raw = connect(plane.port, '127.0.0.1');
    // Later than what comes with the connection: the origin is dialled before.
    await new Promise((resolve) => setTimeout(resolve, 50));
    const client = connectTls({ socket: raw, servername: 'localhost', ca: plane.ca });
    await once(client, 'secureConnect');
    client.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    const [answer] = (await once(client, 'data')) as [Buffer];
    expect(String(answer)).toMatch(/^HTTP\/1\.1 200 /);
    client.destroy();
    await expect.poll(() => plane.flows.filter(({ decrypted }) => decrypted).length).toBe(1);
    origin.close();
  });
});
