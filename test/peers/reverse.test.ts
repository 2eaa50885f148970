import { createServer, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeProxyHeader, parseProxyHeader } from '../../src/codec/proxy-header.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { type Heard, talk } from '../support/raw-client.ts';
import {
  failureOf,
  gatewayField,
  isFlow,
  isTransaction,
  type Line,
  labelOf,
  member,
} from '../support/record-fields.ts';
import { hasProgram, run } from '../support/run.ts';
import { listening } from '../support/tcp.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

const names = [
  'leaf',
  'own',
  'inner',
  'never',
  'always',
  'accept',
  'require',
  'elsewhere',
  'v1',
  'v2',
  'v2tls',
] as const;
type Name = (typeof names)[number] | 'wrong';

let inside: TestAuthority;
let outside: TestAuthority;
let gateway: RunningGateway;
let secure: TestOrigin;
let inner: TestOrigin;
let plain: TestOrigin;
let told: ProxiedOrigin;
let toldTls: ProxiedOrigin;
const ports = new Map<Name, number>();
const port = (name: Name): number => ports.get(name) ?? 0;

beforeAll(async () => {
  inside = await createTestAuthority('Inside Root');
  outside = await createTestAuthority('Outside Root');
  secure = await startOrigin(await inside.issue({ names: ['shop.example', '*.shop.example', '127.0.0.1'] }));
  inner = await startOrigin(await inside.issue({ names: ['backend.internal'] }));
  plain = await startOrigin(undefined);
  told = await startProxiedOrigin();
  toldTls = await startProxiedOrigin(await inside.issue({ names: ['shop.example'] }));
  for (const name of [...names, 'wrong'] as const) ports.set(name, await freePort());
  const own = await outside.issue({ names: ['shop.example'], keyType: 'rsa' });
  const certificate = { cert: '$DIRECTORY/own.pem', key: '$DIRECTORY/own-key.pem' };
  const listener = (name: Name, origin: { readonly port: number }, more: object = {}) => ({
    ...{ mode: 'reverse', listen: `127.0.0.1:${port(name)}`, origin: `127.0.0.1:${origin.port}` },
    asset: 'shop-gaap',
    ...more,
  });
  gateway = await startGateway({
    files: { 'roots.pem': inside.rootPem, 'own.pem': own.cert, 'own-key.pem': own.key },
    config: {
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      assets: [
        { id: 'shop-gaap', kind: 'gaap', hosts: ['shop.example'] },
        { id: 'branch', kind: 'cvm', addresses: ['203.0.113.0/24'] },
      ],
      listeners: [
        listener('leaf', secure, { originName: 'shop.example' }),
        listener('wrong', inner, { originName: 'shop.example' }),
        listener('own', secure, { certificate }),
        listener('inner', inner, { certificate, originName: 'backend.internal' }),
        listener('never', plain, { certificate, originTls: 'never' }),
        listener('always', secure, { originTls: 'always', originName: 'shop.example' }),
        listener('accept', plain, { asset: undefined, proxyProtocol: 'accept', trustedProxies: ['127.0.0.1/32'] }),
        listener('require', plain, { asset: undefined, proxyProtocol: 'require', trustedProxies: ['127.0.0.1/32'] }),
        listener('elsewhere', told, { proxyProtocol: 'accept', trustedProxies: ['127.0.0.1/32'] }),
        listener('v1', told, { sendProxyProtocol: 'v1', proxyProtocol: 'accept' }),
        listener('v2', told, { sendProxyProtocol: 'v2', proxyProtocol: 'accept' }),
        listener('v2tls', toldTls, { sendProxyProtocol: 'v2', proxyProtocol: 'accept' }),
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  for (const origin of [secure, inner, plain, told, toldTls]) await origin?.[Symbol.asyncDispose]();
});

const get = (path: string, host = 'shop.example'): string =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
/** The line of the transaction with this path. */
async function transaction(path: string): Promise<Line | undefined> {
  const isMine = (line: Line): boolean => isTransaction(line) && member(line, 'http_request', 'url', 'path') === path;
  return (await gateway.waitForRecords('traffic', (all) => all.some(isMine))).find(isMine);
}
/** The line of the last flow at a listener that failed. */
async function failedFlow(name: Name, code: string): Promise<Line | undefined> {
  const isMine = (line: Line): boolean =>
    isFlow(line) && failureOf(line) === code && gatewayField(line, 'listener') === `reverse:127.0.0.1:${port(name)}`;
  return (await gateway.waitForRecords('traffic', (all) => all.some(isMine))).find(isMine);
}

describe('a published endpoint', () => {
  it('shows a leaf that mirrors the origin, and records its asset', async () => {
    const heard = await talk(port('leaf'), {
      tls: { servername: 'www.shop.example' },
      say: get('/leaf', 'www.shop.example'),
    });
    expect(heard.text).toContain('GET www.shop.example /leaf 0');
    expect(heard.names.split(', ').toSorted()).toEqual([
      'DNS:*.shop.example',
      'DNS:shop.example',
      'IP Address:127.0.0.1',
    ]);
    const line = await transaction('/leaf');
    expect(labelOf(line)).toBe('Decryption Detection');
    expect(gatewayField(line, 'asset')).toEqual({ id: 'shop-gaap', kind: 'gaap' });
    expect(gatewayField(line, 'via')).toBe('reverse');
    expect(member(line, 'dst_endpoint')).toMatchObject({ uid: 'shop-gaap', ip: '127.0.0.1', port: secure.port });
    // The origin was asked for by the name that the client named.
    expect(member(line, 'proxy_tls', 'sni')).toBe('www.shop.example');
  });

  it.runIf(hasProgram('curl'))('is trusted by curl with the CA of the gateway', async () => {
    const at = `shop.example:${port('leaf')}`;
    const ran = await run('curl', [
      '-sS',
      '--cacert',
      gateway.caFile,
      '--resolve',
      `${at}:127.0.0.1`,
      `https://${at}/c`,
    ]);
    expect(ran).toEqual({ code: 0, stdout: `GET ${at} /c 0\n`, stderr: '' });
  });

  it('verifies the origin by originName when the client names none', async () => {
    const heard = await talk(port('leaf'), { tls: {}, say: get('/nameless') });
    expect(heard.text).toContain('GET shop.example /nameless 0');
    expect(member(await transaction('/nameless'), 'proxy_tls', 'sni')).toBe('shop.example');
  });

  it('shows nothing but an alert for an origin that is not who it should be', async () => {
    const before = inner.bytesReceived();
    const heard = await talk(port('wrong'), { tls: {}, say: get('/') });
    expect(heard).toMatchObject({ text: '', error: 'ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE' });
    expect(gatewayField(await failedFlow('wrong', 'ORIGIN_CERT_NAME_MISMATCH'), 'asset')).toMatchObject({
      id: 'shop-gaap',
    });
    expect(inner.bytesReceived()).toBe(before);
  });
});

describe('a published endpoint with its own certificate', () => {
  const shop = () => ({ servername: 'shop.example', ca: outside.rootPem, rejectUnauthorized: true });

  it('serves it, chain and key, in place of a leaf', async () => {
    const heard = await talk(port('own'), { tls: shop(), say: get('/own') });
    expect(heard).toMatchObject({ error: '', names: 'DNS:shop.example' });
    expect(heard.text).toContain('GET shop.example /own 0');
    expect(labelOf(await transaction('/own'))).toBe('Decryption Detection');
  });

  it('takes hosts of that certificate, where the origin is verified by a name of its own', async () => {
    const heard = await talk(port('inner'), { tls: shop(), say: get('/inner') });
    expect(heard.text).toContain('GET shop.example /inner 0');
    expect(member(await transaction('/inner'), 'proxy_tls', 'sni')).toBe('backend.internal');
  });

  it('still refuses a host that neither certificate covers', async () => {
    const heard = await talk(port('inner'), { tls: shop(), say: get('/', 'other.example') });
    expect(heard.text).toMatch(/^HTTP\/1\.1 421 /);
    expect(heard.text).toContain('CLIENT_HOST_MISMATCH');
  });

  it('ends TLS where the origin speaks none (originTls: never)', async () => {
    const heard = await talk(port('never'), {
      tls: { ...shop(), ALPNProtocols: ['h2', 'http/1.1'] },
      say: get('/never'),
    });
    expect(heard).toMatchObject({ error: '', names: 'DNS:shop.example', alpn: 'http/1.1' });
    expect(heard.text).toContain('GET shop.example /never 0');
    const line = await transaction('/never');
    expect(labelOf(line)).toBe('Decryption Detection');
    expect(line).not.toHaveProperty('proxy_tls');
  });
});

describe('a published endpoint with originTls: always', () => {
  it('adds TLS for a client that speaks none, and verifies the origin', async () => {
    const heard = await talk(port('always'), { say: get('/always') });
    expect(heard.text).toContain('GET shop.example /always 0');
    const line = await transaction('/always');
    expect(member(line, 'proxy_tls', 'version')).toBe('TLSv1.3');
    expect(line).not.toHaveProperty('tls');
    expect(labelOf(line)).toBe('Plaintext');
  });

  it('serves a client of TLS as well', async () => {
    const heard = await talk(port('always'), { tls: { servername: 'shop.example' }, say: get('/both') });
    expect(heard.text).toContain('GET shop.example /both 0');
  });
});

describe('the PROXY protocol of a load balancer', () => {
  const client = { ip: '203.0.113.9', port: 4711 };
  const header = (version: 'v1' | 'v2') => encodeProxyHeader(version, client, { ip: '198.51.100.1', port: 443 });

  it.each(['v1', 'v2'] as const)('%s names the client, in records and for assets', async (version) => {
    for (const name of ['accept', 'require'] as const) {
      const path = `/${name}-${version}`;
      // A host that is no asset: one that is would be the asset of this request.
      const heard = await talk(port(name), { before: header(version), say: get(path, 'other.example') });
      expect(heard.text).toContain(`GET other.example ${path} 0`);
      expect(member(await transaction(path), 'src_endpoint')).toMatchObject({ ...client, uid: 'branch' });
    }
  });

  it.each(['v1', 'v2'] as const)(
    '%s of the client itself is not sent on, behind that of the load balancer or alone',
    async (version) => {
      const lie = encodeProxyHeader(version, { ip: '192.0.2.66', port: 1 }, { ip: '198.51.100.1', port: 443 });
      for (const [name, before] of [
        ['v1', header('v2')],
        ['leaf', Buffer.alloc(0)],
      ] as const) {
        const reached = [secure.connections(), told.headers.length];
        const heard = await talk(port(name), { before: Buffer.concat([before, lie]), say: get('/lie') });
        expect(heard.text).toBe('');
        expect(member(await failedFlow(name, 'CLIENT_PROXY_HEADER_INVALID'), 'status_detail')).toContain(
          'from the client itself',
        );
        expect([secure.connections(), told.headers.length]).toEqual(reached);
      }
    },
  );

  it('is understood in pieces', async () => {
    const heard = await talk(port('require'), {
      before: 'PROXY TC',
      say: `P6 2001:db8::9 2001:db8::1 4711 443\r\n${get('/v6')}`,
    });
    expect(heard.text).toContain('GET shop.example /v6 0');
    expect(member(await transaction('/v6'), 'src_endpoint')).toEqual({ ip: '2001:db8::9', port: 4711 });
  });

  it('may be missing where it is only accepted', async () => {
    const heard = await talk(port('accept'), { say: get('/bare') });
    expect(heard.text).toContain('GET shop.example /bare 0');
    expect(member(await transaction('/bare'), 'src_endpoint', 'ip')).toBe('127.0.0.1');
  });

  const refused: readonly [string, Name, Buffer | string, string | undefined][] = [
    ['missing where it is required', 'require', get('/'), undefined],
    ['malformed', 'accept', `PROXY TCP4 1.2.3 4.5.6.7 1 2\r\n${get('/')}`, undefined],
    ['malformed where it is required', 'require', `PROXY TCP9 x\r\n${get('/')}`, undefined],
    [
      'version 2 with a wrong command',
      'accept',
      Buffer.concat([header('v2').fill(0x2f, 12, 13), Buffer.from(get('/'))]),
      undefined,
    ],
    ['from a source that is not trusted', 'require', Buffer.concat([header('v1'), Buffer.from(get('/'))]), '127.0.0.2'],
    [
      'not to be believed, although accepted from others',
      'elsewhere',
      Buffer.concat([header('v1'), Buffer.from(get('/'))]),
      '127.0.0.2',
    ],
  ];
  it.each(refused)('is refused when %s', async (_when, name, say, from) => {
    const reached = [plain.connections(), told.headers.length];
    const heard: Heard = await talk(port(name), { say, ...(from === undefined ? {} : { from }) });
    expect(heard.text).toBe('');
    const line = await failedFlow(name, 'CLIENT_PROXY_HEADER_INVALID');
    // Nobody is believed who could not be.
    expect(member(line, 'src_endpoint', 'ip')).toMatch(/^127\.0\.0\.[12]$/);
    expect([plain.connections(), told.headers.length]).toEqual(reached);
  });

  it.each(['v1', 'v2', 'v2tls'] as const)('%s is sent on to the origin', async (name) => {
    const origin = name === 'v2tls' ? toldTls : told;
    const seen = origin.headers.length;
    const tls = name === 'v2tls' ? { tls: { servername: 'shop.example' } } : {};
    const heard = await talk(port(name), { before: header('v2'), ...tls, say: get(`/${name}`) });
    expect(heard.text).toContain(`GET /${name} `);
    const sent = origin.headers.slice(seen);
    expect(sent).toHaveLength(1);
    expect(sent[0]?.subarray(0, 5).toString()).toBe(name === 'v1' ? 'PROXY' : '\r\n\r\n\0');
    const parsed = parseProxyHeader(sent[0] ?? Buffer.alloc(0));
    expect(parsed).toMatchObject({
      kind: 'complete',
      source: client,
      destination: { ip: '127.0.0.1', port: port(name) },
    });
  });

  it('and a client that waits for the origin to speak first get along', async () => {
    await using speaker = await startBannerOrigin();
    const at = await freePort();
    await using other = await startGateway({
      config: {
        listeners: [
          { mode: 'reverse', listen: `127.0.0.1:${at}`, origin: `127.0.0.1:${speaker.port}`, proxyProtocol: 'accept' },
        ],
      },
    });
    const heard = await talk(at, {});
    expect(heard.text).toBe('220 mail.example ESMTP\r\n');
    await other.waitForRecords('traffic', (all) => all.some(isFlow));
  });
});

interface ProxiedOrigin extends AsyncDisposable {
  readonly port: number;
  /** PROXY protocol headers received. */
  readonly headers: readonly Buffer[];
}

/** An origin that demands the PROXY protocol, strips its header, and answers one request; behind the header TLS if it has a certificate. */
async function startProxiedOrigin(credentials?: {
  readonly cert: string;
  readonly key: string;
}): Promise<ProxiedOrigin> {
  const headers: Buffer[] = [];
  const tls = createTlsServer({ ...credentials, ALPNProtocols: ['http/1.1'] }, (socket) => {
    socket.once('data', (request: Buffer) => socket.end(answerTo(request)));
    socket.on('error', () => {});
  });
  const server: Server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (bytes: Buffer) => {
      const parsed = parseProxyHeader(bytes);
      const length = parsed.kind === 'complete' ? parsed.consumed : 0;
      headers.push(bytes.subarray(0, length));
      socket.pause();
      if (bytes.length > length) socket.unshift(bytes.subarray(length));
      if (credentials !== undefined) tls.emit('connection', socket);
      else socket.resume().once('data', (request: Buffer) => socket.end(answerTo(request)));
    });
  });
  return { port: await listening(server), headers, [Symbol.asyncDispose]: () => closed(server) };
}

async function startBannerOrigin(): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end('220 mail.example ESMTP\r\n');
  });
  return { port: await listening(server), [Symbol.asyncDispose]: () => closed(server) };
}

function answerTo(request: Buffer): string {
  const line = request.toString('latin1').split('\r\n')[0] ?? '';
  return `HTTP/1.1 200 OK\r\nContent-Length: ${line.length}\r\nConnection: close\r\n\r\n${line}`;
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
