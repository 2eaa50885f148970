import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Address } from '../../src/core/endpoint.ts';
import type { FailureCode } from '../../src/core/failures.ts';
import { type DialOptions, dialTcp } from '../../src/net/dial.ts';
import { createResolver } from '../../src/net/resolve.ts';
import { failureCode } from '../support/failure-code.ts';
import { silentPort } from '../support/silent-port.ts';
import { cut, listening, sleep, writeSegments } from '../support/tcp.ts';

const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));
const servers: Server[] = [];
const sockets: Socket[] = [];
let origin: Server;
let port: number;

/** Starts a server that is stopped after the test. */
async function serve(onConnection: (socket: Socket) => void, host?: string): Promise<[Server, number]> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket.on('error', () => {}));
    onConnection(socket);
  });
  servers.push(server);
  return [server, await listening(server, host)];
}

function options(changes: Partial<DialOptions> = {}): DialOptions {
  return { resolve: async () => ['127.0.0.1'], timeoutMs: 2_000, forbidden: () => undefined, ...changes };
}

async function dial(host: string, changes: Partial<DialOptions> = {}, at = port): Promise<Socket> {
  const socket = await dialTcp({ host, port: at }, options(changes));
  sockets.push(socket.on('error', () => {}));
  return socket;
}

beforeEach(async () => {
  [origin, port] = await serve((socket) => socket.write('hello'));
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

const refuse = (code: FailureCode, ...ips: string[]) => ({
  forbidden: ({ ip }: Address) => (ips.includes(ip) ? code : undefined),
});

describe('dialTcp', () => {
  it('connects by name, by address, and by the captured address instead of the name', async () => {
    expect((await dial('origin.example')).remotePort).toBe(port);
    expect((await dial('127.0.0.1', { resolve: async () => [] })).remoteAddress).toBe('127.0.0.1');
    const captured = { host: 'nowhere.example', port, ip: '127.0.0.1' };
    const socket = await dialTcp(captured, options({ resolve: async () => ['192.0.2.9'] }));
    expect(socket.remoteAddress).toBe('127.0.0.1');
    socket.destroy();
  });

  it('hands over a quiet socket that keeps half-open connections', async () => {
    const socket = await dial('origin.example');
    expect(['connect', 'error', 'data'].map((name) => socket.listenerCount(name))).toEqual([0, 1, 0]);
    expect(socket.allowHalfOpen).toBe(true);
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    expect(chunk.toString()).toBe('hello');
  });

  it('names a refused connection, and a name that does not resolve', async () => {
    origin.close();
    await once(origin, 'close');
    await expect(dial('origin.example')).rejects.toMatchObject({
      code: 'ORIGIN_REFUSED',
      detail: `127.0.0.1:${port}: ECONNREFUSED`,
    });
    const resolve = createResolver({ ask: () => Promise.reject(new Error('no such name')) });
    expect(await failureCode(dial('nowhere.example', { resolve }))).toBe('ORIGIN_NAME_UNRESOLVED');
  });

  it.skipIf(!hasIpv6)('goes on to the next address after a refusal', async () => {
    const [only6, port6] = await serve(() => {}, '::1');
    expect(only6.listening).toBe(true);
    const socket = await dial('origin.example', { resolve: async () => ['127.0.0.1', '127.0.0.2', '::1'] }, port6);
    expect(socket.remoteAddress).toBe('::1');
  });

  it('does not wait for an address that does not answer', async () => {
    await using first = await silentPort('127.0.0.3', port);
    await using second = await silentPort('127.0.0.4', first.port);
    const startMs = performance.now();
    const resolve = async () => ['127.0.0.3', '127.0.0.4', '127.0.0.1'];
    const socket = await dial('origin.example', { resolve }, second.port);
    expect(socket.remoteAddress).toBe('127.0.0.1');
    expect(performance.now() - startMs).toBeGreaterThan(400);
    expect(performance.now() - startMs).toBeLessThan(1_500);
  });

  it('gives up in time, and says where it tried', async () => {
    await using full = await silentPort('127.0.0.1');
    const startMs = performance.now();
    await expect(dial('127.0.0.1', { timeoutMs: 300 }, full.port)).rejects.toMatchObject({
      code: 'ORIGIN_CONNECT_TIMEOUT',
      detail: `127.0.0.1:${full.port}: no answer in 300 ms`,
    });
    expect(performance.now() - startMs).toBeLessThan(1_000);
  });

  it('is given up when the client is gone', async () => {
    await using full = await silentPort('127.0.0.1');
    const gone = new AbortController();
    const code = failureCode(dial('127.0.0.1', { signal: gone.signal }, full.port));
    await sleep(20);
    gone.abort();
    expect(await code).toBe('CLIENT_GONE');
    expect(await failureCode(dial('127.0.0.1', { signal: gone.signal }))).toBe('CLIENT_GONE');
  });

  it('asks of every address whether it may be dialled, after resolution', async () => {
    const resolve = async () => ['127.0.0.1', '127.0.0.2'];
    const all = refuse('POLICY_LOOP', '127.0.0.1', '127.0.0.2');
    expect(await failureCode(dial('rebound.example', { resolve, ...all }))).toBe('POLICY_LOOP');
    const mapped = refuse('POLICY_ADMIN_ADDRESS', '127.0.0.1');
    expect(await failureCode(dial('::ffff:127.0.0.1', mapped))).toBe('POLICY_ADMIN_ADDRESS');
    const [, everywhere] = await serve(() => {}, '0.0.0.0');
    const socket = await dial('half.example', { resolve, ...refuse('POLICY_LOOP', '127.0.0.1') }, everywhere);
    expect(socket.remoteAddress).toBe('127.0.0.2');
  });
});

describe('dialTcp through a proxy', () => {
  /** A proxy that answers CONNECT with these bytes; `asked` is what it was asked. */
  async function proxyWith(answer: string | Buffer, then?: (socket: Socket) => void) {
    const asked: string[] = [];
    const [, proxyPort] = await serve((socket) => {
      socket.once('data', (chunk: Buffer) => {
        asked.push(chunk.toString());
        socket.write(answer);
        then?.(socket);
      });
    });
    return { asked, proxy: { proxy: { host: '127.0.0.1', port: proxyPort }, credentials: undefined } };
  }

  describe('at a port of ours', () => {
    const leads = (...ips: string[]) => ({ resolve: async () => ips });
    const ours = (guarded: boolean) => ({
      ...refuse('POLICY_ADMIN_ADDRESS', '0.0.0.0', '127.0.0.66'),
      isGuarded: () => guarded,
    });

    it.each([true, false])('refuses a name that leads to us, also among others (guarded: %s)', async (guarded) => {
      const { asked, proxy } = await proxyWith('HTTP/1.1 200 OK\r\n\r\n');
      for (const ips of [['127.0.0.66'], ['192.0.2.1', '::ffff:127.0.0.66']]) {
        expect(await failureCode(dial('evil.example', { proxy, ...leads(...ips), ...ours(guarded) }))).toBe(
          'POLICY_ADMIN_ADDRESS',
        );
      }
      expect(asked).toEqual([]);
    });

    it('gives the proxy the address that was judged where nobody may reach what is there', async () => {
      const { asked, proxy } = await proxyWith('HTTP/1.1 200 OK\r\n\r\n');
      await dial('far.example', { proxy, ...leads('2001:db8::1'), ...ours(true) }, 8081);
      expect(String(asked[0])).toContain('CONNECT [2001:db8::1]:8081 HTTP/1.1');
      const resolve = createResolver({ ask: () => Promise.reject(new Error('no such name')) });
      expect(await failureCode(dial('split.example', { proxy, resolve, ...ours(true) }))).toBe(
        'ORIGIN_NAME_UNRESOLVED',
      );
    });

    it('leaves a name to the proxy at a listener, where it leads elsewhere or nowhere here', async () => {
      const { asked, proxy } = await proxyWith('HTTP/1.1 200 OK\r\n\r\n');
      await dial('far.example', { proxy, ...leads('192.0.2.1'), ...ours(false) }, 443);
      const resolve = createResolver({ ask: () => Promise.reject(new Error('no such name')) });
      await dial('split.example', { proxy, resolve, ...ours(false) }, 443);
      expect(asked.map((one) => String(one).split('\r\n')[0])).toEqual([
        'CONNECT far.example:443 HTTP/1.1',
        'CONNECT split.example:443 HTTP/1.1',
      ]);
    });
  });

  it('asks for the name, leaves its resolution to the proxy, and keeps what follows the answer', async () => {
    const { asked, proxy } = await proxyWith(
      'HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n220 origin ready\r\n',
    );
    const socket = await dial('origin.example', { proxy, resolve: () => Promise.reject(new Error('asked')) }, 465);
    expect(asked).toEqual(['CONNECT origin.example:465 HTTP/1.1\r\nHost: origin.example:465\r\n\r\n']);
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    expect(chunk.toString()).toBe('220 origin ready\r\n');
  });

  it('takes an answer in one-byte segments', async () => {
    const [, proxyPort] = await serve(async (socket) => {
      await once(socket, 'data');
      await writeSegments(socket, cut(Buffer.from('HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello'), 1));
    });
    const proxy = { proxy: { host: '127.0.0.1', port: proxyPort }, credentials: undefined };
    const socket = await dial('origin.example', { proxy });
    let text = '';
    for await (const chunk of socket) {
      text += chunk;
      if (text === 'hello') break;
    }
    expect(text).toBe('hello');
  });

  it('writes IPv6 in brackets and credentials in Basic', async () => {
    const { asked, proxy } = await proxyWith('HTTP/1.1 200 OK\r\n\r\n');
    await dial('2001:db8::1', { proxy: { ...proxy, credentials: { user: 'gate', password: 'pässword' } } }, 443);
    expect(asked[0]).toBe(
      'CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n' +
        `Proxy-Authorization: Basic ${Buffer.from('gate:pässword').toString('base64')}\r\n\r\n`,
    );
  });

  it.each([
    ['HTTP/1.1 407 Proxy Authentication Required\r\n\r\n', 'the proxy answered HTTP 407'],
    ['HTTP/1.1 503\r\nX: y\r\n\r\n', 'the proxy answered HTTP 503'],
    ['HTTP/2 200\r\n\r\n', 'the proxy does not speak HTTP'],
    ['SSH-2.0-OpenSSH_9\r\n\r\n', 'the proxy does not speak HTTP'],
    [`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(20_000)}`, 'the answer of the proxy is too large'],
  ])('names the failure of %j', async (answer, detail) => {
    const { proxy } = await proxyWith(answer);
    const secret = { ...proxy, credentials: { user: 'u', password: 'secret' } };
    await expect(dial('origin.example', { proxy: secret })).rejects.toMatchObject({
      code: 'ORIGIN_UPSTREAM_PROXY',
      detail,
    });
  });

  it('names a proxy that closes, resets, is silent or is not there', async () => {
    const closing = await proxyWith('HTTP/1.1 200', (socket) => socket.end());
    await expect(dial('origin.example', { proxy: closing.proxy })).rejects.toMatchObject({
      detail: 'the proxy closed the connection',
    });
    const resetting = await proxyWith('', (socket) => socket.resetAndDestroy());
    expect(await failureCode(dial('origin.example', { proxy: resetting.proxy }))).toBe('ORIGIN_UPSTREAM_PROXY');
    const silent = await proxyWith('HTTP/1.1');
    await expect(dial('origin.example', { proxy: silent.proxy, timeoutMs: 100 })).rejects.toMatchObject({
      detail: 'no answer of the proxy in 100 ms',
    });
    const nowhere = { proxy: { host: '127.0.0.1', port: 1 }, credentials: undefined };
    await expect(dial('origin.example', { proxy: nowhere })).rejects.toMatchObject({
      code: 'ORIGIN_UPSTREAM_PROXY',
      detail: 'ORIGIN_REFUSED: 127.0.0.1:1: ECONNREFUSED',
    });
  });

  it('never asks it for what is forbidden, nor goes to itself as proxy', async () => {
    const { asked, proxy } = await proxyWith('HTTP/1.1 200 OK\r\n\r\n');
    const admin = refuse('POLICY_ADMIN_ADDRESS', '10.0.0.1');
    expect(await failureCode(dial('10.0.0.1', { proxy, ...admin }))).toBe('POLICY_ADMIN_ADDRESS');
    expect(await failureCode(dial('origin.example', { proxy, ...refuse('POLICY_LOOP', '127.0.0.1') }))).toBe(
      'POLICY_LOOP',
    );
    expect(asked).toEqual([]);
  });
});
