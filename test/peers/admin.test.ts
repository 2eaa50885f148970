import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway, waitUntil } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { talk } from '../support/raw-client.ts';
import { failureOf, isFlow, type Line, member } from '../support/record-fields.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const password = 'correct horse:battery';
const curlIsHere = hasProgram('curl');

let gateway: RunningGateway;
/** Its admin address is on every interface. */
let wide: RunningGateway;
let secure: TestOrigin;
let plain: TestOrigin;
const ports = { open: 0, closed: 0, reverse: 0, admin: 0, wide: 0, wideAdmin: 0 };
/** Fields of the last plain request that reached the origin. */
let seen: readonly string[] = [];

beforeAll(async () => {
  const authority = await createTestAuthority();
  secure = await startOrigin(await authority.issue({ names: ['localhost'] }));
  plain = await startOrigin(undefined, (request, response) => {
    seen = request.rawHeaders;
    response.end('reached\n');
  });
  for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort();
  const files = { 'roots.pem': authority.rootPem, secret: `${password}\n` };
  const originTrust = { system: false, files: ['$DIRECTORY/roots.pem'] };
  const credentials = [
    { user: 'ann', passwordFile: '$DIRECTORY/secret' },
    { user: 'bob', password: 'hunter2' },
  ];
  gateway = await startGateway({
    files,
    config: {
      originTrust,
      assets: [{ id: 'elsewhere', kind: 'cvm', hosts: ['elsewhere.example'] }],
      listeners: [
        { mode: 'explicit', listen: `127.0.0.1:${ports.open}` },
        { mode: 'explicit', listen: `127.0.0.1:${ports.closed}`, credentials },
      ],
      admin: { listen: `127.0.0.1:${ports.admin}` },
    },
  });
  wide = await startGateway({
    files,
    config: {
      originTrust,
      listeners: [
        { mode: 'explicit', listen: `127.0.0.1:${ports.wide}` },
        { mode: 'reverse', listen: `127.0.0.1:${ports.reverse}`, origin: `localhost:${ports.wideAdmin}` },
      ],
      admin: { listen: `0.0.0.0:${ports.wideAdmin}` },
    },
  });
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await wide?.[Symbol.asyncDispose]();
  await secure?.[Symbol.asyncDispose]();
  await plain?.[Symbol.asyncDispose]();
});

const metrics = async (): Promise<string> => (await fetch(`http://127.0.0.1:${ports.admin}/metrics`)).text();
/** Value of a series; 0 when it is not there. */
async function metric(series: string): Promise<number> {
  const line = (await metrics()).split('\n').find((text) => text.startsWith(`${series} `));
  return Number(line?.slice(series.length) ?? 0);
}
/** Relays report about once a second. */
async function metricReaches(series: string, least: number): Promise<void> {
  let value = 0;
  let asking = false;
  await waitUntil(
    () => {
      if (!asking) {
        asking = true;
        void metric(series).then((now) => {
          value = now;
          asking = false;
        });
      }
      return value >= least;
    },
    () => `${series} is ${value}, not ${least}`,
  );
}
const curl = (port: number, ...args: string[]) =>
  run('curl', [
    '-sS',
    '--max-time',
    '10',
    '--cacert',
    gateway.caFile,
    '--noproxy',
    '',
    '--proxy',
    `http://127.0.0.1:${port}`,
    ...args,
  ]);

describe('the admin address', () => {
  it('answers /health and /metrics, and nothing else', async () => {
    const at = `http://127.0.0.1:${ports.admin}`;
    const health = await fetch(`${at}/health`);
    expect([health.status, await health.json()]).toEqual([
      200,
      { status: 'ready', relays: 1, policy: expect.stringMatching(/^[0-9a-f]{12}$/) },
    ]);
    expect((await fetch(`${at}/metrics`)).headers.get('content-type')).toContain('text/plain; version=0.0.4');
    expect((await fetch(`${at}/other`)).status).toBe(404);
    expect((await fetch(`${at}/health`, { method: 'POST' })).status).toBe(405);
  });

  const ownAddress = Object.values(networkInterfaces())
    .flat()
    .find((address) => address?.internal === false && address.family === 'IPv4')?.address;
  const reached: readonly (readonly [string, string])[] = [
    ['127.0.0.1', 'a number'],
    ['localhost', 'a name'],
    ['localhost.', 'a name with a dot'],
    ['LOCALHOST', 'a name in capitals'],
    ['0.0.0.0', 'the unspecified address'],
    ['[::1]', 'IPv6'],
    ['[::]', 'the unspecified address of IPv6'],
    ['[::ffff:127.0.0.1]', 'a mapped address'],
    ['[::ffff:7f00:1]', 'a mapped address in hexadecimal'],
    ['127.1', 'a short address'],
    ['2130706433', 'one number'],
    ['0x7f000001', 'a hexadecimal number'],
    ['0177.0.0.1', 'an octal number'],
  ];
  it.each(reached)('cannot be reached through the proxy as %s, %s', async (host) => {
    for (const [proxy, admin] of [
      [ports.open, ports.admin],
      [ports.wide, ports.wideAdmin],
    ] as const) {
      const target = `${host}:${admin}`;
      const ask = `GET /health HTTP/1.1\r\nHost: ${target}\r\nConnection: close\r\n\r\n`;
      const heard = await Promise.all([
        talk(proxy, { say: `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n${ask}` }),
        talk(proxy, { say: ask.replace('/health', `http://${target}/health`) }),
        talk(proxy, { say: Buffer.concat([socksConnect(host, admin), Buffer.from(ask)]) }),
      ]);
      for (const { text } of heard) expect(text).not.toContain('"relays"');
      expect(heard[0]?.text).toMatch(/^HTTP\/1\.1 (?:403|400|502) /);
      expect(heard[1]?.text).toMatch(/^HTTP\/1\.1 (?:403|400|502) /);
      expect(socksReply(heard[2]?.text)).not.toBe(0);
    }
  });

  it('is refused by its code, wherever it is recognised', async () => {
    const everywhere = [
      '127.0.0.2',
      'localhost',
      '[::ffff:127.0.0.1]',
      ...(ownAddress === undefined ? [] : [ownAddress]),
    ];
    for (const host of everywhere) {
      const heard = await talk(ports.wide, {
        say: `GET http://${host}:${ports.wideAdmin}/metrics HTTP/1.1\r\nHost: ${host}:${ports.wideAdmin}\r\n\r\n`,
      });
      expect(heard.text).toMatch(/^HTTP\/1\.1 403 [\s\S]*POLICY_ADMIN_ADDRESS/);
    }
    const isMine = (line: Line): boolean => isFlow(line) && failureOf(line) === 'POLICY_ADMIN_ADDRESS';
    await wide.waitForRecords('traffic', (all) => all.filter(isMine).length >= everywhere.length);
  });

  it('is not even reached by a published endpoint that leads there', async () => {
    const heard = await talk(ports.reverse, { say: 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n' });
    expect(heard.text).toMatch(/^HTTP\/1\.1 403 [\s\S]*POLICY_ADMIN_ADDRESS/);
  });
});

describe('the listeners as destinations', () => {
  it.each(['127.0.0.1', 'localhost', '0.0.0.0', '[::ffff:127.0.0.1]'])('are a loop as %s', async (host) => {
    for (const port of [ports.open, ports.closed]) {
      const target = `${host}:${port}`;
      const connected = await talk(ports.open, { say: `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n` });
      expect(connected.text).toMatch(/^HTTP\/1\.1 508 [\s\S]*POLICY_LOOP/);
      const absolute = await talk(ports.open, { say: `GET http://${target}/ HTTP/1.1\r\nHost: ${target}\r\n\r\n` });
      expect(absolute.text).toMatch(/^HTTP\/1\.1 508 [\s\S]*POLICY_LOOP/);
      const socks = await talk(ports.open, { say: socksConnect(host, port) });
      expect(socksReply(socks.text)).toBe(2);
    }
  });
});

describe.runIf(curlIsHere)('proxy credentials', () => {
  const https = (): string => `https://localhost:${secure.port}/`;
  const http = (): string => `http://127.0.0.1:${plain.port}/`;
  const right = ['--proxy-user', `ann:${password}`];

  it('are asked for', async () => {
    const connected = await curl(ports.closed, '-v', https());
    expect(connected.code).toBe(56);
    expect(connected.stderr).toMatch(/< HTTP\/1\.1 407 [\s\S]*< Proxy-Authenticate: Basic realm="daylight"/);
    const absolute = await curl(ports.closed, '-w', '%{http_code}', http());
    expect(absolute.stdout).toMatch(/CLIENT_PROXY_AUTH_REQUIRED[\s\S]*407$/);
  });

  it('open the proxy when they are right, and go no further', async () => {
    expect(await curl(ports.closed, ...right, https())).toMatchObject({ code: 0, stderr: '' });
    expect(await curl(ports.closed, '--proxy-user', 'bob:hunter2', https())).toMatchObject({ code: 0 });
    expect(await curl(ports.closed, ...right, http())).toMatchObject({ code: 0, stdout: 'reached\n' });
    expect(seen.map((text) => text.toLowerCase())).not.toContain('proxy-authorization');
  });

  it.each([
    ['a wrong password', 'ann:hunter2'],
    ['a wrong user', 'eve:hunter2'],
    ['no password', 'bob:'],
  ])('are refused with %s', async (_what, user) => {
    const connected = await curl(ports.closed, '-v', '--proxy-user', user, https());
    expect(connected.stderr).toContain('< HTTP/1.1 407');
  });

  it('are asked for with every request of a connection', async () => {
    const target = `127.0.0.1:${plain.port}`;
    const token = Buffer.from(`ann:${password}`).toString('base64');
    const ask = (path: string, ...fields: string[]): string =>
      [`GET http://${target}${path} HTTP/1.1`, `Host: ${target}`, ...fields, '', ''].join('\r\n');
    const before = plain.requests.length;
    const say = ask('/first', `Proxy-Authorization: Basic ${token}`) + ask('/second') + ask('/third');
    const { text } = await talk(ports.closed, { say });
    expect(text).toMatch(/^HTTP\/1\.1 200 [\s\S]*reached\n[\s\S]*HTTP\/1\.1 407 /);
    expect(plain.requests.slice(before)).toEqual(['GET /first']);
  });

  it('are those of SOCKS5 as well', async () => {
    const socks = (user: string) => ['--proxy', `socks5h://127.0.0.1:${ports.closed}`, '--proxy-user', user];
    expect(await curl(ports.closed, ...socks(`ann:${password}`), https())).toMatchObject({ code: 0, stderr: '' });
    expect((await curl(ports.closed, ...socks('ann:hunter2'), https())).code).toBe(97);
    expect((await curl(ports.closed, '--proxy', `socks5h://127.0.0.1:${ports.closed}`, https())).code).toBe(97);
    const isMine = (line: Line): boolean =>
      failureOf(line) === 'CLIENT_PROXY_AUTH_REQUIRED' && member(line, 'unmapped', 'gateway', 'via') === 'socks5';
    await gateway.waitForRecords('traffic', (all) => all.filter(isMine).length >= 2);
  });

  it('stand in no record, log, or metric', async () => {
    const text = [gateway.log(), JSON.stringify(gateway.records('traffic')), await metrics()].join();
    for (const user of [`ann:${password}`, 'bob:hunter2', 'ann:hunter2']) {
      expect(text).not.toContain(user.slice(4));
      expect(text).not.toContain(Buffer.from(user).toString('base64'));
    }
  });
});

describe.runIf(curlIsHere)('the metrics', () => {
  /** Relays report once a second: what was counted before is in the metrics then. */
  const reported = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2_500));

  it('count a failure once, though the record of its transaction and that of its flow both tell it', async () => {
    const series = 'daylight_failures_total{code="ORIGIN_REFUSED"}';
    const closed = await freePort();
    // What the tests before this one had counted is still on its way.
    await reported();
    const before = await metric(series);
    const { stdout } = await curl(ports.open, `http://localhost:${closed}/once`);
    expect(stdout).toContain('ORIGIN_REFUSED');
    const told = (lines: readonly Line[]) =>
      lines.filter((line) => failureOf(line) === 'ORIGIN_REFUSED' && JSON.stringify(line).includes(`:${closed}`));
    const lines = await gateway.waitForRecords('traffic', (all) => told(all).length === 2);
    expect(told(lines).map(({ class_uid }) => class_uid)).toEqual([4002, 4001]);
    // Of another asset than its flow, an exchange has facts of its own.
    const mismatch = 'daylight_failures_total{code="CLIENT_HOST_MISMATCH"}';
    const mismatches = await metric(mismatch);
    const elsewhere = ['-H', 'Host: elsewhere.example', `https://localhost:${secure.port}/`];
    for (const _ of [1, 2]) expect((await curl(ports.open, ...elsewhere)).stdout).toContain('CLIENT_HOST_MISMATCH');
    await metricReaches(series, before + 1);
    await metricReaches(mismatch, mismatches + 2);
    await reported();
    expect([await metric(series), await metric(mismatch)]).toEqual([before + 1, mismatches + 2]);
  });

  it('count flows, transactions, leafs, sessions, bytes, and failures by their codes', async () => {
    const codes = ['POLICY_LOOP', 'POLICY_ADMIN_ADDRESS', 'CLIENT_PROXY_AUTH_REQUIRED'];
    for (const code of codes) await metricReaches(`daylight_failures_total{code="${code}"}`, 1);
    const before = await metric('daylight_failures_total{code="ORIGIN_REFUSED"}');
    const transactions = 'daylight_transactions_total{protocol="http/1.1",verdict="allow"}';
    const soFar = await metric(transactions);
    const closed = await freePort();
    await curl(ports.open, `https://localhost:${closed}/`);
    await curl(ports.open, `https://localhost:${secure.port}/`);
    await metricReaches('daylight_failures_total{code="ORIGIN_REFUSED"}', before + 1);
    await metricReaches(transactions, soFar + 1);
    const text = await metrics();
    for (const series of [
      'flows_total{decision="intercept"}',
      'leafs_issued_total',
      'bytes_total{from="client"}',
      'tls_sessions_total{leg="client",resumed="false"}',
      'tls_sessions_total{leg="origin",resumed="false"}',
    ]) {
      expect(text).toMatch(new RegExp(`^daylight_${series.replaceAll(/[{}]/g, '\\$&')} [1-9]`, 'm'));
    }
    // Each metric is explained before its first value (Prometheus text format 0.0.4).
    for (const [name] of text.matchAll(/^daylight_\w+/gm)) expect(text).toContain(`# TYPE ${name} `);
  });

  it('agree with the catalogue of failures', async () => {
    const page = readFileSync(new URL('../../docs/failures.md', import.meta.url), 'utf8');
    for (const [, code] of (await metrics()).matchAll(/code="(\w+)"/g)) expect(page).toContain(`${code}`);
  });
});

/** No authentication, then CONNECT (RFC 1928); a host in brackets is IPv6, whatever else a name. */
function socksConnect(host: string, port: number): Buffer {
  const name = Buffer.from(host.replaceAll(/[[\]]/g, ''), 'latin1');
  return Buffer.concat([Buffer.from([5, 1, 0, 5, 1, 0, 3, name.length]), name, Buffer.from([port >> 8, port & 0xff])]);
}

/** The reply code behind the choice of the method. */
function socksReply(text = ''): number | undefined {
  return Buffer.from(text, 'latin1')[3];
}
