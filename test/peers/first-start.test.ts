import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, waitUntil } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const launcher = fileURLToPath(new URL('../../bin/daylight.js', import.meta.url));

describe.runIf(hasProgram('curl') && hasProgram('npm'))('the first start', () => {
  let directory: string;
  let origin: TestOrigin;
  let port: number;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'daylight-first-'));
    const authority = await createTestAuthority();
    origin = await startOrigin(await authority.issue({ names: ['localhost'] }));
    port = await freePort();
    writeFileSync(join(directory, 'roots.pem'), authority.rootPem);
    writeFileSync(
      join(directory, 'daylight.yaml'),
      `listeners: [{ mode: explicit, listen: "127.0.0.1:${port}" }]\nauthority: { directory: certs }\n` +
        `originTrust: { files: [roots.pem] }\nrecords: { directory: var/records }\nrelays: 1\n`,
    );
  });
  afterAll(async () => {
    await origin?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  it('says what listens, where the CA and the records are, and a line of curl that works', async () => {
    const child = spawn(process.execPath, [launcher, 'start', '--config', 'daylight.yaml'], { cwd: directory });
    const exited = new Promise((resolve) => child.once('exit', resolve));
    let banner = '';
    let log = '';
    child.stdout.on('data', (text) => (banner += text));
    child.stderr.on('data', (text) => (log += text));
    try {
      await waitUntil(
        () => /^ready$/m.test(log),
        () => log,
        45_000,
      );
      expect(banner).toMatch(new RegExp(`explicit +127\\.0\\.0\\.1:${port} +HTTP CONNECT, absolute-form HTTP, SOCKS5`));
      expect(banner).toMatch(/CA +certs\/ca\.pem {2}\(SHA-256 [0-9a-f]{16}…\)/);
      expect(banner).toMatch(/records +var\/records/);
      expect(existsSync(join(directory, 'certs/ca.pem'))).toBe(true);
      const line = /Try: +(curl .*)/.exec(banner)?.[1] ?? '';
      const command = line.replace('https://example.com/', `https://localhost:${origin.port}/as-told`);
      const { code, stdout } = await run('sh', ['-c', `${command} -sS`], { cwd: directory });
      expect({ code, stdout }).toEqual({ code: 0, stdout: `GET localhost:${origin.port} /as-told 0\n` });
    } finally {
      child.kill('SIGTERM');
    }
    expect(await exited).toBe(0);
  }, 90_000);

  it('ends with npm, which started it', async () => {
    const project = fileURLToPath(new URL('../..', import.meta.url));
    const file = join(directory, 'npm.yaml');
    writeFileSync(
      file,
      `listeners: [{ mode: explicit, listen: "127.0.0.1:${await freePort()}" }]\n` +
        `authority: { directory: "${directory}/npm-certs" }\nrecords: { directory: "${directory}/npm-records" }\nrelays: 1\n`,
    );
    const options = ['start', '--silent', '--', '--config', file];
    const npm = spawn('npm', options, { cwd: project, stdio: ['ignore', 'ignore', 'pipe'] });
    const exited = new Promise((resolve) => npm.once('exit', resolve));
    let log = '';
    npm.stderr.on('data', (text) => (log += text));
    await waitUntil(
      () => /^ready$/m.test(log),
      () => log,
      45_000,
    );
    npm.kill('SIGTERM');
    expect(await exited).toBe(0);
    expect(log).toContain('"msg":"stopped"');
  }, 90_000);
});
