import { chmodSync, chownSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { exitCodes } from '../../src/control/exit-codes.ts';
import { freePort } from '../support/gateway.ts';
import { type Ran, run } from '../support/run.ts';
import { listening } from '../support/tcp.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

let directory: string;
let certs: string;
let port: number;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'daylight-start-'));
  certs = join(directory, 'certs');
  port = await freePort();
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** `daylight start`, which must end by itself. */
function start(config: object = {}): Promise<Ran> {
  const file = join(directory, 'daylight.yaml');
  const whole = {
    relays: 1,
    listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
    authority: { directory: certs },
    records: { directory: join(directory, 'records') },
    ...config,
  };
  writeFileSync(file, stringify(whole));
  return run(process.execPath, ['--no-warnings', main, 'start', '--config', file], { timeoutMs: 25_000 });
}

const makeAuthority = (): Promise<Ran> =>
  run(process.execPath, ['--no-warnings', main, 'ca', 'create', '--directory', certs]);

describe('a gateway does not start', () => {
  const key = (): string => join(certs, 'ca.key');
  const tamperings: readonly [what: string, tamper: () => void, says: RegExp][] = [
    ['is readable by others', () => chmodSync(key(), 0o644), /ca\.key has mode 0?644, wider than 0600/],
    ['is readable by its group', () => chmodSync(key(), 0o640), /ca\.key has mode 0?640, wider than 0600/],
    [
      'lies in a directory that is open to others',
      () => chmodSync(certs, 0o755),
      /certs has mode 0?755, wider than 0700/,
    ],
    ['is gone', () => unlinkSync(key()), /ca\.key/],
    ['is no key', () => writeFileSync(key(), 'nothing of a key'), /ca\.key/],
    ['belongs to another certificate', () => renameSync(join(certs, 'untrusted.key'), key()), /ca\.(key|pem)/],
    [
      'is a symbolic link',
      () => {
        renameSync(key(), join(directory, 'elsewhere.key'));
        symlinkSync(join(directory, 'elsewhere.key'), key());
      },
      /symbolic link/,
    ],
  ];
  it.each(tamperings)('when the key of the authority %s', async (_what, tamper, says) => {
    expect(await makeAuthority()).toMatchObject({ code: 0 });
    // The untrusted authority beside it is made when the first one is loaded.
    await run(process.execPath, ['--no-warnings', main, 'ca', 'show', '--directory', certs]);
    tamper();
    const { code, stderr } = await start();
    expect(stderr).toContain('GATEWAY_AUTHORITY_KEY');
    expect(stderr).toMatch(says);
    expect(stderr).not.toMatch(/^ready$|PRIVATE KEY/m);
    expect(code).toBe(exitCodes.authority);
  });

  it.runIf(process.getuid?.() === 0)('when the key of the authority is of another user', async () => {
    await makeAuthority();
    chownSync(key(), 65_534, 65_534);
    const { code, stderr } = await start();
    expect({ code, named: stderr.includes('GATEWAY_AUTHORITY_KEY') }).toEqual({
      code: exitCodes.authority,
      named: true,
    });
  });

  it('when the configuration is wrong, and names each error by its line', async () => {
    const { code, stderr } = await start({ timeouts: { idle: 'soon' }, listenrs: [], opaque: 'perhaps' });
    expect(code).toBe(exitCodes.config);
    expect(stderr).toContain('GATEWAY_CONFIG_INVALID');
    for (const name of ['timeouts.idle', 'listenrs', 'opaque']) {
      expect(stderr).toMatch(new RegExp(`daylight\\.yaml:\\d+:\\d+: .*${name}`));
    }
  });

  it('when a file of roots cannot be used', async () => {
    writeFileSync(join(directory, 'roots.pem'), 'no certificate');
    const { code, stderr } = await start({ originTrust: { system: false, files: [join(directory, 'roots.pem')] } });
    expect({ code, stderr }).toMatchObject({ code: exitCodes.config, stderr: expect.stringMatching(/roots\.pem/) });
  });

  it('when its port is in use', async () => {
    const other = createServer();
    const taken = await listening(other);
    const { code, stderr } = await start({ listeners: [{ mode: 'explicit', listen: `127.0.0.1:${taken}` }] });
    expect(code).toBe(exitCodes.listen);
    expect(stderr).toContain('GATEWAY_PORT_IN_USE');
    expect(stderr).toContain(`127.0.0.1:${taken}`);
    expect(stderr).toContain('Stop the other program or choose another port.');
    other.close();
  });

  it('when its admin port is in use', async () => {
    const other = createServer();
    const taken = await listening(other);
    const { code, stderr } = await start({ admin: { listen: `127.0.0.1:${taken}` } });
    expect({ code, stderr }).toMatchObject({
      code: exitCodes.listen,
      stderr: expect.stringMatching(/GATEWAY_PORT_IN_USE/),
    });
    other.close();
  });

  it('when its address is not of this host', async () => {
    const { code, stderr } = await start({ listeners: [{ mode: 'explicit', listen: '192.0.2.1:8080' }] });
    expect({ code, stderr }).toMatchObject({
      code: exitCodes.listen,
      stderr: expect.stringMatching(/GATEWAY_LISTEN_DENIED/),
    });
  });
});
