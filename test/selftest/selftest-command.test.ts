import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Farm } from '../../src/selftest/farm.ts';
import type { SelftestReport } from '../../src/selftest/report.ts';
import { openTlsOrigin } from '../../src/selftest/tls-origin.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { run } from '../support/run.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'daylight-selftest-test-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Tested {
  readonly code: number | null;
  readonly report: SelftestReport;
}

/** Runs the command as a user does, in a directory of its own. */
async function selftest(...args: readonly string[]): Promise<Tested> {
  const ran = await run(process.execPath, ['--no-warnings', main, 'selftest', '--json', ...args], {
    cwd: directory,
    timeoutMs: 120_000,
  });
  if (!ran.stdout.startsWith('{')) throw new Error(`${ran.code} ${ran.stdout} ${ran.stderr}`);
  return { code: ran.code, report: JSON.parse(ran.stdout) as SelftestReport };
}

async function withConfig(config: object, ...args: readonly string[]): Promise<Tested> {
  const file = join(directory, 'daylight.yaml');
  writeFileSync(file, JSON.stringify(config));
  return selftest('--config', file, ...args);
}

const notPassed = ({ report }: Tested): readonly string[] =>
  report.origins.filter(({ verdict }) => verdict !== 'passed').map(({ class: of, name }) => `${of}: ${name}`);
const bytesTo = ({ report }: Tested, name: string): number =>
  report.origins.find((origin) => origin.name === name)?.bytes ?? -1;

describe('the self-test', { timeout: 120_000 }, () => {
  it('gives the gateway an A: every bad origin refused for its own fault, with no byte, and every good one served', async () => {
    const tested = await selftest();
    expect(notPassed(tested)).toEqual([]);
    expect(tested.report.origins.filter(({ otherReason }) => otherReason)).toEqual([]);
    expect(tested.report.origins.filter(({ class: of, code }) => of !== 'good' && code === undefined)).toEqual([]);
    expect(tested.report.classes.reduce((sum, { bytesToBad }) => sum + bytesToBad, 0)).toBe(0);
    expect({ grade: tested.report.grade, code: tested.code }).toEqual({ grade: 'A', code: 0 });
    expect(tested.report.origins.length).toBeGreaterThan(107);
  });

  it('fails a gateway that is told to trust anybody, and counts what bad origins got', async () => {
    const hosts = ['*.selftest.invalid', 'selftest.invalid'];
    const tested = await withConfig(
      { originExceptions: [{ hosts, allow: ['untrusted'], reason: 'to fail' }] },
      '--class',
      'chain',
      '--class',
      'names',
    );
    expect({ grade: tested.report.grade, code: tested.code }).toEqual({ grade: 'F', code: 1 });
    expect(notPassed(tested)).toContain('chain: self-signed leaf');
    expect(notPassed(tested)).toContain('chain: root that nobody trusts');
    expect(bytesTo(tested, 'self-signed leaf')).toBeGreaterThan(0);
    // What the exception does not forgive stays refused.
    expect(bytesTo(tested, 'another host')).toBe(0);
  });

  it('gives a C to one that is told to speak TLS 1.0 and to exchange keys by RSA', async () => {
    const hosts = ['*.selftest.invalid'];
    const allow = ['tls1.0', 'rsa-key-exchange', 'missing-eku'];
    const tested = await withConfig(
      { originExceptions: [{ hosts, allow, reason: 'to fail' }] },
      '--class',
      'protocol',
      '--class',
      'chain',
    );
    expect({ grade: tested.report.grade, code: tested.code }).toEqual({ grade: 'C', code: 1 });
    const missed = [
      'protocol: TLS 1.0',
      'protocol: static RSA key exchange, GCM',
      'chain: leaf without extended key usage',
    ];
    for (const name of missed) expect(notPassed(tested)).toContain(name);
    const proving = ['anonymous key exchange', 'no encryption', 'signature of the key exchange changed'];
    expect(proving.map((name) => bytesTo(tested, name))).toEqual([0, 0, 0]);
  });

  it('gives a C to one that asks nobody whether certificates are revoked, and an A to one that insists on it', async () => {
    const off = await withConfig({ revocation: { mode: 'off' } }, '--class', 'revocation');
    expect({ grade: off.report.grade, code: off.code }).toEqual({ grade: 'C', code: 1 });
    expect(notPassed(off)).toContain('revocation: revoked by a CRL');
    expect(notPassed(off)).toContain('revocation: revoked by its staple');
    const insisting = { revocation: { mode: 'hard-fail' } };
    const hard = await withConfig(insisting, '--class', 'revocation', '--class', 'good');
    expect(notPassed(hard)).toEqual([]);
    expect(hard.code).toBe(0);
  });

  it('passes a gateway that warns with a page: never behind a trusted leaf', async () => {
    const tested = await withConfig({ onOriginFailure: 'warn' }, '--class', 'names', '--class', 'time');
    expect(notPassed(tested)).toEqual([]);
    const met = tested.report.origins.filter(({ class: of }) => of === 'names').map(({ met }) => met);
    expect(new Set(met)).toEqual(new Set(['page']));
  });

  it('takes a configuration whose entries name assets, none of which is the farm', async () => {
    const lab = { id: 'lab', kind: 'cvm', addresses: ['127.0.0.0/8'], hosts: ['*.selftest.invalid'], detect: false };
    const overrides = [{ assets: ['lab'], mode: 'off' }];
    const tested = await withConfig({ assets: [lab], revocation: { overrides } }, '--class', 'revocation');
    expect(notPassed(tested)).toEqual([]);
    expect(tested.code).toBe(0);
  });

  it('is refused with a configuration that is not valid, and an option that goes with another', async () => {
    const file = join(directory, 'broken.yaml');
    writeFileSync(file, 'tls: 1');
    const code = async (...args: readonly string[]): Promise<number | null> =>
      (await run(process.execPath, ['--no-warnings', main, 'selftest', ...args], { cwd: directory })).code;
    expect([await code('--config', file), await code('--root', directory), await code('--running')]).toEqual([
      3, 2, 125,
    ]);
  });
});

describe('the self-test of a gateway that runs', { timeout: 120_000 }, () => {
  const gatewayOf = async (originTrust: object): Promise<RunningGateway> => {
    const listeners = [{ mode: 'explicit', listen: `127.0.0.1:${await freePort()}` }];
    return startGateway({ config: { listeners, timeouts: { handshake: '3s' }, originTrust } });
  };

  it('tries bad origins alone where the root of the test is not trusted, and says so', async () => {
    await using gateway = await gatewayOf({ system: true });
    const tested = await selftest('--running', '--config', gateway.configFile, '--class', 'good', '--class', 'names');
    expect(notPassed(tested)).toEqual([]);
    expect(tested.report.classes.map((each) => each.class)).not.toContain('good');
    expect(tested.report.notRun.join()).toContain('good origins');
    expect(tested.code).toBe(0);
  });

  it('tries everything where its operator trusts the kept root', async () => {
    const root = join(directory, 'roots');
    const file = join(root, 'selftest-root.pem');
    // The first run makes the root, and finds no gateway.
    const { code } = await run(process.execPath, ['--no-warnings', main, 'selftest', '--running', '--root', root]);
    expect({ code, mode: statSync(join(root, 'selftest-root.key')).mode & 0o777 }).toEqual({ code: 125, mode: 0o600 });
    const pem = readFileSync(file, 'utf8');
    await using gateway = await gatewayOf({ system: false, files: [file] });
    const classes = ['good', 'names'].flatMap((name) => ['--class', name]);
    const tested = await selftest('--running', '--root', root, '--config', gateway.configFile, ...classes);
    expect(notPassed(tested)).toEqual([]);
    expect(tested.report.classes[0]).toMatchObject({ class: 'good', rejected: 0 });
    expect({ code: tested.code, notRun: tested.report.notRun.length }).toEqual({ code: 0, notRun: 1 });
    expect(readFileSync(file, 'utf8')).toBe(pem);
  });

  it('has roots that vouch for the farm alone', async () => {
    const farm = new Farm({ constrained: true });
    const roots = farm.trustedPem;
    const accepts = async (name: string): Promise<string> => {
      await using origin = await openTlsOrigin(farm.leaf({ names: [name] }));
      const socket = connect({ port: origin.port, host: '127.0.0.1', ca: roots, servername: name });
      const outcome = await new Promise<string>((resolve) => {
        socket.once('secureConnect', () => resolve('accepted')).once('error', (error) => resolve(error.message));
      });
      socket.destroy();
      return outcome;
    };
    expect(await accepts('any.selftest.invalid')).toBe('accepted');
    expect(await accepts('www.example.com')).toBe('permitted subtree violation');
  });
});
