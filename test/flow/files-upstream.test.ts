import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { PolicyDocument } from '../../src/core/policy.ts';
import { startConnectProxy } from '../support/connect-proxy.ts';
import { startDataPlane } from '../support/data-plane.ts';
import { startScriptedFtpOrigin } from '../support/ftp-origin.ts';
import { published } from '../support/ftp-session.ts';
import { freePort } from '../support/gateway.ts';
import { Typist } from '../support/mail-origin.ts';
import { policyDocument } from '../support/policy.ts';
import { listening } from '../support/tcp.ts';

const ignore = (): void => {};
const hello = 'HTTP/1.1 200 OK\r\n\r\n';

interface Wishes {
  readonly replies?: (dataPort: number) => readonly string[];
  /** What the proxy says in place of a tunnel to the data port. */
  readonly refusal?: string | null;
  readonly policy?: Partial<PolicyDocument> | ((dataPort: number) => Partial<PolicyDocument>);
}

/** A session through the explicit proxy and an upstream proxy, to an origin that answers each EPSV or PASV by the next reply. */
async function openSession({ replies = (port) => [`229 x (|||${port}|)`], refusal, policy }: Wishes = {}) {
  const arrived: Socket[] = [];
  const data = createServer({ allowHalfOpen: true }, (socket) => {
    arrived.push(socket.on('error', ignore));
  });
  const dataPort = await listening(data);
  const texts = replies(dataPort);
  let next = 0;
  const origin = await startScriptedFtpOrigin((line) => {
    if (line === 'EPSV' || line === 'PASV') return texts[Math.min(next++, texts.length - 1)];
    return /^(?:RETR|STOR)/.test(line) ? '150 here' : '200 OK';
  });
  const proxy = await startConnectProxy({
    'alias.test': hello,
    ...(refusal === undefined ? {} : { [`localhost:${dataPort}`]: refusal }),
  });
  const upstream = { proxy: { host: '127.0.0.1', port: proxy.port }, credentials: undefined, except: [] };
  const plane = await startDataPlane({ upstream, ...(typeof policy === 'function' ? policy(dataPort) : policy) });
  const sockets: Socket[] = [];
  const tunnel = (host: string, port: number, localAddress = '127.0.0.1'): Typist => {
    const socket = connect({ port: plane.port, host: '127.0.0.1', localAddress }).on('error', ignore);
    sockets.push(socket);
    const typist = new Typist(socket);
    typist.say(`CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`);
    return typist;
  };
  const typist = tunnel('localhost', origin.port);
  await typist.hears(/200 Connection Established\r\n\r\n220 /);
  typist.say('SYST\r\n');
  await typist.hears(/^215 /);
  return {
    data,
    dataPort,
    arrived,
    origin,
    plane,
    typist,
    tunnel,
    /** Where the proxy was asked to lead to for data. */
    asked: () => proxy.requests.map((head) => head.split(' ')[1]).filter((to) => to !== `localhost:${origin.port}`),
    async asks(line: string, pattern: RegExp): Promise<string> {
      typist.say(`${line}\r\n`);
      return typist.hears(pattern);
    },
    async [Symbol.asyncDispose]() {
      for (const socket of [...sockets, ...arrived]) socket.destroy();
      await plane[Symbol.asyncDispose]();
      await origin[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      data.close();
    },
  };
}

function hostPort(ip: string, port: number): string {
  return `${ip.replaceAll('.', ',')},${port >> 8},${port & 255}`;
}

describe('data connections through an upstream proxy', () => {
  it('go to the name of the control connection, whatever address the origin names', async () => {
    await using session = await openSession({ replies: (port) => [`227 x (${hostPort('192.0.2.1', port)})`] });
    const { dataPort, typist, plane } = session;
    // What the client is to ask for is an address of the gateway, which is nobody else's.
    expect(await session.asks('PASV', /^227 /)).toContain(`(${hostPort('127.0.0.1', dataPort)})`);
    const data = session.tunnel('127.0.0.1', dataPort);
    await data.hears(/200 Connection Established/);
    await session.asks('RETR file', /^150 /);
    session.arrived[0]?.end('content');
    expect(await data.hearsEnd()).toContain('content');
    session.origin.sockets[0]?.write('226 done\r\n');
    await typist.hears(/^226 /);
    expect(session.asked()).toEqual([`localhost:${dataPort}`]);
    expect(plane.transfers[0]).toMatchObject({ bytes: 7, outcome: { complete: true } });
  });

  it('are known by the name that the client used, too', async () => {
    await using session = await openSession();
    await session.asks('EPSV', /^229 /);
    const data = session.tunnel('localhost', session.dataPort);
    await data.hears(/200 Connection Established/);
    await session.asks('STOR file', /^150 /);
    // Once for the session, which dials ahead, and not again for the request of the client.
    expect(session.asked()).toEqual([`localhost:${session.dataPort}`]);
  });

  it.each(['admin', 'listener', 'packets'] as const)('never lead to what is ours at the port (%s)', async (what) => {
    const ports = { admin: await freePort(), packets: await freePort() };
    const policy = {
      admin: { listen: { ip: '127.0.0.1', port: ports.admin } },
      export: { pcapng: undefined, pcapOverIp: { ip: '127.0.0.1', port: ports.packets } },
    };
    await using session = await openSession({ replies: () => [], policy });
    const own = what === 'listener' ? session.plane.port : ports[what];
    session.typist.say('EPSV\r\n');
    await expect.poll(() => session.origin.heard).toContain('EPSV');
    session.origin.sockets[0]?.write(`229 x (|||${own}|)\r\n`);
    await session.typist.hears(what === 'admin' ? /^425 POLICY_ADMIN_ADDRESS / : /^425 POLICY_LOOP /);
    expect(session.asked()).toEqual([]);
    await session.asks('NOOP', /^200 /);
  });

  it.each([
    ['229 x (|||70000|)', /^421 ORIGIN_FTP_MALFORMED /],
    ['229 x (|||1023|)', /^425 ORIGIN_FTP_BOUNCE /],
    ['229 x (|||0|)', /^425 ORIGIN_FTP_BOUNCE /],
    ['227 x (127,0,0,1,0,22)', /^425 ORIGIN_FTP_BOUNCE /],
  ] as const)('are not asked for by %s', async (reply, told) => {
    await using session = await openSession({ replies: () => [reply] });
    await session.asks(reply.startsWith('229') ? 'EPSV' : 'PASV', told);
    expect(session.asked()).toEqual([]);
  });

  it.each([
    ['refuses the port', 'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno', 'the proxy answered HTTP 403'],
    ['answers without end', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`, 'the answer of the proxy is too large'],
    ['answers in another protocol', 'SSH-2.0-x\r\n\r\n', 'the proxy does not speak HTTP'],
    ['closes', '', 'the proxy closed the connection'],
    ['says nothing', null, 'no answer of the proxy in 300 ms'],
  ] as const)(
    'the client is told at once that the proxy %s, and the record says so',
    async (_what, refusal, detail) => {
      const timeouts = { ...policyDocument().timeouts, connectMs: 300 };
      await using session = await openSession({ refusal, policy: { timeouts } });
      const told = await session.asks('EPSV', /^425 /);
      expect(told).toContain(`425 ORIGIN_UPSTREAM_PROXY ${detail}`);
      // No data port was offered: nothing waits for the client, and the next transfer has none.
      await session.asks('RETR file', /^425 Use PASV/);
      session.typist.say('QUIT\r\n');
      await expect.poll(() => session.origin.heard.at(-1)).toBe('QUIT');
      session.typist.leave();
      session.origin.sockets[0]?.end('221 bye\r\n');
      await expect.poll(() => session.plane.flows.map(({ failure }) => failure)).toEqual(['ORIGIN_UPSTREAM_PROXY']);
      expect(session.plane.flows[0]).toMatchObject({ failureDetail: detail, protocol: 'ftp' });
    },
  );

  it('that no client opens are given up with the next one, and with the session', async () => {
    await using session = await openSession();
    for (let round = 1; round <= 3; round += 1) {
      await session.asks('EPSV', /^229 /);
      await expect.poll(() => session.arrived.length).toBe(round);
    }
    const ended = (socket: Socket | undefined): boolean => socket?.readableEnded === true || socket?.destroyed === true;
    for (const socket of session.arrived) socket.resume();
    await expect.poll(() => session.arrived.map(ended)).toEqual([true, true, false]);
    session.typist.leave();
    session.origin.sockets[0]?.destroy();
    await expect.poll(() => ended(session.arrived[2])).toBe(true);
  });

  it('are no way for the same client to ask for the port by another name', async () => {
    await using session = await openSession();
    await session.asks('EPSV', /^229 /);
    expect(await session.tunnel('alias.test', session.dataPort).hearsEnd()).toContain('CLIENT_FTP_HIJACK');
    // Another client may have a port of the same number elsewhere.
    await session.tunnel('alias.test', session.dataPort, '127.0.0.2').hears(/200 Connection Established/);
    await session.tunnel('alias.test', session.dataPort + 1).hears(/200 Connection Established/);
    await session.tunnel('localhost', session.dataPort).hears(/200 Connection Established/);
    // It has come, and the port is as any other.
    await session.tunnel('alias.test', session.dataPort).hears(/200 Connection Established/);
  });

  it('are no matter of what policy refuses of our own address, by which the client asks for them', async () => {
    const refuse = (port: number) => [{ hosts: [], addresses: ['127.0.0.1/32'], ports: [port], reason: 'ours' }];
    const policy = (port: number) => ({ refuse: refuse(port) });
    await using session = await openSession({ policy });
    await session.asks('EPSV', /^229 /);
    await session.tunnel('127.0.0.1', session.dataPort).hears(/200 Connection Established/);
    expect(await session.tunnel('127.0.0.1', session.dataPort).hearsEnd()).toContain('POLICY_REFUSED');
  });

  it('another client that asks for one is refused', async () => {
    await using session = await openSession();
    await session.asks('EPSV', /^229 /);
    const stranger = session.tunnel('localhost', session.dataPort, '127.0.0.2');
    expect(await stranger.hearsEnd()).toContain('CLIENT_FTP_HIJACK');
  });

  it('of a client in active mode: the origin listens, and the gateway connects to both', async () => {
    await using session = await openSession();
    const own = createServer({ allowHalfOpen: true });
    const came = once(own, 'connection') as Promise<[Socket]>;
    const port = await listening(own);
    await session.asks(`EPRT |1|127.0.0.1|${port}|`, /^200 EPRT command successful/);
    await session.asks('STOR file', /^150 /);
    const [client] = await came;
    client.end('content');
    await expect.poll(() => session.arrived.length).toBe(1);
    let got = '';
    session.arrived[0]?.on('data', (bytes: Buffer) => (got += bytes)).once('end', () => session.arrived[0]?.end());
    await expect.poll(() => got).toBe('content');
    session.origin.sockets[0]?.write('226 done\r\n');
    await session.typist.hears(/^226 /);
    expect(session.origin.heard).toEqual(['EPSV', 'STOR file']);
    expect(session.plane.transfers[0]).toMatchObject({ request: { mode: 'active' }, outcome: { complete: true } });
    own.close();
  });

  it('of a published origin with an address of its own: a 227 may name no other', async () => {
    const listeners = [published('127.0.0.1', 0)];
    const origin = await startScriptedFtpOrigin(() => '227 x (192,0,2,1,100,1)');
    await using proxy = await startConnectProxy();
    await using plane = await startDataPlane({
      listeners: listeners.map((listener) => ({ ...listener, origin: { host: '127.0.0.1', port: origin.port } })),
      upstream: { proxy: { host: '127.0.0.1', port: proxy.port }, credentials: undefined, except: [] },
    });
    const socket = connect(plane.port, '127.0.0.1').on('error', ignore);
    const typist = new Typist(socket);
    await typist.hears(/^220 /);
    typist.say('SYST\r\n');
    await typist.hears(/^215 /);
    typist.say('PASV\r\n');
    await typist.hears(/^425 ORIGIN_FTP_BOUNCE /);
    expect(proxy.requests.length).toBe(1);
    socket.destroy();
    await origin[Symbol.asyncDispose]();
  });
});
