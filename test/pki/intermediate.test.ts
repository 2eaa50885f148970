import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCa } from '../../src/control/ca-command.ts';
import { type Authority, loadAuthority } from '../../src/pki/authority.ts';
import { issueLeaf } from '../../src/pki/leaf.ts';
import { dns, ip, leafKey, leafRequest } from './support/leafs.ts';
import { hasTool, runTool } from './support/tools.ts';

const { publicKey } = leafKey('ec');
const base = mkdtempSync(join(tmpdir(), 'daylight-intermediate-'));
const certs = join(base, 'certs');
const rootFile = join(base, 'root.pem');
const password = 'only for this test';
let authority: Authority;

async function ca(...args: readonly string[]): Promise<{ readonly code: number; readonly said: string }> {
  let said = '';
  const out = new Writable({
    write: (chunk, _encoding, done) => {
      said += String(chunk);
      done();
    },
  });
  return { code: await runCa(args, { stdout: out, stderr: out }), said };
}

const create = (...more: readonly string[]) =>
  ca('create', '--intermediate', '--key-type', 'ec', '--password-file', join(base, 'password'), ...more);

beforeAll(async () => {
  writeFileSync(join(base, 'password'), `${password}\n`, { mode: 0o600 });
  const permits = ['--permit', 'example.com', '--permit', 'corp.example'];
  expect(await create('--directory', certs, '--root-out', rootFile, ...permits)).toMatchObject({ code: 0 });
  authority = await loadAuthority(certs);
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

async function issue(name: string, names = [dns(name)]): Promise<string> {
  return (await issueLeaf(authority, leafRequest({ publicKey, name, names }), Date.now())).chainPem;
}

describe('an intermediate', () => {
  it('leaves its root in a file to be taken offline, with the key encrypted, and none of it in the directory', () => {
    const root = readFileSync(rootFile, 'utf8');
    expect(statSync(rootFile).mode & 0o777).toBe(0o600);
    expect(root).toContain('BEGIN ENCRYPTED PRIVATE KEY');
    const key = createPrivateKey({ key: root, passphrase: password });
    expect(new X509Certificate(root).checkPrivateKey(key)).toBe(true);
    expect(new X509Certificate(root).checkPrivateKey(createPrivateKey(readFileSync(join(certs, 'ca.key'))))).toBe(
      false,
    );
    expect(authority.certificates).toContain(new X509Certificate(root).toString());
    expect(authority.active.chain).toHaveLength(1);
  });

  it('sends itself with each leaf, and leaves out names that it may not vouch for', async () => {
    const chain = await issue('www.example.com', [
      dns('www.example.com'),
      dns('*.corp.example'),
      dns('bank.test'),
      dns('notexample.com'),
      ip('10.0.0.1'),
    ]);
    expect(chain.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(new X509Certificate(chain).subjectAltName).toBe('DNS:www.example.com, DNS:*.corp.example');
  });

  it.each(['bank.test', 'notexample.com', 'example.com.evil.test', '10.0.0.1'])(
    'issues nothing for %s',
    async (name) => {
      await expect(issue(name, [])).rejects.toMatchObject({
        code: 'GATEWAY_LEAF_FAILED',
        detail: expect.stringContaining('constrained to other names'),
      });
    },
  );

  it('takes the place of no authority that is there, and needs names that are names', async () => {
    const second = join(base, 'second-root.pem');
    expect(await create('--directory', certs, '--root-out', second)).toMatchObject({ code: 5 });
    expect(() => statSync(second)).toThrow();
    expect(await create('--directory', join(base, 'b'), '--root-out', second, '--permit', '*.x')).toMatchObject({
      code: 2,
    });
    expect(await ca('create', '--intermediate', '--directory', join(base, 'b'))).toMatchObject({ code: 2 });
  });

  const verify = async (
    name: string,
    chain: string,
  ): Promise<{ readonly status: number | null; readonly output: string }> => {
    const leafFile = join(base, `${name}.pem`);
    const root = join(base, 'trusted-root.pem');
    writeFileSync(leafFile, chain);
    writeFileSync(root, authority.active.chain[0] ?? '');
    const args = [
      '-x509_strict',
      '-purpose',
      'sslserver',
      '-verify_hostname',
      name,
      '-CAfile',
      root,
      '-untrusted',
      leafFile,
    ];
    return runTool('openssl', ['verify', ...args, leafFile]);
  };

  it.skipIf(!hasTool('openssl', 'version'))('is one for OpenSSL, strictly', async () => {
    expect(await verify('www.example.com', await issue('www.example.com'))).toMatchObject({ status: 0 });
  });

  it.skipIf(!hasTool('openssl', 'version'))(
    'makes a leaf for another name worthless, whoever has its key',
    async () => {
      // As a thief would issue: without our own check.
      const { constraints: _, ...active } = authority.active;
      const stolen = { ...authority, active: { ...active, constraints: undefined } };
      const { chainPem } = await issueLeaf(
        stolen,
        leafRequest({ publicKey, name: 'bank.test', names: [] }),
        Date.now(),
      );
      const verified = await verify('bank.test', chainPem);
      expect(verified.status).not.toBe(0);
      expect(verified.output).toContain('permitted subtree violation');
    },
  );
});
