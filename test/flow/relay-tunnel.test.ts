import { createServer as createTcpServer } from 'node:net';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { startDataPlane } from '../support/data-plane.ts';
import { startOrigin } from '../support/https-origin.ts';
import { policyDocument } from '../support/policy.ts';
import { listening, receiveAll, sleep } from '../support/tcp.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { openTunnel } from '../support/tunnel.ts';

/** An origin that keeps what it is told and says nothing. */
async function silentOrigin() {
  let heard = '';
  const server = createTcpServer((socket) => {
    socket.on('error', () => {}).on('data', (chunk) => (heard += chunk.toString('latin1')));
  });
  return { server, port: await listening(server), heard: () => heard };
}

/** TLS 1.2 offered in the framing of SSL 2.0 (RFC 5246 appendix E.2). */
const oldHello = Buffer.concat([
  Buffer.from('802f0103030006000000200000 2f0000ff'.replace(' ', ''), 'hex'),
  Buffer.alloc(32, 7),
]);

describe('what would pass unread as something else', () => {
  it.each([
    ['TLS 1.2 in SSL 2.0 framing', oldHello, 'CLIENT_HELLO_MALFORMED', '\x15\x03\x03\x00\x02\x02\x32'],
    [
      'TLS behind a record of another kind',
      Buffer.from('1403030001011603', 'hex'),
      'CLIENT_HELLO_MALFORMED',
      '\x15\x03',
    ],
    [
      'HTTP/2 without TLS where it is switched off',
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      'CLIENT_HTTP_VERSION',
      'HTTP/1.1 505',
    ],
  ])('%s is refused', async (_what, opening, code, answer) => {
    const origin = await silentOrigin();
    await using plane = await startDataPlane({ http: { ...policyDocument().http, h2: false } });
    const client = await openTunnel(plane.port, `127.0.0.1:${origin.port}`);
    client.write(opening);
    expect((await receiveAll(client.resume())).toString('latin1')).toMatch(
      new RegExp(`^${answer.replace('.', '\\.')}`),
    );
    await expect.poll(() => plane.flows.map(({ failure }) => failure)).toEqual([code]);
    expect(origin.heard()).toBe('');
    client.destroy();
    origin.server.close();
  });
});

describe('a protocol of its own that client and origin agree on in TLS', () => {
  async function speak(opaque: 'allow' | 'refuse', words: string) {
    const authority = await createTestAuthority();
    let heard = '';
    const origin = createTlsServer(
      { ...(await authority.issue({ names: ['localhost'] })), ALPNProtocols: ['own/1'] },
      (socket: TLSSocket) =>
        socket
          .on('error', () => {})
          .on('data', (chunk) => {
            heard += String(chunk);
            socket.destroy();
          }),
    );
    const port = await listening(origin);
    await using plane = await startDataPlane({ originTrust: { rootsPem: [authority.rootPem] }, opaque });
    const socket = await openTunnel(plane.port, `localhost:${port}`);
    const options = { socket, servername: 'localhost', ca: plane.ca, ALPNProtocols: ['own/1'] };
    const client = connectTls(options, () => client.write(words));
    client.on('error', () => {});
    await expect.poll(() => heard !== '' || client.destroyed, { timeout: 5_000 }).toBe(true);
    await sleep(50);
    client.destroy();
    await expect.poll(() => plane.flows.length).toBe(1);
    origin.close();
    const [flow] = plane.flows;
    return { heard, protocol: flow?.protocol, failure: flow?.failure, alpn: client.alpnProtocol };
  }

  it('passes unread where policy lets such protocols pass', async () => {
    expect(await speak('allow', '\xaa\xbb')).toMatchObject({
      heard: expect.stringMatching(/./),
      protocol: 'own/1',
      alpn: 'own/1',
    });
  });

  it('is refused where policy refuses them', async () => {
    expect(await speak('refuse', '\xaa\xbb')).toMatchObject({ heard: '', failure: 'CLIENT_NOT_TLS' });
  });

  it('is read as HTTP when it is HTTP', async () => {
    expect(await speak('refuse', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')).toMatchObject({ protocol: 'http/1.1' });
  });
});

describe('a bypass that only the server name speaks for', () => {
  async function connectWith(servername: string, address: string) {
    const authority = await createTestAuthority();
    const there = await startOrigin(await authority.issue({ names: [servername] }), undefined, {}, '127.0.0.1');
    const elsewhere = createTcpServer((socket) => socket.on('error', () => {}).destroy());
    await new Promise<void>((resolve) => elsewhere.listen(there.port, '127.0.0.9', resolve));
    await using plane = await startDataPlane({
      bypass: [{ hosts: [servername], addresses: [], assets: [], reason: 'privacy' }],
    });
    const socket = await openTunnel(plane.port, `${address}:${there.port}`);
    const client = connectTls({ socket, servername, ca: authority.rootPem });
    const isAuthentic = await new Promise((resolve) => {
      client.on('secureConnect', () => resolve(true)).on('error', () => resolve(false));
    });
    client.destroy();
    await expect.poll(() => plane.flows.length).toBe(1);
    elsewhere.close();
    await there[Symbol.asyncDispose]();
    return { isAuthentic, origin: plane.flows[0]?.origin?.ip, decision: plane.flows[0]?.decision };
  }

  it('holds where the name leads to the address', async () => {
    const outcome = await connectWith('localhost', '127.0.0.1');
    expect(outcome).toMatchObject({ isAuthentic: true, origin: '127.0.0.1', decision: { kind: 'bypass' } });
  });

  it('leads to where the name leads, not to the address', async () => {
    const outcome = await connectWith('localhost', '127.0.0.9');
    expect(outcome).toMatchObject({ isAuthentic: true, origin: '127.0.0.1', decision: { kind: 'bypass' } });
  });

  it('is none where the name leads nowhere', async () => {
    const outcome = await connectWith('exempt.invalid', '127.0.0.1');
    expect(outcome).toMatchObject({ isAuthentic: false, decision: { kind: 'intercept' } });
  });
});

it('refuses a host of plain HTTP whose connection named only an address', async () => {
  await using origin = await startOrigin(undefined);
  await using plane = await startDataPlane({
    refuse: [{ hosts: ['*.ads.example'], addresses: [], ports: [], reason: 'not for work' }],
  });
  const client = await openTunnel(plane.port, `127.0.0.1:${origin.port}`);
  client.write('GET / HTTP/1.1\r\nHost: x.ads.example\r\n\r\n');
  expect((await receiveAll(client.resume())).toString('latin1')).toMatch(/^HTTP\/1\.1 403 [\s\S]*not for work/);
  expect(origin.requests).toEqual([]);
  client.destroy();
});
