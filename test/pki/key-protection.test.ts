import { createPrivateKey } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCa } from '../../src/control/ca-command.ts';
import { freePort, startGateway } from '../support/gateway.ts';
import { run } from '../support/run.ts';
import { hasTool, outputOf } from './support/tools.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const passphrase = 'correct horse battery staple';
let base: string;
let certs: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'daylight-passphrase-'));
  certs = join(base, 'certs');
  file('passphrase', `${passphrase}\nnot this line\n`);
  file('wrong', 'incorrect horse\n');
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

function file(name: string, text: string, mode = 0o400): string {
  const path = join(base, name);
  writeFileSync(path, text, { mode });
  return path;
}

/** Runs `ca` in this process, which has no passphrase of any other directory. */
async function ca(...args: readonly string[]): Promise<{ readonly code: number; readonly said: string }> {
  let said = '';
  const stdout = new Writable({
    write: (chunk, _encoding, done) => {
      said += String(chunk);
      done();
    },
  });
  return { code: await runCa([...args, '--directory', certs], { stdout, stderr: stdout }), said };
}

/** Runs `ca` in a process of its own, which knows no passphrase but the one it is told. */
function program(...args: readonly string[]) {
  return run(process.execPath, ['--no-warnings', main, 'ca', ...args, '--directory', certs]);
}

const text = (name: string): string => readFileSync(join(certs, name), 'utf8');
const named = (name: string): readonly string[] => ['--passphrase-file', join(base, name)];

describe('a passphrase of the authority', () => {
  it('encrypts its keys from the start, and opens them again', async () => {
    expect(await ca('create', '--key-type', 'ec', ...named('passphrase'))).toMatchObject({ code: 0 });
    for (const name of ['ca.key', 'untrusted.key']) {
      expect(text(name)).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
      expect(statSync(join(certs, name)).mode & 0o777).toBe(0o600);
      expect(createPrivateKey({ key: text(name), passphrase }).type).toBe('private');
    }
    expect(await program('show', ...named('passphrase'))).toMatchObject({ code: 0 });
  });

  it('that is wrong or missing refuses the authority with its own exit code, and is never repeated', async () => {
    await ca('create', '--key-type', 'ec', ...named('passphrase'));
    const without = await program('show');
    expect(without).toMatchObject({ code: 5, stderr: expect.stringContaining('authority.passphraseFile') });
    const wrong = await program('show', ...named('wrong'));
    expect(wrong).toMatchObject({ code: 5, stderr: expect.stringContaining('the password is wrong') });
    expect(wrong.stderr + wrong.stdout).not.toContain('incorrect horse');
  });

  it.each([
    ['that everybody can read', 'open', `${passphrase}\n`, 0o444, 'every user'],
    ['that is too short', 'short', 'short\n', 0o400, 'at least 8 bytes'],
    ['that is missing', 'absent', undefined, 0o400, 'cannot be read'],
  ])('in a file %s is refused', async (_what, name, content, mode, why) => {
    if (content !== undefined) chmodSync(file(name, content), mode);
    expect(await ca('create', ...named(name))).toMatchObject({ code: 5, said: expect.stringContaining(why) });
  });

  it('encrypts the keys of an authority that had none, and those of a rotation', async () => {
    await program('create', '--key-type', 'ec');
    expect(text('ca.key')).toMatch(/^-----BEGIN PRIVATE KEY-----/);
    await ca('show', ...named('passphrase'));
    expect(text('ca.key')).toMatch(/^-----BEGIN ENCRYPTED/);
    await ca('rotate', '--key-type', 'ec', ...named('passphrase'));
    expect(text('next.key')).toMatch(/^-----BEGIN ENCRYPTED/);
    expect(await ca('rotate', '--activate', ...named('passphrase'))).toMatchObject({ code: 0 });
    expect(text('ca.key')).toMatch(/^-----BEGIN ENCRYPTED/);
  });

  it('may come behind a descriptor', async () => {
    await ca('create', '--key-type', 'ec', ...named('passphrase'));
    const told = `cat "$2" | "$1" --no-warnings "$3" ca show --directory "$4" --passphrase-file /dev/fd/0`;
    const args = ['-c', told, 'sh', process.execPath, join(base, 'passphrase'), main, certs];
    expect(await run('sh', args)).toMatchObject({ code: 0 });
  });

  it.skipIf(!hasTool('openssl', 'version'))('is one for OpenSSL too, with 600 000 rounds', async () => {
    await ca('create', '--key-type', 'ec', ...named('passphrase'));
    const parsed = outputOf('openssl', ['asn1parse', '-in', join(certs, 'ca.key')]);
    expect(parsed).toMatch(/PBES2[\s\S]*PBKDF2[\s\S]*INTEGER +:0927C0[\s\S]*hmacWithSHA256[\s\S]*aes-256-cbc/);
    const key = outputOf('openssl', [
      'pkey',
      '-in',
      join(certs, 'ca.key'),
      '-passin',
      `file:${join(base, 'passphrase')}`,
      '-noout',
      '-text',
    ]);
    expect(key).toContain('prime256v1');
  });
});

it('a gateway runs with a passphrase that stands neither in its arguments nor in its environment nor in its log', async () => {
  await ca('create', '--key-type', 'ec');
  const port = await freePort();
  await using gateway = await startGateway({
    config: {
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
      authority: { directory: certs, passphraseFile: join(base, 'passphrase') },
    },
  });
  expect(text('ca.key')).toMatch(/^-----BEGIN ENCRYPTED/);
  for (const source of ['cmdline', 'environ']) {
    expect(readFileSync(`/proc/${gateway.pid}/${source}`, 'latin1')).not.toContain(passphrase);
  }
  process.kill(gateway.pid, 'SIGHUP');
  await gateway.waitForLog(/reloaded/);
  expect(gateway.log()).not.toContain(passphrase);
});
