import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { type Heard, talk } from '../support/raw-client.ts';
import { failureOf, gatewayField, isTransaction, type Line, member } from '../support/record-fields.ts';
import { createTestAuthority } from '../support/test-authority.ts';

let gateway: RunningGateway;
let port: number;
let keys: string;
let origin: TestOrigin;
let plain: TestOrigin;

beforeAll(async () => {
  const authority = await createTestAuthority();
  const names = [
    'a.example',
    'b.example',
    'shop.example',
    'quiet.example',
    'id.example',
    'x.bank.example',
    'localhost',
  ];
  origin = await startOrigin(await authority.issue({ names }));
  plain = await startOrigin(undefined);
  port = await freePort();
  keys = mkdtempSync(join(tmpdir(), 'daylight-keys-'));
  const identity = await authority.issue({ names: ['client.example'] });
  writeFileSync(join(keys, 'client.pem'), String(identity.cert));
  writeFileSync(join(keys, 'client.key'), String(identity.key), { mode: 0o600 });
  gateway = await startGateway({
    files: {
      'roots.pem': authority.rootPem,
      'rules.yaml': `
- { id: b.secret, title: Secret of b, action: block, when: { all: [{ field: http.host, equals: b.example }, { field: http.path, prefix: /secret }] } }
- { id: shop.any, title: Shop, action: alarm, when: { field: asset.id, equals: shop } }
`,
    },
    config: {
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
      assets: [
        { id: 'shop', kind: 'gaap', hosts: ['shop.example'], detect: true },
        { id: 'quiet', kind: 'gaap', hosts: ['quiet.example'], detect: false },
      ],
      bypass: [{ hosts: ['*.bank.example'], reason: 'privacy' }],
      refuse: [{ hosts: ['ads.example'], reason: 'not for work' }],
      originClientCertificates: {
        certificates: [{ hosts: ['id.example'], cert: join(keys, 'client.pem'), key: join(keys, 'client.key') }],
      },
      rules: { files: ['$DIRECTORY/rules.yaml'] },
    },
  });
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  rmSync(keys, { recursive: true, force: true });
  for (const one of [origin, plain]) await one?.[Symbol.asyncDispose]();
});

const request = (host: string, path: string, last = true): string =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${last ? 'Connection: close\r\n' : ''}\r\n`;

/** Asks for hosts one after the other over one connection whose TLS names a.example. */
function front(...asked: readonly (readonly [host: string, path: string])[]): Promise<Heard> {
  const target = `localhost:${origin.port}`;
  return talk(port, {
    before: `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`,
    until: '\r\n\r\n',
    tls: { servername: 'a.example' },
    say: asked.map(([host, path], index) => request(host, path, index === asked.length - 1)).join(''),
  });
}

const isPath = (path: string) => (line: Line) =>
  isTransaction(line) && member(line, 'http_request', 'url', 'path') === path;

async function recordOf(path: string): Promise<Line | undefined> {
  return (await gateway.waitForRecords('traffic', (all) => all.some(isPath(path)))).find(isPath(path));
}

describe('a request for another host than TLS named', () => {
  it('is judged by rules on its own host, and its record says so', async () => {
    const { text } = await front(['a.example', '/secret/open'], ['b.example', '/secret/fronted']);
    expect(text).toContain('GET a.example /secret/open 0');
    expect(text).toMatch(/HTTP\/1\.1 403 [\s\S]*b\.secret/);
    expect(origin.requests).not.toContain('GET /secret/fronted');
    const line = await recordOf('/secret/fronted');
    expect(gatewayField(line, 'sni_mismatch')).toBe(true);
    expect(line).toMatchObject({ tls: { sni: 'a.example' }, http_request: { url: { hostname: 'b.example' } } });
    expect(gatewayField(await recordOf('/secret/open'), 'sni_mismatch')).toBeUndefined();
  });

  it('is of the asset of its own host, in rules and records, from one request to the next', async () => {
    const { text } = await front(
      ['a.example', '/of-none'],
      ['shop.example', '/of-shop'],
      ['a.example', '/of-none-again'],
    );
    expect(text).toContain('GET shop.example /of-shop 0');
    const line = await recordOf('/of-shop');
    expect(gatewayField(line, 'asset')).toEqual({ id: 'shop', kind: 'gaap' });
    expect(gatewayField(line, 'decision_reason')).toBe('asset shop');
    expect(gatewayField(line, 'rule')).toBe('shop.any');
    for (const path of ['/of-none', '/of-none-again']) {
      expect(gatewayField(await recordOf(path), 'asset')).toBeUndefined();
    }
    const alarms = gateway.records('alarms').filter((alarm) => gatewayField(alarm, 'rule') === 'shop.any');
    expect(alarms).toHaveLength(1);
  });

  it.each([
    ['is exempt from inspection', 'x.bank.example'],
    ['is of an asset that is not inspected', 'quiet.example'],
    ['is reached with a certificate of the client', 'id.example'],
    ['the certificate does not cover', 'other.example'],
  ])('that %s is sent to a connection of its own', async (_, host) => {
    const path = `/misdirected/${host}`;
    const { text } = await front([host, path]);
    expect(text).toMatch(/^HTTP\/1\.1 421 [\s\S]*CLIENT_HOST_MISMATCH/);
    expect(origin.requests).not.toContain(`GET ${path}`);
    expect(failureOf(await recordOf(path))).toBe('CLIENT_HOST_MISMATCH');
  });

  it('that policy refuses is refused', async () => {
    const { text } = await front(['ads.example', '/ads']);
    expect(text).toMatch(/^HTTP\/1\.1 403 [\s\S]*POLICY_REFUSED/);
  });
});

describe('in the clear', () => {
  it('a request is of the asset of its Host, and nothing is told to go elsewhere', async () => {
    const target = `127.0.0.1:${plain.port}`;
    const { text } = await talk(port, {
      before: `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`,
      until: '\r\n\r\n',
      say: request('shop.example', '/clear-shop', false) + request('x.bank.example', '/clear-bank'),
    });
    expect(text).toContain('GET x.bank.example /clear-bank 0');
    expect(gatewayField(await recordOf('/clear-shop'), 'asset')).toEqual({ id: 'shop', kind: 'gaap' });
    expect(await recordOf('/clear-bank')).toBeDefined();
  });

  it('absolute requests go to the origin of each, and are of its asset', async () => {
    const at = (host: string, path: string, last: boolean) =>
      `GET http://${host}:${plain.port}${path} HTTP/1.1\r\nHost: ${host}:${plain.port}\r\n${last ? 'Connection: close\r\n' : ''}\r\n`;
    const { text } = await talk(port, {
      say: at('localhost', '/one', false) + at('127.0.0.1', '/two', false) + at('ads.example', '/three', true),
    });
    expect(text).toContain(`GET localhost:${plain.port} /one 0`);
    expect(text).toContain(`GET 127.0.0.1:${plain.port} /two 0`);
    expect(text).toMatch(/HTTP\/1\.1 403 [\s\S]*POLICY_REFUSED/);
  });
});
