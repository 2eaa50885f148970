import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { resetConnection } from '../../src/net/reset.ts';
import { freePort } from '../support/gateway.ts';
import { type HostileGround, openHostileGround } from '../support/hostile-ground.ts';
import { type Heard, talk } from '../support/raw-client.ts';
import { type RawConnection, type RawOrigin, startRawOrigin } from '../support/raw-origin.ts';
import { failureOf, member } from '../support/record-fields.ts';
import { hasProgram, type Ran, run } from '../support/run.ts';
import { silentPort } from '../support/silent-port.ts';
import { sleep } from '../support/tcp.ts';

let ground: HostileGround;
let origin: RawOrigin;

beforeAll(async () => {
  ground = await openHostileGround();
  origin = await startRawOrigin(ground.credentials, answer);
});
afterAll(async () => {
  await ground?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
});
afterEach(() => {
  expect(ground.steady.harm()).toEqual([]);
  expect(ground.gateway.log()).not.toContain('GATEWAY_RELAY_CRASHED');
});

const ok = 'HTTP/1.1 200 OK\r\n';
const length = 'Content-Length: 10\r\n\r\n';
const chunked = 'Transfer-Encoding: chunked\r\n\r\n';

/** Answers by path, in the ways that no origin should. */
const answers: Readonly<Record<string, string>> = {
  '/length-and-chunks': `${ok}Content-Length: 5\r\n${chunked}5\r\nhello\r\n0\r\n\r\n`,
  '/two-lengths': `${ok}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`,
  '/negative-length': `${ok}Content-Length: -5\r\n\r\nhello`,
  '/bare-lf': 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello',
  '/folded': `${ok}X: a\r\n b\r\n${length}0123456789`,
  '/blank-before-colon': `${ok}Content-Length : 5\r\n\r\nhello`,
  '/nul': `${ok}X: \0\r\n${length}0123456789`,
  '/unknown-coding': `${ok}Transfer-Encoding: gzip, foo\r\n\r\nhello`,
  '/switch-unasked': 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n',
  '/no-http': 'Hello, this is no HTTP at all\r\n\r\n',
  '/no-status': 'HTTP/1.1 OK\r\n\r\n',
  '/head-bomb': `${ok}X: ${'x'.repeat(70_000)}\r\n${length}0123456789`,
  '/many-fields': `${ok}${'a:b\r\n'.repeat(10_000)}${length}0123456789`,
  '/flood-of-1xx': `${'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(20)}${ok}${length}0123456789`,
  '/bad-chunk-size': `${ok}${chunked}zz\r\nhello\r\n0\r\n\r\n`,
  '/huge-chunk-size': `${ok}${chunked}ffffffffffffffffff\r\nhello`,
  '/short-length': `${ok}${length}0123`,
  '/short-chunks': `${ok}${chunked}a\r\n0123`,
  '/unended-chunks': `${ok}${chunked}4\r\n0123\r\n`,
  '/half-a-head': 'HTTP/1.1 200 OK\r\nContent-Le',
  '/nothing': '',
  '/two-answers': `${ok}${length}0123456789${ok}${length}9876543210`,
};

function answer({ socket, transport }: RawConnection, request: string): void {
  const [, way = '', path = ''] = /^GET \/(end|reset|stall)(\/\S*)/.exec(request) ?? [];
  socket.write(answers[path] ?? '', () => {
    if (way === 'end') socket.end();
    // Time for what was written to arrive: a reset destroys what is still on its way.
    else if (way === 'reset') void sleep(50).then(() => resetConnection(transport, socket));
  });
}

const ask = (port: number, path: string, from: string, ...args: readonly string[]): Promise<Ran> =>
  run('curl', [
    ...['-sS', '--max-time', '10', '--cacert', ground.gateway.caFile, '--interface', from, ...args],
    ...['--proxy', `http://127.0.0.1:${ground.port}`, '-D', '-', `https://localhost:${port}${path}`],
  ]);
/** The gateway's own answer behind that to CONNECT. */
const page = ({ stdout }: Ran) => ({
  status: /\r\n\r\nHTTP\/1.1 (\d+)/.exec(stdout)?.[1],
  code: /^Daylight-Failure: (\w+)/m.exec(stdout)?.[1],
});

describe.runIf(hasProgram('curl'))('an origin', () => {
  const refused: readonly [path: string, code: string][] = [
    ['/length-and-chunks', 'ORIGIN_HTTP_AMBIGUOUS'],
    ['/two-lengths', 'ORIGIN_HTTP_AMBIGUOUS'],
    ['/negative-length', 'ORIGIN_HTTP_AMBIGUOUS'],
    ['/bare-lf', 'ORIGIN_HTTP_AMBIGUOUS'],
    ['/folded', 'ORIGIN_HTTP_AMBIGUOUS'],
    ['/blank-before-colon', 'ORIGIN_HTTP_AMBIGUOUS'],
    ['/nul', 'ORIGIN_HTTP_AMBIGUOUS'],
    ['/unknown-coding', 'ORIGIN_HTTP_AMBIGUOUS'],
    ['/switch-unasked', 'ORIGIN_HTTP_AMBIGUOUS'],
    ['/no-http', 'ORIGIN_HTTP_MALFORMED'],
    ['/no-status', 'ORIGIN_HTTP_MALFORMED'],
    ['/head-bomb', 'ORIGIN_HTTP_HEAD_TOO_LARGE'],
    ['/many-fields', 'ORIGIN_HTTP_HEAD_TOO_LARGE'],
    ['/bad-chunk-size', 'ORIGIN_HTTP_MALFORMED'],
    ['/half-a-head', 'ORIGIN_TRUNCATED'],
    ['/nothing', 'ORIGIN_GONE'],
  ];
  it.each(refused)('that answers with %s is answered for with 502, %s', async (path, code) => {
    const from = ground.address();
    expect(page(await ask(origin.port, `/end${path}`, from))).toEqual({ status: '502', code });
    expect(await ground.failureFrom(from)).toBe(code);
    const [transaction] = await ground.transactionsFrom(from);
    expect(failureOf(transaction)).toBe(code);
  });

  it('that floods with 1xx is cut off with 502', async () => {
    const from = ground.address();
    const { stdout } = await ask(origin.port, '/end/flood-of-1xx', from);
    expect(stdout).toContain('Daylight-Failure: ORIGIN_HTTP_MALFORMED');
    expect(await ground.failureFrom(from)).toBe('ORIGIN_HTTP_MALFORMED');
  });

  const cut: readonly [what: string, path: string, code: string][] = [
    ['ends within its length', '/end/short-length', 'ORIGIN_TRUNCATED'],
    ['ends within a chunk', '/end/short-chunks', 'ORIGIN_TRUNCATED'],
    ['ends without a last chunk', '/end/unended-chunks', 'ORIGIN_TRUNCATED'],
    ['resets within its length', '/reset/short-length', 'ORIGIN_TRUNCATED'],
    ['resets within chunks', '/reset/unended-chunks', 'ORIGIN_TRUNCATED'],
    ['stalls within its length', '/stall/short-length', 'ORIGIN_IDLE_TIMEOUT'],
    ['stalls within chunks', '/stall/short-chunks', 'ORIGIN_IDLE_TIMEOUT'],
  ];
  it.concurrent.each(cut)('that %s is seen as cut by the client', async (_what, path, code) => {
    const from = ground.address();
    // 18 is a partial file, 56 a reset, which may overtake what was sent before it.
    expect([18, 56]).toContain((await ask(origin.port, path, from)).code);
    expect(await ground.failureFrom(from)).toBe(code);
    const [transaction] = await ground.transactionsFrom(from);
    expect(failureOf(transaction)).toBe(code);
    expect(member(transaction, 'http_response', 'code')).toBe(200);
  });

  it('that sends a chunk size beyond reason after its head is cut off', async () => {
    const from = ground.address();
    const { code } = await ask(origin.port, '/stall/huge-chunk-size', from);
    expect([22, 56, 18, 0]).toContain(code);
    expect(await ground.failureFrom(from)).toMatch(/^ORIGIN_HTTP_/);
  });

  it('that answers twice is closed after the first answer', async () => {
    const from = ground.address();
    const { code, stdout } = await ask(origin.port, '/stall/two-answers', from);
    expect({ code, body: stdout.split('\r\n\r\n').at(-1) }).toEqual({ code: 0, body: '0123456789' });
    expect(await ground.failureFrom(from)).toBe('ORIGIN_HTTP_UNSOLICITED');
  });

  it.concurrent('that takes the request and never answers gets the client a 504 after the idle limit', async () => {
    const from = ground.address();
    expect(page(await ask(origin.port, '/stall/nothing', from))).toEqual({
      status: '504',
      code: 'ORIGIN_IDLE_TIMEOUT',
    });
    expect(await ground.failureFrom(from)).toBe('ORIGIN_IDLE_TIMEOUT');
  });

  const handshakes: readonly [what: string, accept: (transport: RawConnection['transport']) => void, code: string][] = [
    ['ends at once', (transport) => transport.end(), 'ORIGIN_GONE'],
    ['resets at the hello', (transport) => transport.once('data', () => transport.resetAndDestroy()), 'ORIGIN_GONE'],
    ['ends at the hello', (transport) => transport.once('data', () => transport.end()), 'ORIGIN_GONE'],
    ['answers the hello in HTTP', (transport) => transport.once('data', () => transport.end(ok)), 'ORIGIN_NOT_TLS'],
    ['never answers the hello', (transport) => transport.resume(), 'ORIGIN_HANDSHAKE_TIMEOUT'],
  ];
  it.concurrent.each(handshakes)('that %s makes the client see a TLS alert', async (_what, accept, code) => {
    await using bad = await startRawOrigin(undefined, () => {}, accept);
    const from = ground.address();
    expect((await ask(bad.port, '/', from)).code).toBe(35);
    expect(await ground.failureFrom(from)).toBe(code);
  });

  it('that is down, not there or unknown is told of at once, in the answer to CONNECT', async () => {
    const cases = [
      ['localhost', await freePort(), 'ORIGIN_REFUSED', '502'],
      ['no-such-host.invalid', 443, 'ORIGIN_NAME_UNRESOLVED', '502'],
      // No TCP connection has a route to a broadcast address.
      ['255.255.255.255', 443, 'ORIGIN_UNREACHABLE', '502'],
    ] as const;
    for (const [host, port, code, status] of cases) {
      const from = ground.address();
      const say = `CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`;
      const { text } = await talk(ground.port, { say, from });
      expect({ status: text.slice(9, 12), code: /^Daylight-Failure: (\w+)/m.exec(text)?.[1] }).toEqual({
        status,
        code,
      });
      expect(await ground.failureFrom(from)).toBe(code);
    }
  });

  it('that never answers a SYN is given up after the connect limit', async () => {
    await using silent = await silentPort('127.0.0.1');
    const from = ground.address();
    const say = `GET http://127.0.0.1:${silent.port}/ HTTP/1.1\r\nHost: 127.0.0.1:${silent.port}\r\n\r\n`;
    const { text } = await talk(ground.port, { say, from });
    expect(text).toMatch(/^HTTP\/1.1 504/);
    expect(await ground.failureFrom(from)).toBe('ORIGIN_CONNECT_TIMEOUT');
  });
});

describe('a client that', () => {
  it('leaves in the middle of a download is recorded, and its origin let go', async () => {
    let closed = false;
    await using endless = await startRawOrigin(ground.credentials, ({ socket }) => {
      socket.on('close', () => {
        closed = true;
      });
      socket.write(`${ok}Content-Length: 1000000000\r\n\r\n`);
      const more = (): void => {
        while (!socket.destroyed && socket.write(Buffer.alloc(65_536)));
      };
      socket.on('drain', more);
      more();
    });
    const from = ground.address();
    const { code } = await ask(endless.port, '/', from, '--output', '/dev/null', '--max-time', '1');
    expect(code).toBe(28);
    expect(await ground.failureFrom(from)).toBe('CLIENT_GONE');
    await expect.poll(() => closed).toBe(true);
    const [transaction] = await ground.transactionsFrom(from);
    expect(failureOf(transaction)).toBe('CLIENT_GONE');
  });

  it('does not read what it asked for is cut off after the idle limit', async () => {
    await using endless = await startRawOrigin(ground.credentials, ({ socket }) => {
      socket.write(`${ok}Content-Length: 1000000000\r\n\r\n`);
      // Piece by piece: to encrypt all at once takes longer than the limit on a busy machine.
      const more = (): void => {
        while (!socket.destroyed && socket.write(Buffer.alloc(65_536)));
      };
      socket.on('drain', more);
      more();
    });
    const from = ground.address();
    const deaf = askAndNotRead(endless.port, from);
    expect(await ground.failureFrom(from)).toBe('CLIENT_IDLE_TIMEOUT');
    deaf.destroy();
  });

  it('asks for 200 names gets one leaf for all that a wildcard proves, and none for the others', async () => {
    const before = await ground.metric('daylight_leafs_issued_total');
    const proven = await greetAs((index) => `n${index}.wild.example`);
    expect(proven.every(({ names }) => names.includes('DNS:*.wild.example'))).toBe(true);
    expect((await ground.metric('daylight_leafs_issued_total')) - before).toBe(1);
    const unproven = await greetAs((index) => `n${index}.other.example`);
    expect(unproven.every(({ error }) => /ALERT_BAD_CERTIFICATE$/.test(error))).toBe(true);
    expect(unproven.some(({ names }) => names !== '')).toBe(false);
    expect((await ground.metric('daylight_leafs_issued_total')) - before).toBe(1);
  });
});

/** Says hello under 200 names, some at a time. */
async function greetAs(nameOf: (index: number) => string): Promise<readonly Heard[]> {
  const port = ground.origin.port;
  const tunnel = { before: `CONNECT localhost:${port} HTTP/1.1\r\nHost: localhost\r\n\r\n`, until: '\r\n\r\n' };
  const say = (name: string): string => `GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`;
  const greet = (name: string): Promise<Heard> =>
    talk(ground.port, { ...tunnel, tls: { servername: name, ALPNProtocols: ['http/1.1'] }, say: say(name) });
  const heard: Heard[] = [];
  for (let at = 0; at < 200; at += 10) {
    const names = Array.from({ length: 10 }, (_, index) => nameOf(at + index));
    heard.push(...(await Promise.all(names.map(greet))));
  }
  return heard;
}

/** Asks for `/` and reads nothing of the answer. */
function askAndNotRead(originPort: number, from: string): Socket {
  const transport = connect({ port: ground.port, host: '127.0.0.1', localAddress: from });
  transport.on('error', () => {});
  transport.write(`CONNECT localhost:${originPort} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  transport.once('data', () => {
    const secure = connectTls({ socket: transport, servername: 'localhost', rejectUnauthorized: false });
    secure.on('error', () => {}).write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  });
  return transport;
}
