import { readFileSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { type Heard, type Speech, talk } from '../support/raw-client.ts';
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

let authority: TestAuthority;
/** As people run it, with exemptions. */
let gateway: RunningGateway;
/** With every switch turned the other way. */
let strict: RunningGateway;
let secure: TestOrigin;
let other: TestOrigin;
let plain: TestOrigin;
let banner: Server;
let bannerPort: number;
let h2: ReturnType<typeof createSecureServer>;
let h2Port: number;
let port: number;
let strictPort: number;

beforeAll(async () => {
  authority = await createTestAuthority();
  const names = ['localhost', '127.0.0.1', '127.0.0.2', 'shop.example', '*.bank.example'];
  secure = await startOrigin(await authority.issue({ names }), undefined, {}, '0.0.0.0');
  other = await startOrigin(await authority.issue({ names: ['localhost'] }));
  plain = await startOrigin(undefined);
  h2 = createSecureServer(
    { ...(await authority.issue({ names: ['localhost'] })), allowHTTP1: true },
    (request, response) => {
      response.end(`HTTP/${request.httpVersion}`);
    },
  );
  h2Port = await listening(h2);
  banner = createServer((socket) => socket.on('error', () => {}).end('SSH-2.0-OpenSSH_9.2\r\n'));
  bannerPort = await listening(banner);
  [port, strictPort] = [await freePort(), await freePort()];
  const files = { 'roots.pem': authority.rootPem };
  const originTrust = { system: false, files: ['$DIRECTORY/roots.pem'] };
  gateway = await startGateway({
    files,
    config: {
      originTrust,
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
      assets: [
        { id: 'quiet', kind: 'cvm', addresses: ['127.0.0.3/32'], detect: false },
        { id: 'loud', kind: 'container', addresses: ['127.0.0.4/32'], detect: true },
        { id: 'exempt', kind: 'cvm', addresses: ['127.0.0.5/32'], detect: true },
      ],
      bypass: [
        { hosts: ['*.bank.example'], reason: 'privacy' },
        { addresses: ['127.0.0.2/32'], reason: 'partner' },
        { assets: ['exempt'], reason: 'lab' },
      ],
      refuse: [
        { hosts: ['*.ads.example'], reason: 'not for work' },
        { addresses: ['127.9.9.0/24'], reason: 'metadata' },
        { ports: [1], reason: 'tcpmux' },
      ],
    },
  });
  strict = await startGateway({
    files,
    config: {
      originTrust,
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${strictPort}` }],
      assets: [{ id: 'loud', kind: 'container', addresses: ['127.0.0.4/32'], detect: true }],
      defaults: { detect: false },
      http: { hostMismatch: 'allow', upgrades: 'refuse' },
      opaque: 'refuse',
    },
  });
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await strict?.[Symbol.asyncDispose]();
  for (const one of [secure, other, plain]) await one?.[Symbol.asyncDispose]();
  h2?.close();
  banner?.close();
});

const get = (path: string, host: string, ...fields: string[]): string =>
  [`GET ${path} HTTP/1.1`, `Host: ${host}`, 'Connection: close', ...fields, '', ''].join('\r\n');
/** Through CONNECT, then as the speech says. */
const through = (target: string, speech: Speech, at = port): Promise<Heard> =>
  talk(at, { before: `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`, until: '\r\n\r\n', ...speech });
const secureAt = (host: string): string => `${host}:${secure.port}`;
async function lineOf(of: RunningGateway, isMine: (line: Line) => boolean): Promise<Line | undefined> {
  return (await of.waitForRecords('traffic', (all) => all.some(isMine))).findLast(isMine);
}
const isTo = (host: string, atPort: number) => (line: Line) =>
  isFlow(line) &&
  member(line, 'dst_endpoint', 'port') === atPort &&
  [member(line, 'dst_endpoint', 'hostname'), member(line, 'dst_endpoint', 'ip')].includes(host);
const isPath = (path: string) => (line: Line) =>
  isTransaction(line) && member(line, 'http_request', 'url', 'path') === path;

describe('a bypass', () => {
  it('leaves the certificate of the origin and all bytes alone, and is recorded', async () => {
    const tls = { servername: 'localhost', ca: authority.rootPem, rejectUnauthorized: true };
    const heard = await through(secureAt('127.0.0.2'), { tls, say: get('/unseen', 'localhost') });
    expect(heard).toMatchObject({ error: '', text: expect.stringContaining('GET localhost /unseen 0') });
    expect(heard.names).toContain('DNS:shop.example');
    const line = await lineOf(gateway, isTo('127.0.0.2', secure.port));
    expect(labelOf(line)).toBe('Bypass');
    expect(gatewayField(line, 'decision')).toBe('bypass');
    expect(gatewayField(line, 'decision_reason')).toBe('bypass: partner');
    // What is in the clear is known all the same, and nothing else.
    expect(line).toMatchObject({ tls: { sni: 'localhost' }, status_id: 1, traffic: { bytes_in: expect.any(Number) } });
    expect(line).toHaveProperty('ja4_fingerprint_list');
    expect(line).not.toHaveProperty('proxy_tls');
    expect(JSON.stringify(gateway.records('traffic'))).not.toContain('/unseen');
  });

  it.runIf(hasProgram('openssl'))('lets the client resume its own session with the origin', async () => {
    const file = `${gateway.directory}/session.pem`;
    const client = (...args: string[]) =>
      run(
        'openssl',
        ['s_client', '-proxy', `127.0.0.1:${port}`, '-connect', secureAt('127.0.0.2'), '-tls1_3', '-ign_eof', ...args],
        { input: get('/', 'localhost') },
      );
    await client('-sess_out', file);
    const before = secure.resumed();
    expect((await client('-sess_in', file)).stdout).toContain('Reused, TLSv1.3');
    expect(secure.resumed()).toBe(before + 1);
  });

  it('needs more than the name of an exempt host in the ClientHello', async () => {
    const heard = await through(secureAt('localhost'), {
      tls: { servername: 'www.bank.example' },
      say: get('/elsewhere', 'www.bank.example'),
    });
    expect(heard.text).toContain('/elsewhere 0');
    expect(labelOf(await lineOf(gateway, isPath('/elsewhere')))).toBe('Decryption Detection');
  });

  it('of an asset whose detection is off, or that is exempt, touches no other', async () => {
    const from = (address: string, path: string) =>
      through(secureAt('localhost'), { from: address, tls: { servername: 'localhost' }, say: get(path, 'localhost') });
    for (const [address, path] of [
      ['127.0.0.3', '/quiet'],
      ['127.0.0.4', '/loud'],
      ['127.0.0.5', '/exempt'],
    ] as const) {
      expect((await from(address, path)).text).toContain(`${path} 0`);
    }
    const loud = await lineOf(gateway, isPath('/loud'));
    expect(gatewayField(loud, 'asset')).toEqual({ id: 'loud', kind: 'container' });
    expect(gatewayField(loud, 'decision_reason')).toBe('asset loud');
    const flowFrom = (ip: string) =>
      lineOf(gateway, (line) => isFlow(line) && member(line, 'src_endpoint', 'ip') === ip);
    const [quiet, exempt] = [await flowFrom('127.0.0.3'), await flowFrom('127.0.0.5')];
    expect([labelOf(quiet), gatewayField(quiet, 'decision_reason')]).toEqual(['Bypass', 'asset quiet']);
    expect([labelOf(exempt), gatewayField(exempt, 'decision_reason')]).toEqual(['Bypass', 'bypass: lab']);
    expect(gateway.records('traffic').filter(isPath('/quiet'))).toEqual([]);
  });

  it('is the default where detection is off, but for assets', async () => {
    const tls = { servername: 'localhost' };
    const unknown = await through(secureAt('localhost'), { tls, say: get('/default', 'localhost') }, strictPort);
    expect(unknown.names).toContain('DNS:shop.example');
    await through(secureAt('localhost'), { tls, from: '127.0.0.4', say: get('/asset', 'localhost') }, strictPort);
    expect(labelOf(await lineOf(strict, isPath('/asset')))).toBe('Decryption Detection');
    expect(gatewayField(await lineOf(strict, isFlow), 'decision')).toBeDefined();
    expect(strict.records('traffic').filter(isPath('/default'))).toEqual([]);
  });
});

describe.runIf(hasProgram('openssl'))('an address as the server name, which openssl sends through a proxy', () => {
  const client = (connect: string, ...args: string[]) =>
    run('openssl', [
      's_client',
      '-proxy',
      `127.0.0.1:${port}`,
      '-connect',
      connect,
      '-CAfile',
      gateway.caFile,
      ...args,
    ]);

  it('is taken for none where it is the destination', async () => {
    const ran = await client(secureAt('127.0.0.1'), '-verify_ip', '127.0.0.1');
    expect(ran.stdout).toContain('Verify return code: 0 (ok)');
  });

  it('is refused where it is any other', async () => {
    const ran = await client(secureAt('localhost'), '-servername', '127.0.0.1');
    expect(ran.stderr).toContain('unrecognized name');
    expect(await lineOf(gateway, (line) => failureOf(line) === 'CLIENT_SNI_INVALID')).toBeDefined();
  });
});

describe('a refusal', () => {
  const refused: readonly [string, string][] = [
    ['a host', 'tracker.ads.example:443'],
    ['an address', '127.9.9.9:443'],
    ['a port', 'localhost:1'],
  ];
  it.each(refused)('of %s is told at the layer of the request, before anything is dialled', async (_what, target) => {
    const connected = await talk(port, { say: `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n` });
    expect(connected.text).toMatch(/^HTTP\/1\.1 403 [\s\S]*POLICY_REFUSED/);
    const absolute = await talk(port, { say: get(`http://${target}/`, target) });
    expect(absolute.text).toMatch(/^HTTP\/1\.1 403 [\s\S]*POLICY_REFUSED/);
    const socks = await talk(port, { say: socksRequest(target) });
    // Method 0, then reply 2: not allowed by the ruleset (RFC 1928 section 6).
    expect([...Buffer.from(socks.text, 'latin1').subarray(0, 4)]).toEqual([5, 0, 5, 2]);
    const [host = '', atPort] = target.split(':');
    const line = await lineOf(gateway, isTo(host, Number(atPort)));
    expect(line).toMatchObject({ status_code: 'POLICY_REFUSED', action_id: 2 });
    expect(gatewayField(line, 'decision')).toBe('refuse');
  });

  it('of a name in the ClientHello is told by an alert', async () => {
    const heard = await through(secureAt('localhost'), { tls: { servername: 'x.ads.example' }, say: get('/', 'x') });
    expect(heard).toMatchObject({ text: '', error: expect.stringContaining('ALERT_ACCESS_DENIED') });
  });
});

describe('the Host of a request', () => {
  const mismatch = (at: number, from?: string) =>
    through(
      `localhost:${other.port}`,
      {
        ...(from === undefined ? {} : { from }),
        tls: { servername: 'localhost' },
        say: get('/fronted', 'shop.example'),
      },
      at,
    );

  it('must be covered by the certificate that was verified', async () => {
    const before = other.bytesReceived();
    const heard = await mismatch(port);
    expect(heard.text).toMatch(/^HTTP\/1\.1 421 [\s\S]*CLIENT_HOST_MISMATCH/);
    expect(other.bytesReceived()).toBe(before);
    expect(failureOf(await lineOf(gateway, isPath('/fronted')))).toBe('CLIENT_HOST_MISMATCH');
  });

  it('may be any where policy allows it', async () => {
    const heard = await mismatch(strictPort, '127.0.0.4');
    expect(heard.text).toContain('GET shop.example /fronted 0');
  });

  it('may be another one that the same certificate covers', async () => {
    const heard = await through(secureAt('localhost'), {
      tls: { servername: 'localhost' },
      say: get('/covered', 'shop.example'),
    });
    expect(heard.text).toContain('GET shop.example /covered 0');
  });
});

describe('ALPN', () => {
  const offer = (ALPNProtocols: string[], target = `localhost:${h2Port}`) =>
    through(target, {
      tls: { servername: 'localhost', ALPNProtocols, ca: readFileSync(gateway.caFile), rejectUnauthorized: true },
      say: get('/', 'localhost'),
    });

  it('of a client that takes h2 and http/1.1 is what the origin chooses', async () => {
    expect(await offer(['h2', 'http/1.1'])).toMatchObject({ alpn: 'h2' });
    expect(await offer(['http/1.1'])).toMatchObject({ error: '', alpn: 'http/1.1' });
  });

  it('of a client that takes nothing that can be inspected ends with the alert for it', async () => {
    const heard = await offer(['h3']);
    expect(heard).toMatchObject({ text: '', error: expect.stringContaining('ALERT_NO_APPLICATION_PROTOCOL') });
    const line = await lineOf(gateway, (flow) => failureOf(flow) === 'CLIENT_ALPN_UNSUPPORTED');
    expect(labelOf(line)).toBe('Metadata Detection');
  });

  it('that is not offered is not answered', async () => {
    const heard = await through(`localhost:${h2Port}`, {
      tls: { servername: 'localhost' },
      say: get('/', 'localhost'),
    });
    expect(heard).toMatchObject({ error: '', alpn: undefined });
    expect(heard.text).toMatch(/HTTP\/1\.1$/);
  });

  it('is untouched where the flow is', async () => {
    const heard = await through(
      `localhost:${h2Port}`,
      { tls: { servername: 'localhost', ALPNProtocols: ['h2'] }, say: 'x' },
      strictPort,
    );
    expect(heard.alpn).toBe('h2');
  });
});

describe('what is neither TLS nor HTTP', () => {
  it('passes unread, with its protocol in the record', async () => {
    const heard = await through(`localhost:${bannerPort}`, {});
    expect(heard.text).toBe('SSH-2.0-OpenSSH_9.2\r\n');
    const line = await lineOf(gateway, isTo('localhost', bannerPort));
    expect(gatewayField(line, 'protocol')).toBe('ssh');
    expect(labelOf(line)).toBe('Metadata Detection');
  });

  it('is refused where policy says so', async () => {
    const heard = await through(`localhost:${bannerPort}`, { from: '127.0.0.4' }, strictPort);
    expect(heard.text).toBe('');
    const line = await lineOf(strict, isTo('localhost', bannerPort));
    expect(line).toMatchObject({ status_code: 'CLIENT_NOT_TLS' });
  });

  it('cannot follow an upgrade where policy refuses them', async () => {
    const upgrade = get('/chat', 'localhost', 'Upgrade: websocket').replace('close', 'Upgrade');
    const heard = await through(
      secureAt('localhost'),
      { from: '127.0.0.4', tls: { servername: 'localhost' }, say: upgrade },
      strictPort,
    );
    expect(heard.text).toMatch(/^HTTP\/1\.1 403 [\s\S]*POLICY_UPGRADE_REFUSED/);
  });
});

/** No authentication, then CONNECT by name or address (RFC 1928). */
function socksRequest(target: string): Buffer {
  const [host = '', atPort = ''] = target.split(':');
  const isIp = /^[\d.]+$/.test(host);
  const address = isIp
    ? Buffer.from(host.split('.').map(Number))
    : Buffer.from(`${String.fromCharCode(host.length)}${host}`, 'latin1');
  const end = Buffer.from([Number(atPort) >> 8, Number(atPort) & 0xff]);
  return Buffer.concat([Buffer.from([5, 1, 0, 5, 1, 0, isIp ? 1 : 3]), address, end]);
}
