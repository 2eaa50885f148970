import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

const curlIsHere = hasProgram('curl');

let authority: TestAuthority;
let gateway: RunningGateway;
let secure: TestOrigin;
let plain: TestOrigin;
let port: number;

const label = (record: Record<string, unknown>): unknown => (record.metadata as { labels: unknown[] }).labels[0];
const isHttp = (record: Record<string, unknown>): boolean => record.class_uid === 4002;
const curl = (...args: string[]) =>
  run('curl', ['-sS', '--max-time', '10', '--cacert', gateway.caFile, '--proxy', `http://127.0.0.1:${port}`, ...args]);

beforeAll(async () => {
  authority = await createTestAuthority();
  const credentials = await authority.issue({ names: ['localhost', '127.0.0.1', '::1'] });
  secure = await startOrigin(credentials);
  plain = await startOrigin(undefined);
  port = await freePort();
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem },
    config: {
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
    },
  });
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await secure?.[Symbol.asyncDispose]();
  await plain?.[Symbol.asyncDispose]();
});

describe.runIf(curlIsHere)('the explicit proxy, with curl', () => {
  it('inspects HTTPS through CONNECT and records it as decrypted', async () => {
    const { code, stdout, stderr } = await curl(`https://localhost:${secure.port}/hello?x=1`);
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: `GET localhost:${secure.port} /hello?x=1 0\n`,
      stderr: '',
    });
    const records = await gateway.waitForRecords('traffic', (all) => all.some(isHttp));
    const http = records.find(isHttp);
    expect(http).toMatchObject({
      class_uid: 4002,
      http_request: { http_method: 'GET', url: { path: '/hello', query_string: 'x=1', hostname: 'localhost' } },
      http_response: { code: 200 },
    });
    expect(label(http ?? {})).toBe('Decryption Detection');
  });

  it('serves several requests, uploads and HEAD over one connection', async () => {
    const url = `https://localhost:${secure.port}`;
    const before = secure.connections();
    const again = ['--next', '-sS', '--cacert', gateway.caFile, '--proxy', `http://127.0.0.1:${port}`];
    const { code, stdout } = await curl(`${url}/a`, '-d', 'x'.repeat(100_000), ...again, '-I', `${url}/b`);
    expect(code).toBe(0);
    expect(stdout).toContain(`POST localhost:${secure.port} /a 100000`);
    expect(stdout).toContain('200 OK');
    expect(secure.connections() - before).toBe(1);
  });

  it('proxies plain HTTP in absolute form, several hosts on one client connection', async () => {
    const { code, stdout } = await curl(`http://localhost:${plain.port}/one`, `http://127.0.0.1:${plain.port}/two`);
    expect(code).toBe(0);
    expect(stdout).toBe(`GET localhost:${plain.port} /one 0\nGET 127.0.0.1:${plain.port} /two 0\n`);
  });

  it.each(['socks5', 'socks5h'])('speaks %s on the same port', async (scheme) => {
    const { code, stdout } = await run('curl', [
      '-sS',
      '--cacert',
      gateway.caFile,
      '--proxy',
      `${scheme}://127.0.0.1:${port}`,
      `https://localhost:${secure.port}/s`,
    ]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `GET localhost:${secure.port} /s 0\n` });
  });

  it('reaches an origin at an IPv6 address, however it is asked', async () => {
    await using far = await startOrigin(await authority.issue({ names: ['::1'] }), undefined, {}, '::1');
    await using farPlain = await startOrigin(undefined, undefined, {}, '::1');
    const socks = ['--proxy', `socks5://127.0.0.1:${port}`];
    expect((await curl(`https://[::1]:${far.port}/v6`)).stdout).toBe(`GET [::1]:${far.port} /v6 0\n`);
    expect((await curl(...socks, `https://[::1]:${far.port}/v6`)).stdout).toBe(`GET [::1]:${far.port} /v6 0\n`);
    expect((await curl(`http://[::1]:${farPlain.port}/v6`)).stdout).toBe(`GET [::1]:${farPlain.port} /v6 0\n`);
  });

  it('verifies an origin that is named by its address', async () => {
    const { code, stdout } = await curl(`https://127.0.0.1:${secure.port}/ip`);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `GET 127.0.0.1:${secure.port} /ip 0\n` });
  });

  it('says at once, in HTTP, that an origin is down or a name unknown', async () => {
    const closed = await freePort();
    const refused = await curl('-v', `https://localhost:${closed}/`);
    expect(refused.code).toBe(56);
    expect(refused.stderr).toContain('502');
    const unknown = await curl(`http://no-such-host.invalid/`);
    expect(unknown.stdout).toContain('ORIGIN_NAME_UNRESOLVED');
    await gateway.waitForRecords('traffic', (all) => {
      const text = JSON.stringify(all);
      return text.includes('ORIGIN_REFUSED') && text.includes('ORIGIN_NAME_UNRESOLVED');
    });
  });

  it.each([
    ['socks4', 'SOCKS4: let the client speak SOCKS5', 97],
    ['socks4a', 'SOCKS4: let the client speak SOCKS5', 97],
    ['https', 'TLS: the URL of this proxy is http://, not https://', 35],
  ])('tells a client that takes it for a proxy of %s what to do instead', async (scheme, detail, code) => {
    const isMine = (line: Record<string, unknown>): boolean => String(line.status_detail).includes(detail);
    const before = gateway.records('traffic').filter(isMine).length;
    const ran = await curl('--proxy', `${scheme}://127.0.0.1:${port}`, `http://127.0.0.1:${plain.port}/`);
    expect(ran.code).toBe(code);
    expect(ran.stderr).toMatch(scheme === 'https' ? /alert handshake failure/ : /rejected or failed/);
    const lines = await gateway.waitForRecords('traffic', (all) => all.filter(isMine).length > before);
    expect(JSON.stringify(lines.findLast(isMine))).toContain('CLIENT_PROXY_REQUEST_INVALID');
  });

  it('refuses to be its own destination', async () => {
    for (const host of ['127.0.0.1', 'localhost', '0.0.0.0', '[::ffff:127.0.0.1]']) {
      const { stderr, stdout } = await curl(`https://${host}:${port}/`);
      expect(stderr + stdout).toMatch(/508/);
    }
  });
});
