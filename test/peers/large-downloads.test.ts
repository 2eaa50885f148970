import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { type Nginx, startNginx } from '../support/nginx.ts';
import { childrenOf, residentBytes } from '../support/processes.ts';
import { isTransaction, type Line, member } from '../support/record-fields.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

/**
 * Downloads and uploads far larger than anything that could be kept: 300 MB, or as many as DAYLIGHT_LARGE_MEGABYTES says.
 */
const size = Number(process.env.DAYLIGHT_LARGE_MEGABYTES ?? 300) * 1_000_000;
/** A busy machine moves 7 MB a second at the least. */
const patienceMs = Math.ceil(30_000 + size / 7_000);

const isHere = hasProgram('nginx') && hasProgram('curl');
let gateway: RunningGateway;
let nginx: Nginx;
let port: number;
let directory: string;

describe.runIf(isHere).each([
  ['HTTP/1.1', '', '--http1.1'],
  ['HTTP/2', 'http2', '--http2'],
] as const)('%s', (_name, http2, version) => {
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'daylight-large-'));
    const authority = await createTestAuthority();
    const upload = 'location /upload/ { client_max_body_size 0; dav_methods PUT; create_full_put_path on; }';
    nginx = await startNginx(await authority.issue({ names: ['localhost'] }), upload, http2);
    // A file of holes: it takes no room and no time to make.
    writeFileSync(join(nginx.root, 'large.bin'), '');
    truncateSync(join(nginx.root, 'large.bin'), size);
    port = await freePort();
    gateway = await startGateway({
      files: { 'roots.pem': authority.rootPem },
      config: {
        listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
        originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
        rules: { files: ['config/rules/*.yaml'] },
      },
    });
  });
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await nginx?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  const transfer = (...args: string[]) =>
    run(
      'curl',
      ['-sS', version, '--cacert', gateway.caFile, '--noproxy', '', '--proxy', `http://127.0.0.1:${port}`, ...args],
      { timeoutMs: patienceMs },
    );
  const url = (path: string): string => `https://localhost:${nginx.port}${path}`;
  /** Most memory that the relay took above what it had before. */
  async function growthDuring(work: () => Promise<void>): Promise<number> {
    await transfer('-o', '/dev/null', '-r', '0-5000000', url('/large.bin'));
    const [relay = 0] = childrenOf(gateway.pid);
    const before = residentBytes(relay);
    let peak = before;
    const watch = setInterval(() => {
      peak = Math.max(peak, residentBytes(relay));
    }, 50);
    await work();
    clearInterval(watch);
    console.info(`${version}: at most ${Math.round((peak - before) / 1e6)} MB more for ${size / 1e6} MB`);
    return peak - before;
  }
  const recordOf = async (method: string, path: string): Promise<Line | undefined> => {
    const isMine = (line: Line): boolean =>
      isTransaction(line) &&
      member(line, 'http_request', 'http_method') === method &&
      member(line, 'http_request', 'url', 'path') === path &&
      member(line, 'http_response', 'code') !== 206;
    return (await gateway.waitForRecords('traffic', (lines) => lines.some(isMine))).find(isMine);
  };

  it('downloads in flat memory', { timeout: patienceMs + 30_000 }, async () => {
    const growth = await growthDuring(async () => {
      const format = '%{http_code} %{size_download} %{http_version}';
      const ran = await transfer('-o', '/dev/null', '-w', format, url('/large.bin'));
      expect(ran).toEqual({ code: 0, stdout: `200 ${size} ${http2 === '' ? '1.1' : '2'}`, stderr: '' });
    });
    // Spent receive buffers wait for the collector, which comes when there are some dozens of megabytes of them.
    expect(growth).toBeLessThan(180_000_000);
    expect(await recordOf('GET', '/large.bin')).toMatchObject({ status_id: 1, http_response: { body_length: size } });
  });

  it('uploads in flat memory', { timeout: patienceMs + 30_000 }, async () => {
    const file = join(directory, 'upload.bin');
    writeFileSync(file, '');
    // nginx writes what comes to its disk: a fifth is enough there.
    const bytes = size / 5;
    truncateSync(file, bytes);
    const growth = await growthDuring(async () => {
      const ran = await transfer('-T', file, '-w', '%{http_code} %{size_upload}', url('/upload/there.bin'));
      expect(ran).toMatchObject({ code: 0, stdout: expect.stringMatching(new RegExp(`201 ${bytes}$`)), stderr: '' });
    });
    expect(growth).toBeLessThan(180_000_000);
    expect(await recordOf('PUT', '/upload/there.bin')).toMatchObject({ status_id: 1 });
  });
});
