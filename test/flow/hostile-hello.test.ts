import { createServer as createTlsServer, type Server, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  alpn,
  clientHello,
  type Extension,
  inRecords,
  list16,
  serverNames,
  supportedVersions,
} from '../codec/hello-builder.ts';
import { startDataPlane, type TestDataPlane } from '../support/data-plane.ts';
import { cut, listening, writeSegments } from '../support/tcp.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { openTunnel } from '../support/tunnel.ts';

let plane: TestDataPlane;
const servers: Server[] = [];
const ports = { plain: 0, http: 0 };
let heard = 0;

async function serve(credentials: { cert: string; key: string }, protocols: readonly string[] | undefined) {
  const server = createTlsServer({
    ...credentials,
    ...(protocols === undefined ? {} : { ALPNProtocols: [...protocols] }),
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', () => {}).on('data', (chunk: Buffer) => (heard += chunk.length));
  });
  servers.push(server);
  return listening(server);
}

beforeAll(async () => {
  const authority = await createTestAuthority();
  const credentials = await authority.issue({ names: ['localhost'] });
  ports.plain = await serve(credentials, undefined);
  ports.http = await serve(credentials, ['http/1.1']);
  plane = await startDataPlane({
    originTrust: { rootsPem: [authority.rootPem] },
    refuse: [{ hosts: ['refused.example'], addresses: [], ports: [], reason: 'not for work' }],
  });
});
afterAll(async () => {
  await plane?.[Symbol.asyncDispose]();
  for (const server of servers) server.close();
});

/** TLS 1.2 is enough: an alert or a ServerHello tells the verdict. */
function helloWith(...extensions: readonly Extension[]): Buffer {
  return clientHello({
    cipherSuites: [0xc02b, 0xc02f],
    extensions: [
      ...extensions,
      supportedVersions(0x0303),
      list16(10, 0x001d, 0x0017),
      list16(13, 0x0403, 0x0804, 0x0401),
    ],
  });
}

/** Numbers of alerts (RFC 8446 section 6); `server hello` when the handshake went on. */
async function answerTo(hello: Iterable<Buffer>, port = ports.plain): Promise<string> {
  const client = await openTunnel(plane.port, `localhost:${port}`);
  await writeSegments(client, hello);
  const first = await new Promise<Buffer>((resolve) => {
    client.once('data', resolve).once('close', () => resolve(Buffer.alloc(0)));
    client.resume();
  });
  client.destroy();
  if (first[0] === 22) return 'server hello';
  return first[0] === 21 ? `alert ${first[6]}` : `bytes ${first.toString('hex')}`;
}

const unrecognizedName = 'alert 112';
const noApplicationProtocol = 'alert 120';

describe('a server name that is none', () => {
  it.each([
    ['NUL within', 'localhost\0.evil.example'],
    ['parent folders', '../../etc/passwd'],
    ['a command', ';$(reboot).example'],
    ['CR LF', 'localhost\r\nHost: evil.example'],
    ['ideographic dots', 'shop\u3002example'],
    ['full-width letters', 'ｌocalhost'],
    ['another address', '192.0.2.1'],
    ['an address in hexadecimal', '0x7f.1'],
    ['a wildcard', '*.example'],
    ['a leading dot', '.localhost'],
    ['255 bytes', `${'a'.repeat(63)}.`.repeat(4).slice(0, 255)],
    ['nothing', ''],
  ])('(%s) gets unrecognized_name or decode_error, and no certificate', async (_what, name) => {
    const answer = await answerTo([inRecords(helloWith(serverNames(Buffer.from(name, 'utf8'))))]);
    expect([unrecognizedName, 'alert 50']).toContain(answer);
  });

  it('two of them get decode_error', async () => {
    expect(await answerTo([inRecords(helloWith(serverNames('localhost', 'evil.example')))])).toMatch(
      /^alert (50|112)$/,
    );
  });

  it('that is good but not the origin’s gets no leaf either', async () => {
    expect(await answerTo([inRecords(helloWith(serverNames('other.example')))])).toBe('alert 42');
  });
});

describe('an offer of another protocol (ALPACA)', () => {
  const offers = [
    ['smtp'],
    ['ftp'],
    ['pop3'],
    ['imap'],
    ['xmpp-client'],
    ['smtp', 'ftp'],
    ['http/1.1\0'],
    ['HTTP/1.1'],
    [' '],
  ];
  it.each(offers.flatMap((offer) => [['plain', offer] as const, ['http', offer] as const]))(
    'to an origin with ALPN "%s": %j is refused with no_application_protocol',
    async (origin, offer) => {
      const hello = helloWith(serverNames('localhost'), alpn(...offer));
      expect(await answerTo([inRecords(hello)], ports[origin])).toBe(noApplicationProtocol);
    },
  );

  it.each([
    ['HTTP/1.1 of an origin without ALPN', 'plain', ['http/1.1']],
    ['HTTP/1.1 beside others', 'http', ['smtp', 'http/1.1']],
    ['nothing', 'plain', undefined],
  ] as const)('is none when it is %s', async (_what, origin, offer) => {
    const extensions = offer === undefined ? [serverNames('localhost')] : [serverNames('localhost'), alpn(...offer)];
    expect(await answerTo([inRecords(helloWith(...extensions))], ports[origin])).toBe('server hello');
  });
});

describe('a ClientHello in pieces is judged as a whole one', () => {
  const good = helloWith(serverNames('localhost'), alpn('http/1.1'));
  const large = helloWith(serverNames('localhost'), alpn('http/1.1'), [0x0a0a, Buffer.alloc(40_000)]);
  const cases: readonly [string, Buffer, string][] = [
    ['good', good, 'server hello'],
    ['good and of 40 kB', large, 'server hello'],
    ['refused', helloWith(serverNames('refused.example')), 'alert 49'],
    ['of a hostile name', helloWith(serverNames('localhost\0')), unrecognizedName],
    ['of another protocol', helloWith(serverNames('localhost'), alpn('smtp')), noApplicationProtocol],
  ];
  it.each(cases)('%s', async (_what, hello, verdict) => {
    const whole = inRecords(hello);
    expect(await answerTo([whole])).toBe(verdict);
    expect(await answerTo(cut(whole, hello.length > 1_000 ? 997 : 1))).toBe(verdict);
    const split = inRecords(hello, hello.length > 1_000 ? 100 : 7);
    expect(await answerTo([split])).toBe(verdict);
    expect(await answerTo(cut(split, hello.length > 1_000 ? 1_009 : 3))).toBe(verdict);
  });
});

it('no hostile opening has cost the origin a byte of application data', () => {
  expect(heard).toBe(0);
});
