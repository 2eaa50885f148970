import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ConnectProxy, startConnectProxy } from '../support/connect-proxy.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import {
  failureOf,
  flowOf,
  gatewayField,
  isFlow,
  isTransaction,
  type Line,
  labelOf,
  member,
} from '../support/record-fields.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const user = 'branch';
const password = 'pa ss:w%rd/ünï';
const refusals = {
  'needs-credentials.test': 'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n',
  'unreachable.test': 'HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\nnope',
  'not-http.test': 'SSH-2.0-OpenSSH_9.2\r\n\r\n',
  'says-nothing.test': '',
};

let origin: TestOrigin;
let plain: TestOrigin;
let proxy: ConnectProxy;
/** Reaches its origins through `proxy`. */
let gateway: RunningGateway;
/** A Daylight that asks for credentials. */
let upper: RunningGateway;
/** Reaches its origins through `upper`. */
let lower: RunningGateway;
const ports = { gateway: 0, reverse: 0, upper: 0, lower: 0, stranger: 0 };

beforeAll(async () => {
  const authority = await createTestAuthority();
  origin = await startOrigin(await authority.issue({ names: ['localhost', '127.0.0.1'] }));
  plain = await startOrigin(undefined);
  proxy = await startConnectProxy(refusals);
  for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort();
  const explicit = (port: number, more: object = {}) => ({ mode: 'explicit', listen: `127.0.0.1:${port}`, ...more });
  const files = { 'roots.pem': authority.rootPem };
  const originTrust = { system: false, files: ['$DIRECTORY/roots.pem'] };
  gateway = await startGateway({
    files,
    config: {
      originTrust,
      listeners: [
        explicit(ports.gateway),
        { mode: 'reverse', listen: `127.0.0.1:${ports.reverse}`, origin: `localhost:${origin.port}` },
      ],
      upstream: { proxy: `http://127.0.0.1:${proxy.port}`, except: ['127.0.0.1', '*.direct.test'] },
    },
  });
  upper = await startGateway({
    files,
    config: { originTrust, listeners: [explicit(ports.upper, { credentials: [{ user, password }] })] },
  });
  const through = `http://${encodeURIComponent(user)}:${encodeURIComponent(password)}@localhost:${ports.upper}`;
  lower = await startGateway({
    files: { 'roots.pem': readFileSync(upper.caFile, 'utf8') },
    config: { originTrust, listeners: [explicit(ports.lower)], upstream: { proxy: through } },
  });
});

afterAll(async () => {
  for (const one of [gateway, lower, upper]) await one?.[Symbol.asyncDispose]();
  for (const one of [origin, plain, proxy]) await one?.[Symbol.asyncDispose]();
});

const curl = (through: RunningGateway, port: number, ...args: string[]) =>
  run('curl', [
    ...['-sS', '--max-time', '10', '--cacert', through.caFile],
    ...['--noproxy', '', '--proxy', `http://127.0.0.1:${port}`],
    ...args,
  ]);
const transactionOf = async (of: RunningGateway, path: string): Promise<Line | undefined> => {
  const isMine = (line: Line): boolean => isTransaction(line) && member(line, 'http_request', 'url', 'path') === path;
  return (await of.waitForRecords('traffic', (all) => all.some(isMine))).find(isMine);
};

const flowRecord = async (of: RunningGateway, transaction: Line | undefined): Promise<Line | undefined> => {
  const isMine = (line: Line): boolean => isFlow(line) && flowOf(line) === flowOf(transaction);
  return (await of.waitForRecords('traffic', (all) => all.some(isMine))).find(isMine);
};

describe.runIf(hasProgram('curl'))('an upstream proxy', () => {
  it('carries HTTPS, which is inspected all the same', async () => {
    const seen = proxy.requests.length;
    const ran = await curl(gateway, ports.gateway, `https://localhost:${origin.port}/one`);
    expect(ran).toEqual({ code: 0, stdout: `GET localhost:${origin.port} /one 0\n`, stderr: '' });
    const target = `localhost:${origin.port}`;
    expect(proxy.requests.slice(seen)).toEqual([`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`]);
    const line = await transactionOf(gateway, '/one');
    expect(labelOf(line)).toBe('Decryption Detection');
    expect(gatewayField(line, 'upstream_proxy')).toBe(`127.0.0.1:${proxy.port}`);
    // The proxy resolves the name: its own address is not the origin's.
    expect(member(line, 'dst_endpoint')).toMatchObject({ hostname: 'localhost', port: origin.port });
    expect(member(line, 'dst_endpoint')).not.toHaveProperty('ip');
  });

  it('carries plain HTTP in a tunnel as well, and SOCKS5 clients, and published endpoints', async () => {
    const seen = proxy.requests.length;
    const http = await curl(gateway, ports.gateway, `http://localhost:${plain.port}/two`);
    expect(http.stdout).toBe(`GET localhost:${plain.port} /two 0\n`);
    const socks = ['--proxy', `socks5h://127.0.0.1:${ports.gateway}`];
    const https = await curl(gateway, ports.gateway, ...socks, `https://localhost:${origin.port}/three`);
    expect(https.stdout).toBe(`GET localhost:${origin.port} /three 0\n`);
    const url = `https://localhost:${ports.reverse}/four`;
    const published = await curl(gateway, ports.gateway, '--noproxy', '*', url);
    expect(published.stdout).toBe(`GET localhost:${ports.reverse} /four 0\n`);
    expect(proxy.requests.length - seen).toBe(3);
  });

  it('is left out for hosts of `except`', async () => {
    const seen = proxy.requests.length;
    const ran = await curl(gateway, ports.gateway, `https://127.0.0.1:${origin.port}/direct`);
    expect(ran).toMatchObject({ code: 0, stdout: `GET 127.0.0.1:${origin.port} /direct 0\n` });
    expect(proxy.requests.length).toBe(seen);
    expect(gatewayField(await transactionOf(gateway, '/direct'), 'upstream_proxy')).toBeUndefined();
    // Named so that nothing but the exception can make the difference: this one is resolved here, in vain.
    const unknown = await curl(gateway, ports.gateway, '-v', 'https://a.direct.test/');
    expect(unknown.stderr).toContain('Daylight-Failure: ORIGIN_NAME_UNRESOLVED');
    expect(proxy.requests.length).toBe(seen);
  });

  it.each(Object.keys(refusals))('that refuses or fails (%s) is told in HTTP and recorded', async (host) => {
    const ran = await curl(gateway, ports.gateway, '-v', `https://${host}/`);
    expect(ran.code).toBe(56);
    expect(ran.stderr).toContain('HTTP/1.1 502 Bad Gateway');
    expect(ran.stderr).toContain('Daylight-Failure: ORIGIN_UPSTREAM_PROXY');
    const isMine = (line: Line): boolean => isFlow(line) && member(line, 'dst_endpoint', 'hostname') === host;
    const line = (await gateway.waitForRecords('traffic', (all) => all.some(isMine))).find(isMine);
    expect(failureOf(line)).toBe('ORIGIN_UPSTREAM_PROXY');
    expect(gatewayField(line, 'upstream_proxy')).toBe(`127.0.0.1:${proxy.port}`);
    const plainly = await curl(gateway, ports.gateway, `http://${host}/`);
    expect(plainly.stdout).toContain('ORIGIN_UPSTREAM_PROXY');
  });

  it('that is down is its own failure, not that of the origin', async () => {
    const port = await freePort();
    await using orphan = await startGateway({
      config: {
        listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
        upstream: { proxy: `http://127.0.0.1:${ports.stranger}` },
      },
    });
    const ran = await curl(orphan, port, '-v', 'https://origin.test/');
    expect(ran.stderr).toContain('Daylight-Failure: ORIGIN_UPSTREAM_PROXY');
  });

  it('cannot be used to reach the gateway itself', async () => {
    const seen = proxy.requests.length;
    const ran = await curl(gateway, ports.gateway, '-v', `https://127.0.0.1:${ports.gateway}/`);
    expect(ran.stderr).toContain('Daylight-Failure: POLICY_LOOP');
    expect(proxy.requests.length).toBe(seen);
  });
});

describe.runIf(hasProgram('curl'))('two gateways in a row', () => {
  it('each inspect, with credentials between them that no record shows', async () => {
    const ran = await curl(lower, ports.lower, `https://localhost:${origin.port}/chain`, '-d', 'x=1');
    expect(ran).toEqual({ code: 0, stdout: `POST localhost:${origin.port} /chain 3\n`, stderr: '' });
    const [below, above] = [await transactionOf(lower, '/chain'), await transactionOf(upper, '/chain')];
    expect([labelOf(below), labelOf(above)]).toEqual(['Decryption Detection', 'Decryption Detection']);
    expect(gatewayField(below, 'upstream_proxy')).toBe(`localhost:${ports.upper}`);
    // What the lower one verified is the leaf that the upper one made.
    const [flowBelow, flowAbove] = [await flowRecord(lower, below), await flowRecord(upper, above)];
    const serial = member(flowBelow, 'proxy_tls', 'certificate', 'serial_number');
    expect(serial).toMatch(/^[0-9A-F]{32}$/);
    expect(member(flowAbove, 'tls', 'certificate', 'serial_number')).toBe(serial);
    const secrets = [password, encodeURIComponent(password), Buffer.from(`${user}:${password}`).toString('base64')];
    const written = [lower, upper].map((one) => one.log() + JSON.stringify(one.records('traffic'))).join();
    for (const secret of secrets) expect(written).not.toContain(secret);
  });

  it('refuse whoever comes without credentials', async () => {
    const ran = await curl(upper, ports.upper, '-v', `https://localhost:${origin.port}/`);
    expect(ran.stderr).toContain('HTTP/1.1 407');
    expect(ran.stderr).toContain('Proxy-Authenticate: Basic realm="daylight"');
  });

  it('pass on why the second one could not reach the origin', async () => {
    const ran = await curl(lower, ports.lower, '-v', `https://localhost:${ports.stranger}/`);
    expect(ran.stderr).toContain('Daylight-Failure: ORIGIN_UPSTREAM_PROXY');
    const isMine = (line: Line): boolean => failureOf(line) === 'ORIGIN_UPSTREAM_PROXY';
    const line = (await lower.waitForRecords('traffic', (all) => all.some(isMine))).find(isMine);
    expect(member(line, 'status_detail')).toContain('502');
  });
});
