import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faults } from '../../src/core/simulation.ts';
import { loadOrCreateAuthority } from '../../src/pki/authority.ts';
import { freePort, type RunningGateway, startGateway, waitUntil } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { childrenOf } from '../support/processes.ts';
import { type Heard, talk } from '../support/raw-client.ts';
import { failureOf, isFlow, type Line } from '../support/record-fields.ts';
import { run } from '../support/run.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
let authority: TestAuthority;
let origin: TestOrigin;

beforeAll(async () => {
  authority = await createTestAuthority();
  origin = await startOrigin(await authority.issue({ names: ['localhost'] }));
});
afterAll(() => origin?.[Symbol.asyncDispose]());

/** A rule that has to read bodies, and finds nothing. */
const bodyRule =
  '- { id: b, title: t, action: alarm, when: { field: http.response.body, contains: nothing of the kind } }';
const reading = { rules: { files: ['$DIRECTORY/body.yaml'] } };

/** A gateway under a fault, with what a client meets there. */
interface Stricken extends AsyncDisposable {
  readonly gateway: RunningGateway;
  readonly get: () => Promise<Heard>;
  readonly failures: () => Promise<readonly unknown[]>;
  readonly metric: (series: string) => Promise<number | undefined>;
}

async function stricken(fault: string | undefined, more: object = {}, to: TestOrigin = origin): Promise<Stricken> {
  const directory = mkdtempSync(join(tmpdir(), 'daylight-fault-'));
  // Made here, since a key of this kind takes no time.
  await loadOrCreateAuthority(join(directory, 'certs'), { keyType: 'ec' });
  const [port, adminPort] = [await freePort(), await freePort()];
  const config = {
    listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
    originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
    admin: { listen: `127.0.0.1:${adminPort}` },
    ...more,
  };
  const files = { 'roots.pem': authority.rootPem, 'body.yaml': bodyRule };
  const args = fault === undefined ? [] : ['--simulate', fault];
  const gateway = await startGateway({ directory, config, files, args });
  const before = `CONNECT localhost:${to.port} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
  const say = 'GET /secret HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
  const tls = { servername: 'localhost', ALPNProtocols: ['http/1.1'], ca: readFileSync(gateway.caFile) };
  return {
    gateway,
    get: () => talk(port, { before, until: ' 200 Connection Established\r\n\r\n', tls, say, patienceMs: 25_000 }),
    failures: async () => {
      const isOver = (lines: readonly Line[]): boolean => lines.some(isFlow);
      return (await gateway.waitForRecords('traffic', isOver)).filter(isFlow).map(failureOf);
    },
    async metric(series) {
      const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
      const value = text.split('\n').find((line) => line.startsWith(`${series} `));
      return value === undefined ? undefined : Number(value.slice(series.length));
    },
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  };
}

const struck = (fault: string): string => `daylight_simulated_faults_total{fault="${fault}"}`;
const failed = (code: string): string => `daylight_failures_total{code="${code}"}`;

describe('a gateway with a fault', { timeout: 90_000 }, () => {
  const closing = [
    ['inspection', 'ECONNRESET', 'GATEWAY_INTERNAL'],
    ['validation', 'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', 'GATEWAY_INTERNAL'],
    ['signing', 'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', 'GATEWAY_LEAF_FAILED'],
    ['random', 'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', 'GATEWAY_LEAF_FAILED'],
    ['issuance-log', 'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', 'GATEWAY_LEAF_FAILED'],
    ['signer-silence', 'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', 'GATEWAY_LEAF_TIMEOUT'],
  ] as const;
  it.each(closing)('of %s lets nothing pass, says why, counts it and goes on', async (fault, error, code) => {
    await using secret = await startOrigin(await authority.issue({ names: ['localhost'] }));
    await using ground = await stricken(fault, {}, secret);
    expect(ground.gateway.log()).toContain('SIMULATING A FAULT');
    const heard = await ground.get();
    // The client may meet the reset before it has read, or an end without a word.
    expect({ text: heard.text, error: heard.error }).toEqual({ text: '', error });
    expect(await ground.failures()).toEqual([code]);
    expect(secret.bytesReceived()).toBe(0);
    await expect.poll(() => ground.metric(struck(fault)), { timeout: 10_000 }).toBeGreaterThan(0);
    await expect.poll(() => ground.metric(failed(code)), { timeout: 10_000 }).toBeGreaterThan(0);
    expect(await ground.metric('daylight_relays')).toBe(1);
    expect(ground.gateway.log()).not.toContain('GATEWAY_RELAY_CRASHED');
    // A code stands in its own field, not in front of what explains it.
    expect(ground.gateway.log()).not.toContain('"detail":"GATEWAY_');
  });

  it.each([
    ['evaluation', '', 'ECONNRESET', 'GATEWAY_INTERNAL'],
    ['decoding', 'POLICY_BODY_BOMB', '', 'POLICY_BODY_BOMB'],
  ])('of %s lets no body pass that a rule was to read', async (fault, said, error, code) => {
    await using coded = await startOrigin(await authority.issue({ names: ['localhost'] }), (_request, response) => {
      response.setHeader('content-encoding', 'gzip');
      response.end(gzipSync('a body that is fine'));
    });
    await using ground = await stricken(fault, reading, coded);
    const heard = await ground.get();
    expect({ error: heard.error, text: heard.text }).toEqual({ error, text: expect.stringContaining(said) });
    expect(heard.text).not.toContain('HTTP/1.1 200');
    await expect.poll(() => ground.metric(struck(fault)), { timeout: 10_000 }).toBeGreaterThan(0);
    await expect.poll(() => ground.metric(failed(code)), { timeout: 10_000 }).toBeGreaterThan(0);
    expect(await ground.metric('daylight_relays')).toBe(1);
  });

  it('of records refuses new flows unless policy says otherwise', async () => {
    await using ground = await stricken('records');
    // The first flow is how it learns that nothing can be written.
    await ground.get();
    await expect
      .poll(async () => (await ground.get()).error, { timeout: 10_000 })
      .toContain('GATEWAY_RECORDS_UNWRITABLE');
    await expect.poll(() => ground.metric(struck('records')), { timeout: 10_000 }).toBeGreaterThan(0);
    await expect
      .poll(() => ground.metric(failed('GATEWAY_RECORDS_UNWRITABLE')), { timeout: 10_000 })
      .toBeGreaterThan(0);
  });

  it('of records goes on where policy says so, loudly', async () => {
    const records = { directory: '$DIRECTORY/records', onFailure: 'continue' };
    await using ground = await stricken('records', { records });
    expect((await ground.get()).text).toMatch(/^HTTP\/1.1 200/);
    await ground.gateway.waitForLog(/GATEWAY_RECORDS_UNWRITABLE/);
    expect((await ground.get()).text).toMatch(/^HTTP\/1.1 200/);
  });

  it('of reloading keeps the policy that runs', async () => {
    await using ground = await stricken('reload');
    const text = readFileSync(ground.gateway.configFile, 'utf8');
    const { parse } = await import('yaml');
    ground.gateway.configure({ ...parse(text), refuse: [{ hosts: ['localhost'], reason: 'changed' }] });
    await ground.gateway.waitForLog(/reload failed, the running policy stays/);
    expect((await ground.get()).text).toMatch(/^HTTP\/1.1 200/);
    expect(await ground.metric('daylight_policy_reloads_total{result="failed"}')).toBe(1);
    expect(await ground.metric('daylight_policy_reloads_total{result="applied"}')).toBeUndefined();
  });
});

describe('a gateway without faults', () => {
  it('serves, shows no series of simulated ones, and counts a reload', async () => {
    await using ground = await stricken(undefined);
    expect((await ground.get()).text).toMatch(/^HTTP\/1.1 200/);
    for (const fault of Object.keys(faults)) expect(await ground.metric(struck(fault))).toBeUndefined();
    expect(ground.gateway.log()).not.toContain('SIMULATING');
    ground.gateway.process.kill('SIGHUP');
    await expect
      .poll(() => ground.metric('daylight_policy_reloads_total{result="unchanged"}'), { timeout: 10_000 })
      .toBe(1);
  });

  it('whose control is killed lets nobody in any more', async () => {
    await using ground = await stricken(undefined);
    const relays = childrenOf(ground.gateway.pid);
    expect(relays).toHaveLength(1);
    await ground.gateway.stop('SIGKILL');
    const isGone = (pid: number): boolean => !isRunning(pid);
    await waitUntil(
      () => relays.every(isGone),
      () => 'a relay outlives control',
    );
    expect((await ground.get()).error).toBe('ECONNREFUSED');
  });

  it('does not start with a fault that is not known', async () => {
    const ran = await run(process.execPath, ['--no-warnings', main, 'start', '--simulate', 'anything']);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('daylight start: no fault "anything" can be simulated');
  });
});

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
