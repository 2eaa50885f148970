import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

let origin: TestOrigin;
let gateway: RunningGateway;
let port: number;

beforeAll(async () => {
  const authority = await createTestAuthority();
  origin = await startOrigin(await authority.issue({ names: ['localhost'] }));
  port = await freePort();
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem },
    config: {
      listeners: [{ mode: 'reverse', listen: `127.0.0.1:${port}`, origin: `localhost:${origin.port}` }],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
    },
  });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
});

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

describe.runIf(hasProgram('testssl'))('testssl.sh, as a client of the gateway', () => {
  it('finds nothing below OK in protocols, suites, renegotiation and known attacks', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'daylight-testssl-'));
    const report = join(directory, 'report.json');
    const checks = ['-p', '-s', '-H', '-I', '-T', '-BB', '-R', '-C', '-L'];
    const args = ['--quiet', '--color', '0', '--warnings', 'off', '--ip', '127.0.0.1', '--jsonfile', report];
    // How long it waits for answers that a server of ours never gives.
    const env = { ...process.env, MAX_WAITSOCK: '3', CCS_MAX_WAITSOCK: '2', HEARTBLEED_MAX_WAITSOCK: '2' };
    const ran = await run('testssl', [...args, ...checks, `localhost:${port}`], {
      timeoutMs: 220_000,
      cwd: directory,
      env,
    });
    expect(ran.stdout).toContain('Testing vulnerabilities');
    const findings = JSON.parse(readFileSync(report, 'utf8')) as readonly Finding[];
    rmSync(directory, { recursive: true });
    const bad = findings.filter(({ id, severity }) => !['OK', 'INFO'].includes(severity) && id !== 'engine_problem');
    expect(bad).toEqual([]);
    const good = new Map(findings.map(({ id, finding }) => [id, finding]));
    expect(good.get('secure_client_renego')).toMatch(/not vulnerable/);
    expect(good.get('TLS1')).toMatch(/not offered/);
    expect(good.get('LUCKY13')).toMatch(/not vulnerable/);
  }, 240_000);
});

describe.runIf(hasProgram('sslscan'))('sslscan, as a client of the gateway', () => {
  it('sees TLS 1.2 and 1.3 with forward secrecy and AEAD alone, no renegotiation and no compression', async () => {
    const { stdout } = await run('sslscan', ['--no-colour', '--xml=-', '--sni-name=localhost', `127.0.0.1:${port}`], {
      timeoutMs: 60_000,
    });
    const enabled = [...stdout.matchAll(/<protocol type="(\w+)" version="([\d.]+)" enabled="1"/g)];
    expect(enabled.map(([, type, version]) => `${type} ${version}`)).toEqual(['tls 1.2', 'tls 1.3']);
    const suites = [...stdout.matchAll(/<cipher [^>]*cipher="([^"]+)"/g)].map(([, suite = '']) => suite);
    expect(suites.length).toBeGreaterThanOrEqual(6);
    for (const suite of suites) expect(suite).toMatch(/^(?:TLS_|ECDHE-)(?:.*)(?:GCM|CHACHA20)/);
    expect(stdout).toContain('<altnames><![CDATA[DNS:localhost]]></altnames>');
    expect(stdout).toMatch(/<renegotiation supported="0"/);
    expect(stdout).not.toMatch(/vulnerable="1"/);
  }, 70_000);

  it('without a server name meets no certificate of another name', async () => {
    const { stdout } = await run(
      'sslscan',
      ['--no-colour', '--xml=-', '--sni-name=other.example', `127.0.0.1:${port}`],
      {
        timeoutMs: 60_000,
      },
    );
    expect(stdout).not.toMatch(/<altnames>|<subject>/);
  }, 70_000);
});
