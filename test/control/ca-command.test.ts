import { X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { runCa } from '../../src/control/ca-command.ts';
import { dnsName, labCertificate, labDirectory, labKey, labNameConstraints, labRoot } from '../pki/support/lab.ts';

const root = labRoot({ notAfter: Date.now() + 400 * 86_400_000 });
const issuing = labCertificate(root, { commonName: 'Issuing CA', ca: true, keyUsage: [5, 6], key: labKey('rsa2048') });

interface Outcome {
  readonly code: number;
  readonly out: Buffer;
  readonly text: string;
  readonly errors: string;
}

async function ca(...args: readonly string[]): Promise<Outcome> {
  const out: Buffer[] = [];
  const errors: Buffer[] = [];
  const into = (chunks: Buffer[]) =>
    new Writable({
      write: (chunk, _encoding, done) => {
        chunks.push(Buffer.from(chunk));
        done();
      },
    });
  const code = await runCa(args, { stdout: into(out), stderr: into(errors) });
  const all = Buffer.concat(out);
  return { code, out: all, text: all.toString(), errors: Buffer.concat(errors).toString() };
}

/** A directory with an authority, and files beside it. */
async function place(): Promise<{
  readonly at: readonly string[];
  readonly certs: string;
  readonly file: (name: string, text: string) => string;
}> {
  const base = labDirectory();
  const certs = join(base, 'certs');
  const at = ['--directory', certs];
  expect((await ca('create', '--key-type', 'ec', ...at)).code).toBe(0);
  return {
    at,
    certs,
    file: (name, text) => {
      const path = join(base, name);
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    },
  };
}

describe('daylight ca', () => {
  test('helps, and refuses what it does not know with exit code 2', async () => {
    expect((await ca('--help')).text).toContain('Usage: daylight ca ACTION');
    for (const wrong of [[], ['dance'], ['show', 'twice'], ['show', '--replace'], ['export', '--format', 'doc']]) {
      const { code, errors, text } = await ca(...wrong, ...(wrong[0] === 'export' ? (await place()).at : []));
      expect([wrong, code, text]).toEqual([wrong, 2, '']);
      expect(errors).toContain('daylight ca --help');
    }
    // Whoever runs commands tells of options that there are not.
    await expect(ca('show', '--dance')).rejects.toThrow("Unknown option '--dance'");
  });

  test('tells an authority that is missing or too open with exit code 5', async () => {
    const missing = await ca('show', '--directory', join(labDirectory(), 'none'));
    expect(missing).toMatchObject({ code: 5, errors: expect.stringContaining('GATEWAY_AUTHORITY_KEY') });
    const { at, certs } = await place();
    chmodSync(join(certs, 'ca.key'), 0o644);
    expect((await ca('show', ...at)).errors).toContain('wider than 0600');
  });

  test('takes the directory from the configuration', async () => {
    const { certs, file } = await place();
    const config = file(
      'daylight.yaml',
      `listeners: [ { mode: explicit, listen: "127.0.0.1:0" } ]\nauthority: { directory: ${certs} }\n`,
    );
    expect((await ca('show', '--json', '--config', config)).text).toContain(JSON.stringify(join(certs, 'ca.pem')));
    expect((await ca('show', '--config', file('broken.yaml', 'listeners: 7\n'))).code).toBe(3);
  });

  test('shows the authority to people and to programs', async () => {
    const { at, certs } = await place();
    const shown = await ca('show', ...at);
    expect(shown.text).toMatch(/subject +CN=Daylight Inspection CA [0-9a-f]{8}/);
    expect(shown.text).toMatch(/SHA-256 +([0-9A-F]{2}:){31}[0-9A-F]{2}/);
    expect(shown.text).toContain('Warning: clients that check only RSA signatures');
    const facts = JSON.parse((await ca('show', '--json', ...at)).text);
    const x509 = new X509Certificate(readFileSync(join(certs, 'ca.pem')));
    expect(facts).toMatchObject({
      certificateFile: join(certs, 'ca.pem'),
      keyFile: join(certs, 'ca.key'),
      active: { fingerprint256: x509.fingerprint256.replaceAll(':', '').toLowerCase(), keyType: 'EC prime256v1' },
      next: null,
      earlier: 0,
    });
    expect(`${shown.text}${JSON.stringify(facts)}`).not.toContain('PRIVATE');
  });

  test('exports the certificate in each format, the key only when told to and encrypted', async () => {
    const { at, certs, file } = await place();
    const pem = readFileSync(join(certs, 'ca.pem'), 'utf8');
    const secret = ['--password-file', file('password', 'secret\nsecond line\n')];
    expect((await ca('export', ...at)).text).toBe(pem);
    expect((await ca('export', '--format', 'der', ...at)).out).toEqual(new X509Certificate(pem).raw);
    expect((await ca('export', '--format', 'p12', ...at)).errors).toContain('needs --password-file');
    expect((await ca('export', '--format', 'p12', ...secret, ...at)).out[0]).toBe(0x30);
    expect((await ca('export', '--with-key', ...at)).errors).toContain('needs --password-file');
    expect((await ca('export', '--with-key', '--format', 'der', ...secret, ...at)).code).toBe(2);
    const backup = await ca('export', '--with-key', ...secret, ...at);
    expect(backup.text).toContain('BEGIN ENCRYPTED PRIVATE KEY');
    expect(backup.text).not.toContain('BEGIN PRIVATE KEY');
    const out = join(certs, '..', 'out');
    await ca('export', '--out', out, ...at);
    expect(readFileSync(out, 'utf8')).toBe(pem);
    expect((statSync(out).mode & 0o777).toString(8)).toBe('644');
    await ca('export', '--with-key', '--out', out, ...secret, ...at);
    expect((statSync(out).mode & 0o777).toString(8)).toBe('600');
    const nowhere = join(certs, 'nowhere', 'out');
    const refusal = { code: 1, errors: `daylight ca: ${nowhere} cannot be written (ENOENT)\n` };
    expect(await ca('export', '--out', nowhere, ...at)).toMatchObject(refusal);
    const elsewhere = ['--directory', join(certs, '..', 'elsewhere')];
    expect(
      await ca('create', '--intermediate', '--key-type', 'ec', '--root-out', nowhere, ...secret, ...elsewhere),
    ).toMatchObject(refusal);
  });

  test('brings a backup back, in both formats', async () => {
    const { at, certs, file } = await place();
    const before = JSON.parse((await ca('show', '--json', ...at)).text).active.fingerprint256;
    const secret = ['--password-file', file('password', 'secret\n')];
    for (const format of ['pem', 'p12']) {
      const path = join(certs, '..', `backup.${format}`);
      const other = ['--directory', join(certs, '..', `restored-${format}`)];
      await ca('export', '--with-key', '--format', format, '--out', path, ...secret, ...at);
      const source = format === 'p12' ? ['--p12', path] : ['--cert', path, '--key', path];
      const restored = await ca('import', ...source, ...secret, ...other);
      expect(restored).toMatchObject({ code: 0, errors: expect.stringContaining('check only RSA signatures') });
      expect(JSON.parse((await ca('show', '--json', ...other)).text).active.fingerprint256).toBe(before);
    }
  });

  test('imports an enterprise CA with its chain, and asks before it takes the place of another', async () => {
    const { at, certs, file } = await place();
    const own = readFileSync(join(certs, 'ca.pem'), 'utf8');
    const files = [
      '--cert',
      file('c.pem', issuing.pem),
      '--key',
      file('k.pem', issuing.keyPem),
      '--chain',
      file('r.pem', root.pem),
    ];
    expect(await ca('import', ...files, ...at)).toMatchObject({ code: 2, errors: expect.stringContaining('--rotate') });
    expect((await ca('import', ...files, '--replace', '--rotate', ...at)).code).toBe(2);
    expect(readFileSync(join(certs, 'ca.pem'), 'utf8')).toBe(own);
    const staged = await ca('import', ...files, '--rotate', '--activate-at', '2099-01-01', ...at);
    expect(staged.text).toContain('distribute it to all clients');
    expect(readFileSync(join(certs, 'ca.pem'), 'utf8')).toBe(`${own}${issuing.pem}${root.pem}`);
    expect((await ca('show', ...at)).text).toContain('active       at 2099-01-01T00:00:00Z');
    await ca('rotate', '--cancel', ...at);
    expect((await ca('import', ...files, '--replace', ...at)).text).toContain('leafs now come from CN=Issuing CA');
    expect(readFileSync(join(certs, 'ca.pem'), 'utf8')).toBe(`${issuing.pem}${root.pem}`);
    expect((await ca('export', '--format', 'der', ...at)).out).toEqual(root.x509.raw);
  });

  test('warns of a CA whose root is not known, and shows that one is constrained', async () => {
    const { certs, file } = await place();
    const constrained = labCertificate(root, {
      commonName: 'Constrained CA',
      ca: true,
      keyUsage: [5, 6],
      key: labKey('rsa2048'),
      extra: [labNameConstraints({ permitted: [dnsName('corp.example')] })],
    });
    const named = ['--cert', file('c.pem', constrained.pem), '--key', file('k.pem', constrained.keyPem)];
    const stranger = file('s.pem', labRoot({ commonName: 'Another Root' }).pem);
    const at = (name: string) => ['--directory', join(certs, '..', name)];
    for (const [name, chain] of [
      ['bare', []],
      ['stranger', ['--chain', stranger]],
    ] as const) {
      const { code, errors } = await ca('import', ...named, ...chain, ...at(name));
      expect([code, errors]).toEqual([0, expect.stringContaining('the root above CN=Constrained CA is not known')]);
    }
    const whole = await ca('import', ...named, '--chain', file('r.pem', root.pem), ...at('whole'));
    expect(whole).toMatchObject({ code: 0, errors: '' });
    expect((await ca('show', ...at('whole'))).text).toMatch(
      /constrained +leafs only for what its name constraints permit/,
    );
    expect((await ca('show', ...at('bare'))).text).toContain('Warning: the root above CN=Constrained CA');
    expect((await ca('shwo', ...at('whole'))).errors).toContain('did you mean "show"?');
  });

  test('warns of files with secrets that others may read', async () => {
    const { at, file } = await place();
    const files = ['--cert', file('c.pem', issuing.pem), '--key', file('k.pem', issuing.keyPem)];
    const quiet = await ca('import', '--replace', ...files, ...at);
    expect(quiet.errors).not.toContain('has mode');
    chmodSync(files[3] ?? '', 0o640);
    const told = await ca('import', '--replace', ...files, ...at);
    expect(told).toMatchObject({ code: 0, errors: expect.stringContaining('k.pem has mode 0640, wider than 0600') });
    expect(told.errors).not.toContain('c.pem has mode');
  });

  test('rotates with overlap', async () => {
    const { at, certs } = await place();
    const count = () => readFileSync(join(certs, 'ca.pem'), 'utf8').match(/BEGIN/g)?.length;
    expect((await ca('rotate', '--key-type', 'ec', ...at)).code).toBe(0);
    expect(count()).toBe(2);
    expect((await ca('show', ...at)).text).toContain('Next authority');
    expect((await ca('rotate', '--finish', ...at)).code).toBe(5);
    expect((await ca('rotate', '--activate', '--finish', ...at)).code).toBe(2);
    expect((await ca('rotate', '--activate', ...at)).code).toBe(0);
    expect((await ca('show', ...at)).text).toContain('Earlier certificates still in ca.pem: 1');
    expect((await ca('rotate', '--finish', ...at)).code).toBe(0);
    expect(count()).toBe(1);
    expect((await ca('rotate', '--activate-at', 'tomorrow', ...at)).errors).toContain('is no time');
  });

  test('checks the issuance log', async () => {
    const { at, certs } = await place();
    expect((await ca('issued', ...at)).text).toContain('0 lines');
    writeFileSync(join(certs, 'issued.ndjson'), '{"previous":"00"}\n{"previous":"00"}\n');
    expect(await ca('issued', '--json', ...at)).toMatchObject({ code: 1, text: '{"lines":2,"brokenAt":2}\n' });
  });

  test('never repeats a password or key in what it says', async () => {
    const { at, file } = await place();
    const secret = file('password', 'hunter2\n');
    const key = file('k.pem', issuing.keyPem.replace('BEGIN PRIVATE', 'BEGIN ENCRYPTED PRIVATE'));
    const { errors, code } = await ca(
      'import',
      '--replace',
      '--cert',
      file('c.pem', issuing.pem),
      '--key',
      key,
      '--password-file',
      secret,
      ...at,
    );
    expect(code).toBe(5);
    expect(errors).not.toMatch(/hunter2|MII/);
    expect((await ca('export', '--format', 'p12', '--password-file', file('empty', ''), ...at)).errors).toContain(
      'holds no password',
    );
    expect(existsSync(secret)).toBe(true);
  });
});
