import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { utimes } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createProxiedTest } from '../../src/control/revocation/proxied-names.ts';
import { RevocationService } from '../../src/control/revocation/revocation-service.ts';
import type { RevocationSettings } from '../../src/control/revocation/revocation-settings.ts';
import { limits } from '../../src/core/limits.ts';
import type { RevocationFinding } from '../../src/core/revocation.ts';
import { createExposition, type Exposition } from '../../src/metrics/exposition.ts';
import { labCrl, labEntry, labPoints, labResponders, serialContent } from '../pki/support/crl.ts';
import { type LabCertificate, labKey, labLeaf, labRoot } from '../pki/support/lab.ts';
import { type ConnectProxy, startConnectProxy } from '../support/connect-proxy.ts';

type Answer = (response: ServerResponse, count: number) => void;

const root = labRoot();
const hour = 3_600_000;
let directory: string;
let server: Server;
let port: number;
let metrics: Exposition;
const services: RevocationService[] = [];
/** What each path answers, and how often it was asked. */
const answers = new Map<string, Answer>();
const asked = new Map<string, number>();

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'daylight-revocation-'));
  answers.clear();
  asked.clear();
  metrics = createExposition();
  server = createServer((request, response) => {
    const path = request.url ?? '';
    const count = (asked.get(path) ?? 0) + 1;
    asked.set(path, count);
    response.on('error', () => {});
    const answer = answers.get(path);
    if (answer === undefined) response.writeHead(404).end();
    else answer(response, count);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});

afterEach(async () => {
  for (const service of services.splice(0)) await service.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true, force: true });
});

describe('control asked about many certificates by one client', () => {
  const flood = (service: RevocationService, count: number): void => {
    for (let serial = 100; serial < 100 + count; serial += 1) {
      answers.set(`/silent-${serial}.crl`, () => {});
      void find(service, leaf(`/silent-${serial}.crl`, serial), '192.0.2.1');
    }
  };

  test('fetches for another one all the same, at the same host', async () => {
    serve('/a.crl', labCrl(root, {}));
    const service = open({ fetchMs: 10_000 });
    flood(service, limits.revocationPending);
    expect(await find(service, leaf('/a.crl'), '192.0.2.2')).toMatchObject({ status: 'good' });
    // The first has half of what is fetched at once there.
    expect([...asked.keys()].filter((path) => path.startsWith('/silent'))).toHaveLength(
      limits.revocationFetchesPerHost / 2,
    );
  });

  test('does not take for an answer of others what it had no place for', async () => {
    serve('/a.crl', labCrl(root, {}));
    serve('/b.crl', labCrl(root, {}));
    const service = open({ fetchMs: 10_000 });
    flood(service, limits.revocationPending);
    const [crowded, answered] = await Promise.all([
      find(service, leaf('/a.crl'), '192.0.2.1'),
      find(service, leaf('/a.crl'), '192.0.2.2'),
    ]);
    expect([crowded.status, crowded.detail]).toEqual(['unknown', 'too many questions under way']);
    expect(answered.status).toBe('good');
    // It is not remembered either, and what was found for another is there for all.
    expect((await find(service, leaf('/b.crl', 2), '192.0.2.1')).status).toBe('unknown');
    expect((await find(service, leaf('/b.crl', 2), '192.0.2.2')).status).toBe('good');
    expect((await find(service, leaf('/a.crl'), '192.0.2.1')).status).toBe('good');
  });
});

describe('control asked about a certificate', () => {
  test('fetches its CRL once for all that ask at the same time, and keeps it over a restart', async () => {
    serve('/a.crl', labCrl(root, { revoked: [{ serial: serialContent(77), reason: 1 }] }));
    const service = open();
    const both = await Promise.all([find(service, leaf('/a.crl')), find(service, leaf('/a.crl', 77))]);
    expect(both.map(({ status }) => status)).toEqual(['good', 'revoked']);
    expect(asked.get('/a.crl')).toBe(1);
    await fileKept();
    answers.clear();
    expect(await find(open(), leaf('/a.crl', 77))).toMatchObject({ status: 'revoked', source: 'crl' });
    expect(asked.get('/a.crl')).toBe(1);
    expect(metrics.text()).toContain('daylight_revocation_fetches_total{kind="crl",outcome="ok"} 1');
  });

  test('believes nothing that lies on disk without a signature', async () => {
    serve('/a.crl', labCrl(root, { revoked: [{ serial: serialContent(77) }] }));
    await find(open(), leaf('/a.crl', 77));
    const [name = ''] = await fileKept();
    writeFileSync(join(directory, name), labCrl(root, { key: labKey() }));
    answers.clear();
    expect((await find(open(), leaf('/a.crl', 77))).status).toBe('unknown');
  });

  const forged: readonly (readonly [string, () => Buffer, string])[] = [
    ['a CRL with a forged signature', () => labCrl(root, { key: labKey() }), 'CRL not signed by the issuer'],
    ['a CRL that is out of date', () => labCrl(root, { nextUpdate: Date.now() - hour }), 'CRL out of date'],
    ['a CRL of another CA', () => labCrl(labRoot()), 'no CRL of the issuer'],
    ['a web page', () => Buffer.from('<html>not found</html>'), 'CRL malformed'],
    ['nothing', () => Buffer.alloc(0), 'CRL malformed'],
    ['11 MB', () => Buffer.alloc(11_000_000, 0x30), 'longer than 10485760 bytes'],
  ];
  test.each(forged)('knows nothing from %s, and does not ask again at once', async (_, body, detail) => {
    serve('/a.crl', body());
    const service = open();
    expect(await find(service, leaf('/a.crl'))).toMatchObject({ status: 'unknown', detail });
    await find(service, leaf('/a.crl'));
    expect(readdirSync(directory)).toEqual([]);
  });

  const broken: readonly (readonly [string, Answer, string])[] = [
    ['a redirect to itself', (response) => response.writeHead(302, { location: '/x' }).end(), 'too many redirects'],
    [
      'a redirect to https',
      (response) => response.writeHead(302, { location: 'https://127.0.0.1/' }).end(),
      'redirect away from http',
    ],
    [
      'a redirect to a private address',
      (response) => response.writeHead(302, { location: 'http://10.0.0.1/' }).end(),
      'address is not public',
    ],
    ['an error', (response) => response.writeHead(503).end(), 'HTTP status 503'],
    ['silence', () => {}, 'no answer in time'],
    ['a head and then silence', (response) => response.writeHead(200).write('0'), 'no answer in time'],
    ['bytes that never end', (response) => drip(response), 'no answer in time'],
    ['a connection that is cut', (response) => response.socket?.destroy(), 'UND_ERR_SOCKET'],
  ];
  test.each(broken)('knows nothing from %s, in time, and leaves the URL alone', async (_, answer, detail) => {
    answers.set('/x', answer);
    const service = open();
    expect(await find(service, leaf('/x', 5))).toEqual(
      expect.objectContaining({ status: 'unknown', source: 'crl', detail }),
    );
    const before = asked.get('/x');
    expect((await find(service, leaf('/x', 6))).status).toBe('unknown');
    if (detail !== 'redirect away from http' && detail !== 'address is not public')
      expect(asked.get('/x')).toBe(before);
  });

  test('goes on to the next source where one knows nothing', async () => {
    serve('/b.crl', labCrl(root));
    const url = (path: string): string => `http://127.0.0.1:${port}${path}`;
    const certificate = labLeaf(root, {
      names: ['a.example'],
      extra: [labResponders(url('/ocsp')), labPoints(url('/gone.crl'), url('/b.crl'))],
    });
    expect(await find(open(), certificate)).toMatchObject({ status: 'good', source: 'crl' });
    expect([...asked.keys()]).toEqual(['/ocsp', '/gone.crl', '/b.crl']);
  });

  test('follows a redirect', async () => {
    answers.set('/old.crl', (response) => response.writeHead(301, { location: '/new.crl' }).end());
    serve('/new.crl', labCrl(root));
    expect((await find(open(), leaf('/old.crl'))).status).toBe('good');
  });

  test('never goes back to an older CRL, and keeps the last good one when its URL fails', async () => {
    const hold = labCrl(root, { revoked: [{ serial: serialContent(77), reason: 6 }], thisUpdate: Date.now() - 1_000 });
    serve('/a.crl', hold);
    const first = open();
    expect((await find(first, leaf('/a.crl', 77))).detail).toContain('certificateHold');
    const [name = ''] = await fileKept();
    const old = labCrl(root, { thisUpdate: Date.now() - 2 * hour });
    serve('/a.crl', old);
    // As if six hours had passed: what lies on disk is due.
    await aged(join(directory, name));
    expect((await find(open(), leaf('/a.crl', 77))).status).toBe('revoked');
    answers.clear();
    expect((await find(open(), leaf('/a.crl', 77))).status).toBe('revoked');
    expect(asked.get('/a.crl')).toBe(3);
  });

  test('reads a CRL of 10 MB while the event loop turns', async () => {
    const entry = labEntry({ serial: serialContent(0x7fffff01) });
    const at = entry.indexOf(serialContent(0x7fffff01));
    const rawEntries = Buffer.alloc(Math.floor(10_000_000 / entry.length) * entry.length);
    for (let start = 0, number = 1; start < rawEntries.length; start += entry.length, number += 1) {
      entry.copy(rawEntries, start);
      rawEntries.writeUInt32BE(0x10000000 + number, start + at);
    }
    serve('/large.crl', labCrl(root, { rawEntries }));
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 1);
    expect((await find(open(), leaf('/large.crl', 0x10000000 + 400_000))).status).toBe('revoked');
    clearInterval(timer);
    expect(turns).toBeGreaterThan(20);
  });
});

describe('control asked to fetch from where it may not', () => {
  const closed = { allowAddresses: [] };
  test('refuses addresses that are not public, by number and by name', async () => {
    serve('/a.crl', labCrl(root));
    expect(await find(open(closed), leaf('/a.crl'))).toMatchObject({ detail: 'address is not public' });
    const named = labLeaf(root, { names: ['a.example'], extra: [labPoints(`http://localhost:${port}/a.crl`)] });
    expect(await find(open(closed), named)).toMatchObject({ detail: 'address is not public' });
    const mapped = labLeaf(root, { names: ['a.example'], extra: [labPoints(`http://[::ffff:7f00:1]:${port}/a.crl`)] });
    expect(await find(open(closed), mapped)).toMatchObject({ detail: 'address is not public' });
    expect(asked.size).toBe(0);
    expect(metrics.text()).toContain('daylight_revocation_fetches_total{kind="crl",outcome="refused"} 3');
  });

  test('refuses its own listeners even where addresses are opened', async () => {
    serve('/a.crl', labCrl(root));
    const service = open({ ownListeners: [{ ip: '0.0.0.0', port }] });
    expect(await find(service, leaf('/a.crl'))).toMatchObject({ detail: 'address is not public' });
    expect(asked.size).toBe(0);
  });

  test('asks through the upstream proxy where there is one', async () => {
    serve('/a.crl', labCrl(root));
    await using proxy: ConnectProxy = await startConnectProxy();
    const upstream = { proxy: { host: '127.0.0.1', port: proxy.port }, credentials: undefined, except: [] };
    const service = open({ upstream });
    // This proxy knows CONNECT alone, and proxies seldom allow that to port 80.
    expect(await find(service, leaf('/a.crl'))).toMatchObject({ status: 'unknown' });
    expect(proxy.requests[0]).toMatch(/^GET http:\/\/127\.0\.0\.1:\d+\/a\.crl HTTP\/1\.1\r\n/);
    expect(asked.size).toBe(0);
    expect(await find(open({ upstream: { ...upstream, except: ['127.0.0.1'] } }), leaf('/a.crl'))).toMatchObject({
      status: 'good',
    });
  });
});

describe('names that an upstream proxy would resolve', () => {
  const known: Readonly<Record<string, readonly string[]>> = {
    'crl.public.com': ['8.8.8.8', '2606:4700::1111'],
    'crl.rebound.com': ['8.8.8.8', '10.0.0.1'],
    'metadata.public.com': ['169.254.169.254'],
    'crl.opened.com': ['10.1.0.5'],
  };
  const ask = async (name: string): Promise<readonly string[]> => known[name] ?? [];
  const mayBeProxied = createProxiedTest({ allowAddresses: ['10.1.0.0/16'] }, ask);
  test.each([
    ['crl.public.com', true],
    ['crl.rebound.com', false],
    ['metadata.public.com', false],
    ['crl.opened.com', true],
    // None of these resolves here.
    ['crl.unknown.co.uk', true],
    ['intranet', false],
    ['com', false],
    ['co.uk', false],
    ['crl.corp.internal', false],
    ['pki.local', false],
    ['x.home.arpa', false],
    ['localhost', false],
    ['ca.corp', false],
    ['8.8.8.8', true],
    ['127.0.0.1', false],
    ['10.1.0.9', true],
    ['::1', false],
    ['::ffff:10.0.0.1', false],
  ])('%s may be asked for: %s', async (host, expected) => expect(await mayBeProxied(host)).toBe(expected));

  test('is asked for no longer than a second', async () => {
    const silent = createProxiedTest({ allowAddresses: [] }, () => new Promise(() => {}));
    const startMs = performance.now();
    expect([await silent('crl.public.com'), await silent('crl.corp.internal')]).toEqual([true, false]);
    expect(performance.now() - startMs).toBeLessThan(4_000);
  });

  test('that lead within are not asked of the proxy', async () => {
    await using proxy: ConnectProxy = await startConnectProxy();
    const upstream = { proxy: { host: '127.0.0.1', port: proxy.port }, credentials: undefined, except: [] };
    const extra = [labPoints(`http://localhost:${port}/a.crl`)];
    const certificate = labLeaf(root, { names: ['a.example'], serialNumber: serialContent(1), extra });
    expect(await find(open({ upstream, allowAddresses: [] }), certificate)).toMatchObject({
      status: 'unknown',
      detail: 'address is not public',
    });
    expect(proxy.requests).toEqual([]);
  });
});

function open(changes: Partial<RevocationSettings> = {}): RevocationService {
  const settings = {
    directory,
    allowAddresses: ['127.0.0.0/8'],
    ownListeners: [],
    upstream: undefined,
    fetchMs: 1_000,
  };
  const service = new RevocationService({ ...settings, ...changes }, metrics);
  services.push(service);
  return service;
}

async function find(
  service: RevocationService,
  certificate: LabCertificate,
  client = '192.0.2.1',
): Promise<RevocationFinding> {
  const [finding] = await service.check([{ certificate: certificate.der, issuer: root.der }], client);
  if (finding === undefined) throw new Error('no finding');
  return finding;
}

function leaf(path: string, serial = 1): LabCertificate {
  const extra = [labPoints(`http://127.0.0.1:${port}${path}`)];
  return labLeaf(root, { names: ['a.example'], serialNumber: serialContent(serial), extra });
}

function serve(path: string, body: Buffer): void {
  answers.set(path, (response) => response.end(body));
}

function drip(response: ServerResponse): void {
  const timer = setInterval(() => response.write('0'), 50);
  response.on('close', () => clearInterval(timer));
}

/** Names of the files in the cache, once one is there: it is written after the answer was given. */
async function fileKept(): Promise<readonly string[]> {
  for (;;) {
    const names = readdirSync(directory).filter((name) => !name.startsWith('.'));
    if (names.length > 0) return names;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function aged(path: string): Promise<void> {
  const past = (Date.now() - 7 * hour) / 1_000;
  await utimes(path, past, past);
}
