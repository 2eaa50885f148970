import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { type Http2Origin, startHttp2Origin } from '../support/http2-origin.ts';
import { type Nginx, startNginx } from '../support/nginx.ts';
import { gatewayField, isTransaction, type Line, member } from '../support/record-fields.ts';
import { hasProgram, type Ran, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const megabyte = randomBytes(1_000_000);
const isHere = hasProgram('curl') && hasProgram('nginx');

let gateway: RunningGateway;
let origin: Http2Origin;
let nginx: Nginx;
let gatewayPort: number;
let reversePort: number;
let directory: string;

beforeAll(async () => {
  if (!isHere) return;
  directory = mkdtempSync(join(tmpdir(), 'daylight-http2-'));
  const authority = await createTestAuthority();
  const credentials = await authority.issue({ names: ['localhost', 'other.localhost'], keyType: 'rsa' });
  origin = await startHttp2Origin({ credentials, allowHTTP1: true });
  nginx = await startNginx(
    credentials,
    'location /upload/ { client_max_body_size 20m; dav_methods PUT; create_full_put_path on; }',
    'http2',
  );
  writeFileSync(join(nginx.root, 'index.html'), '<p>hello</p>\n');
  writeFileSync(join(nginx.root, '1m.bin'), megabyte);
  writeFileSync(join(directory, '1m.bin'), megabyte);
  gatewayPort = await freePort();
  reversePort = await freePort();
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem },
    config: {
      listeners: [
        { mode: 'explicit', listen: `127.0.0.1:${gatewayPort}` },
        { mode: 'reverse', listen: `127.0.0.1:${reversePort}`, origin: `localhost:${nginx.port}` },
      ],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      rules: { files: ['config/rules/*.yaml'] },
      refuse: [{ hosts: ['other.localhost'], reason: 'refused name' }],
    },
  });
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
  await nginx?.[Symbol.asyncDispose]();
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

const curl = (...args: string[]): Promise<Ran> =>
  run('curl', [
    '-sS',
    '--max-time',
    '20',
    '--cacert',
    gateway.caFile,
    '--noproxy',
    '',
    '--proxy',
    `http://127.0.0.1:${gatewayPort}`,
    ...args,
  ]);
const isOf = (path: string) => (line: Line) =>
  isTransaction(line) && member(line, 'http_request', 'url', 'path') === path;
async function transaction(path: string): Promise<Line> {
  const all = await gateway.waitForRecords('traffic', (lines) => lines.some(isOf(path)));
  return all.find(isOf(path)) ?? {};
}

describe.runIf(isHere)('curl', () => {
  it('speaks HTTP/2 to a Node origin, with a record of stream and protocol', async () => {
    const { stdout, stderr } = await curl('--http2', '-w', ' %{http_version}', `https://localhost:${origin.port}/get`);
    expect(stderr).toBe('');
    expect(stdout).toBe('GET /get 0\n 2');
    expect(origin.requests).toContain(`GET localhost:${origin.port} /get`);
    const record = await transaction('/get');
    expect(member(record, 'http_request', 'version')).toBe('2');
    expect(gatewayField(record, 'protocol')).toBe('h2');
    expect(gatewayField(record, 'stream_id')).toBe(1);
    expect(gatewayField(record, 'complete')).toBe(true);
  });

  it('is answered in HTTP/1.1 where it asks for no more', async () => {
    const { stdout } = await curl('--http1.1', '-w', ' %{http_version}', `https://localhost:${nginx.port}/index.html`);
    expect(stdout).toBe('<p>hello</p>\n 1.1');
  });

  it('uploads and downloads a megabyte to nginx', async () => {
    const file = join(directory, '1m.bin');
    const url = `https://localhost:${nginx.port}`;
    const put = await curl('--http2', '-T', file, '-w', '%{http_code} %{http_version}', `${url}/upload/1m.bin`);
    expect(put).toMatchObject({ stdout: '201 2', stderr: '' });
    const download = join(directory, 'got.bin');
    const get = await curl('--http2', '-o', download, '-w', '%{http_version} %{size_download}', `${url}/upload/1m.bin`);
    expect(get).toMatchObject({ stdout: '2 1000000', stderr: '' });
    expect((await run('cmp', [file, download])).code).toBe(0);
  });

  it('keeps trailers', async () => {
    const { stdout } = await curl('--http2', '-D', '-', '-d', 'hello', `https://localhost:${origin.port}/trailers`);
    expect(stdout).toContain('POST /trailers 5\n');
    expect(stdout).toContain('x-bytes: 5');
  });

  it('speaks HTTP/2 without TLS through a tunnel, inspected as well', async () => {
    await using plain = await startHttp2Origin({});
    const url = `http://localhost:${plain.port}/clear`;
    const { stdout, stderr } = await curl('--http2-prior-knowledge', '--proxytunnel', '-w', ' %{http_version}', url);
    expect({ stdout, stderr }).toEqual({ stdout: 'GET /clear 0\n 2', stderr: '' });
    const record = await transaction('/clear');
    expect(gatewayField(record, 'protocol')).toBe('h2');
    expect(member(record, 'metadata', 'labels')).toEqual(['Plaintext']);
  });

  it('sends many requests over one connection', async () => {
    const connections = origin.connections();
    const { stdout } = await curl('--http2', '-Z', `https://localhost:${origin.port}/many?[1-50]`);
    expect(stdout.trim().split('\n').sort()[0]).toMatch(/^GET \/many\?\d+ 0$/);
    expect(stdout.trim().split('\n')).toHaveLength(50);
    expect(origin.connections() - connections).toBeLessThanOrEqual(50);
  });

  it('reads why its request is refused, while others on the connection pass', async () => {
    const port = origin.port;
    const { stdout } = await curl(
      '--http2',
      '-w',
      ' %{http_code} %{num_connects}\n',
      '-H',
      'host: other.localhost',
      `https://localhost:${port}/refused`,
      '--next',
      '-sS',
      '--cacert',
      gateway.caFile,
      '--noproxy',
      '',
      '--proxy',
      `http://127.0.0.1:${gatewayPort}`,
      '--http2',
      '-w',
      ' %{http_code} %{num_connects}\n',
      `https://localhost:${port}/allowed`,
    );
    expect(stdout).toContain('POLICY_REFUSED');
    expect(stdout).toContain(' 403 1\n');
    expect(stdout).toContain('GET /allowed 0\n 200 0\n');
    expect(origin.requests.filter((request) => request.endsWith('/refused'))).toEqual([]);
    const record = await transaction('/refused');
    expect(gatewayField(record, 'failure')).toBe('POLICY_REFUSED');
  });
});

describe.runIf(isHere && hasProgram('h2load') && hasProgram('nghttp'))('nghttp2', () => {
  it('loads nginx with 16 streams at once, none failing', async () => {
    const { stdout } = await run('h2load', [
      '-n',
      '500',
      '-c',
      '2',
      '-m',
      '16',
      `https://localhost:${reversePort}/index.html`,
    ]);
    expect(stdout).toMatch(/Application protocol: h2/);
    expect(stdout).toMatch(/500 total, 500 started, 500 done, 500 succeeded, 0 failed, 0 errored, 0 timeout/);
  });

  it('uploads from a client with a table and priorities of its own', async () => {
    const { stdout } = await run('nghttp', [
      '-nv',
      '--header-table-size=65536',
      '-H',
      ':method: PUT',
      '-d',
      join(directory, '1m.bin'),
      `https://localhost:${reversePort}/upload/nghttp.bin`,
    ]);
    expect(stdout).toMatch(/:status: 201/);
  });
});

describe.runIf(isHere)('a gateway with HTTP/2 switched off', () => {
  it('offers HTTP/1.1 alone', async () => {
    const port = await freePort();
    await using off = await startGateway({
      files: { 'roots.pem': readFileSync(join(gateway.directory, 'roots.pem'), 'utf8') },
      config: {
        listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
        originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
        http: { h2: false },
      },
    });
    const { stdout } = await run('curl', [
      '-sS',
      '--http2',
      '--cacert',
      off.caFile,
      '--noproxy',
      '',
      '--proxy',
      `http://127.0.0.1:${port}`,
      '-w',
      ' %{http_version}',
      `https://localhost:${nginx.port}/index.html`,
    ]);
    expect(stdout).toBe('<p>hello</p>\n 1.1');
  });
});
