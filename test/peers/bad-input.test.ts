import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { smugglingVectors } from '../flow/relay/smuggling-vectors.ts';
import { clientHelloBytes } from '../support/client-hello-bytes.ts';
import { freePort } from '../support/gateway.ts';
import { type HostileGround, openHostileGround } from '../support/hostile-ground.ts';
import { startOrigin } from '../support/https-origin.ts';
import { type Heard, type Speech, talk } from '../support/raw-client.ts';
import { failureOf, textOf } from '../support/record-fields.ts';
import { sleep } from '../support/tcp.ts';

let ground: HostileGround;
/** Port of a listener that demands a PROXY protocol header. */
let balancedPort: number;

beforeAll(async () => {
  balancedPort = await freePort();
  ground = await openHostileGround({
    opaque: 'refuse',
    listeners: [{ mode: 'explicit', listen: `127.0.0.1:${balancedPort}`, proxyProtocol: 'require' }],
  });
});
afterAll(async () => {
  await ground?.[Symbol.asyncDispose]();
});
afterEach(() => {
  // Whatever somebody sends, it costs nobody else anything.
  expect(ground.steady.harm()).toEqual([]);
  expect(ground.gateway.log()).not.toContain('GATEWAY_RELAY_CRASHED');
});

const connectTo = (host: string): string => `CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const tunnel = (): Pick<Speech, 'before' | 'until'> => ({
  before: connectTo(`localhost:${ground.origin.port}`),
  until: '\r\n\r\n',
});
const tls = { servername: 'a.example', ALPNProtocols: ['http/1.1'] };
const status = ({ text }: Heard): string => text.slice(0, 12);
const codeOf = ({ text }: Heard): string | undefined => /^Daylight-Failure: (\w+)/m.exec(text)?.[1];

describe('a client that says', () => {
  const sshVersion = 'SSH-2.0-OpenSSH_9.6\r\n';
  const brokenHello = Buffer.from('16030100050100000fffff', 'hex');
  const cases: readonly [what: string, say: Buffer | string, code: string][] = [
    ['no TLS but SSH', sshVersion, 'CLIENT_NOT_TLS'],
    ['no TLS but zeros', Buffer.alloc(64), 'CLIENT_NOT_TLS'],
    ['a TLS record without sense', brokenHello, 'CLIENT_HELLO_MALFORMED'],
    ['a ClientHello of 16 MB', Buffer.from('160301400001ffffff0303', 'hex'), 'CLIENT_OPENING_TOO_LARGE'],
  ];
  it.each(cases)('%s in a tunnel ends coded', async (_what, say, code) => {
    const from = ground.address();
    await talk(ground.port, { ...tunnel(), say, from });
    expect(await ground.failureFrom(from)).toBe(code);
  });

  it('hello under a name that is none is told so by an alert', async () => {
    const from = ground.address();
    const heard = await talk(ground.port, { ...tunnel(), tls: { servername: 'under_score!.example' }, from });
    expect(heard.error).toBe('ERR_SSL_TLSV1_UNRECOGNIZED_NAME');
    expect(await ground.failureFrom(from)).toBe('CLIENT_SNI_INVALID');
  });

  it('half a ClientHello and leaves is recorded as gone', async () => {
    const hello = await clientHelloBytes();
    const from = ground.address();
    await talk(ground.port, { ...tunnel(), say: hello.subarray(0, 200), end: true, from });
    expect(await ground.failureFrom(from)).toBe('CLIENT_GONE');
  });

  const proxyRequests: readonly [what: string, say: Buffer | string, code: string, status: string][] = [
    ['nothing of HTTP', '\x00\x01\x02garbage\r\n\r\n', 'CLIENT_HTTP_MALFORMED', '400'],
    ['CONNECT to port 0', connectTo('a.example:0'), 'CLIENT_HTTP_MALFORMED', '400'],
    ['CONNECT without a port', connectTo('a.example'), 'CLIENT_HTTP_MALFORMED', '400'],
    ['a request in origin form', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'CLIENT_PROXY_REQUEST_INVALID', '400'],
    ['HTTP/3.0', 'GET http://a/ HTTP/3.0\r\nHost: a\r\n\r\n', 'CLIENT_HTTP_VERSION', '505'],
    [
      'a request in two readings',
      'GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
      'CLIENT_HTTP_AMBIGUOUS',
      '400',
    ],
    ['a head of 70 KB', `GET http://a/ HTTP/1.1\r\nX: ${'x'.repeat(70_000)}`, 'CLIENT_OPENING_TOO_LARGE', '431'],
    [
      '10 000 header fields',
      `GET http://a/ HTTP/1.1\r\n${'a:b\r\n'.repeat(10_000)}\r\n`,
      'CLIENT_HTTP_HEAD_TOO_LARGE',
      '431',
    ],
  ];
  it.each(proxyRequests)('%s to the proxy is answered in HTTP', async (_what, say, code, expected) => {
    const from = ground.address();
    const heard = await talk(ground.port, { say, from });
    expect({ status: status(heard), code: codeOf(heard) }).toEqual({ status: `HTTP/1.1 ${expected}`, code });
    expect(await ground.failureFrom(from)).toBe(code);
  });

  it.each([
    ['a TLS hello to the proxy itself', brokenHello, '15030300020228'],
    ['SOCKS4', Buffer.from('0401005001020304757365720d0a0d0a', 'hex'), '005b000000000000'],
  ] as const)('%s is answered in what it speaks', async (_what, say, answer) => {
    const from = ground.address();
    const heard = await talk(ground.port, { say, from });
    expect(Buffer.from(heard.text, 'latin1').toString('hex')).toBe(answer);
    expect(await ground.failureFrom(from)).toBe('CLIENT_PROXY_REQUEST_INVALID');
  });

  const socks: readonly [what: string, say: string, reply: string][] = [
    ['no method', '0500', '05ff'],
    ['a method that nobody knows', '05017f', '05ff'],
    ['BIND', '050100' + '05020001010203040050', '0500' + '0507'],
    ['an address type that is none', '050100' + '05010009010203040050', '0500' + '0508'],
    ['a name of zeros', '050100' + '050100030400000000' + '0050', '0500' + '0501'],
    ['version 4 after the greeting', '050100' + '04010001010203040050', '0500' + '0501'],
  ];
  it.each(socks)('SOCKS5 with %s gets the reply of RFC 1928', async (_what, say, reply) => {
    const from = ground.address();
    const heard = await talk(ground.port, { say: Buffer.from(say, 'hex'), from });
    expect(Buffer.from(heard.text, 'latin1').toString('hex')).toMatch(new RegExp(`^${reply}`));
    expect(await ground.failureFrom(from)).toBe('CLIENT_PROXY_REQUEST_INVALID');
  });

  const proxyHeaders: readonly [what: string, say: Buffer | string, code: string][] = [
    ['none', 'GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n', 'CLIENT_PROXY_HEADER_INVALID'],
    ['one of text without sense', 'PROXY TCP4 999.1.1.1 1.1.1.1 1 2\r\n', 'CLIENT_PROXY_HEADER_INVALID'],
    ['one of text that never ends', `PROXY TCP4 ${'1'.repeat(200)}`, 'CLIENT_PROXY_HEADER_INVALID'],
    ['a binary one of version 3', proxyV2('31', '11', '000c', '01020304050607080001'), 'CLIENT_PROXY_HEADER_INVALID'],
    ['a binary one shorter than its addresses', proxyV2('21', '11', '0002', '0102'), 'CLIENT_PROXY_HEADER_INVALID'],
    ['a binary one of 60 KB', proxyV2('21', '11', 'f000', '00'.repeat(5_000)), 'CLIENT_PROXY_HEADER_INVALID'],
    ['the begin of one', 'PROX', 'CLIENT_OPENING_TIMEOUT'],
  ];
  it.each(proxyHeaders)('where a PROXY header is due: %s', async (_what, say, code) => {
    const from = ground.address();
    const heard = await talk(balancedPort, { say, from });
    expect(heard.text).toBe('');
    expect(await ground.failureFrom(from)).toBe(code);
  });
});

describe('a request inside TLS', () => {
  const bombs: readonly [what: string, say: string, code: string][] = [
    ['a head of 70 KB', `GET / HTTP/1.1\r\nHost: a.example\r\nX: ${'x'.repeat(70_000)}`, 'CLIENT_HTTP_HEAD_TOO_LARGE'],
    [
      '10 000 header fields',
      `GET / HTTP/1.1\r\nHost: a.example\r\n${'a:b\r\n'.repeat(10_000)}\r\n`,
      'CLIENT_HTTP_HEAD_TOO_LARGE',
    ],
    [
      'trailers of 70 KB',
      `POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ${'x'.repeat(70_000)}`,
      'CLIENT_HTTP_HEAD_TOO_LARGE',
    ],
  ];
  it.each(bombs)('with %s is refused with 431', async (_what, say, code) => {
    const from = ground.address();
    const heard = await talk(ground.port, { ...tunnel(), tls, say, from });
    expect({ status: status(heard), code: codeOf(heard) }).toEqual({ status: 'HTTP/1.1 431', code });
    expect(await ground.failureFrom(from)).toBe(code);
  });

  it('that can be read in two ways is refused with 400, recorded, and never reaches the origin', async () => {
    const refused = smugglingVectors.filter(({ expected }) => expected === 'ambiguous');
    expect(refused.length).toBeGreaterThan(40);
    const before = ground.origin.requests.length;
    const wrong: string[] = [];
    const attempt = async ({ name, bytes }: (typeof refused)[number]): Promise<void> => {
      const from = ground.address();
      const heard = await talk(ground.port, { ...tunnel(), tls, say: Buffer.from(bytes, 'latin1'), from });
      const failure = await ground.failureFrom(from);
      if (status(heard) === 'HTTP/1.1 400' && failure === 'CLIENT_HTTP_AMBIGUOUS') return;
      wrong.push(`${name}: ${status(heard)} ${heard.error} ${String(failure)}`);
    };
    for (let at = 0; at < refused.length; at += 8) await Promise.all(refused.slice(at, at + 8).map(attempt));
    expect(wrong).toEqual([]);
    const strange = ground.origin.requests.slice(before).filter((request) => request !== 'GET /steady');
    expect(strange).toEqual([]);
  });

  it('for a host that the certificate does not cover is refused with 421', async () => {
    const from = ground.address();
    const say = 'GET / HTTP/1.1\r\nHost: other.example\r\n\r\n';
    expect(status(await talk(ground.port, { ...tunnel(), tls, say, from }))).toBe('HTTP/1.1 421');
    expect(await ground.failureFrom(from)).toBe('CLIENT_HOST_MISMATCH');
    const [transaction] = await ground.transactionsFrom(from);
    expect(failureOf(transaction)).toBe('CLIENT_HOST_MISMATCH');
  });
});

/** The limits are 1 s for an opening and a handshake, 2 s of silence; a head may take 30 s however it drips. */
describe('a client that is slow', () => {
  it.concurrent('with the request to the proxy ends with the opening limit, and is told in HTTP', async () => {
    const from = ground.address();
    const heard = await drip(from, ground.port, '', 'GET http://a.example/ HTTP/1.1\r\nHost: a', 200);
    expect(heard).toContain('HTTP/1.1 408');
    expect(await ground.failureFrom(from)).toBe('CLIENT_OPENING_TIMEOUT');
  });

  it.concurrent('with SOCKS5 ends with the opening limit', async () => {
    const from = ground.address();
    await drip(from, ground.port, '', '\x05\x09\x01\x02\x03\x04\x05\x06\x07\x08', 200);
    expect(await ground.failureFrom(from)).toBe('CLIENT_OPENING_TIMEOUT');
  });

  it.concurrent('with its ClientHello ends with the opening limit', async () => {
    const from = ground.address();
    const hello = (await clientHelloBytes()).toString('latin1');
    await drip(from, ground.port, connectTo(`localhost:${ground.origin.port}`), hello, 100);
    expect(await ground.failureFrom(from)).toBe('CLIENT_OPENING_TIMEOUT');
  });

  it.concurrent('to say anything in a tunnel ends with the idle limit', async () => {
    const from = ground.address();
    await talk(ground.port, { ...tunnel(), from });
    expect(await ground.failureFrom(from)).toBe('CLIENT_IDLE_TIMEOUT');
  });

  it.concurrent('to go on with its handshake ends with the handshake limit', async () => {
    const from = ground.address();
    const heard = await talk(ground.port, {
      ...tunnel(),
      say: await clientHelloBytes({ servername: 'a.example' }),
      from,
    });
    expect(heard.text.charCodeAt(0)).toBe(22);
    expect(await ground.failureFrom(from)).toBe('CLIENT_HANDSHAKE_TIMEOUT');
  });

  it.concurrent('to finish a request head inside TLS is told with 408 after the idle limit', async () => {
    const from = ground.address();
    const heard = await talk(ground.port, { ...tunnel(), tls, say: 'GET / HTTP/1.1\r\nHost: a.ex', from });
    expect(status(heard)).toBe('HTTP/1.1 408');
    expect(await ground.failureFrom(from)).toBe('CLIENT_HTTP_TIMEOUT');
  });

  it.concurrent('to finish a request body is told with 408 after the idle limit', async () => {
    const from = ground.address();
    const say = 'POST /upload HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100\r\n\r\nhalf of it';
    const heard = await talk(ground.port, { ...tunnel(), tls, say, from });
    expect({ status: status(heard), code: codeOf(heard) }).toEqual({
      status: 'HTTP/1.1 408',
      code: 'CLIENT_IDLE_TIMEOUT',
    });
    const [transaction] = await ground.transactionsFrom(from);
    expect(failureOf(transaction)).toBe('CLIENT_IDLE_TIMEOUT');
    expect(textOf(transaction ?? {})).toContain('/upload');
  });

  it.concurrent('and drips a request head for ever ends after 30 seconds', { timeout: 60_000 }, async () => {
    const from = ground.address();
    const began = performance.now();
    await using plain = await startOrigin(undefined);
    const say = `GET http://localhost:${plain.port}/ HTTP/1.1\r\nHost: localhost:${plain.port}\r\n\r\n`;
    // A first request, so that the opening is over, and then one that never ends.
    const heard = await drip(from, ground.port, say, `GET http://a/ HTTP/1.1\r\n${'X: y\r\n'.repeat(100)}`, 500);
    expect(heard).toMatch(/^HTTP\/1.1 200[\s\S]*HTTP\/1.1 408/);
    expect(performance.now() - began).toBeGreaterThan(29_000);
    expect(await ground.failureFrom(from)).toBe('CLIENT_HTTP_TIMEOUT');
  });
});

/** Says `first` at once and `rest` byte by byte, until the connection ends; gives what was answered. */
async function drip(from: string, port: number, first: string, rest: string, everyMs: number): Promise<string> {
  const socket: Socket = connect({ port, host: '127.0.0.1', localAddress: from });
  let answer = '';
  let isOpen = true;
  socket
    .on('error', () => {})
    .on('data', (chunk) => {
      answer += chunk.toString('latin1');
    });
  socket.on('close', () => {
    isOpen = false;
  });
  if (first !== '') socket.write(first);
  for (const byte of Buffer.from(rest, 'latin1')) {
    if (!isOpen) break;
    socket.write(Buffer.from([byte]));
    await sleep(everyMs);
  }
  socket.destroy();
  return answer;
}

/** A PROXY protocol header of version 2, in hex behind its signature. */
function proxyV2(...parts: readonly string[]): Buffer {
  return Buffer.from(`0d0a0d0a000d0a515549540a${parts.join('')}`, 'hex');
}
