import { createPublicKey, X509Certificate } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Authority, loadAuthority, loadOrCreateAuthority } from '../../src/pki/authority.ts';
import { certificateFactsOf } from '../../src/pki/certificate-facts.ts';
import { type LabSubject, labCertificate, labDirectory, labKey, labRoot } from './support/lab.ts';
import { hasTool, outputOf, spawnTool } from './support/tools.ts';

const now = Date.now();
const day = 86_400_000;
const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);

/** A CA of the lab as the files of an authority: quicker than a key of 3072 bits. */
function placed(subject: LabSubject = {}, directory = labDirectory()): string {
  const root = labRoot({ notAfter: now + 400 * day, ...subject });
  writeFileSync(join(directory, 'ca.pem'), root.pem);
  writeFileSync(join(directory, 'ca.key'), root.keyPem, { mode: 0o600 });
  chmodSync(directory, 0o700);
  return directory;
}

async function refusalOf(directory: string): Promise<string> {
  return loadOrCreateAuthority(directory).then(
    () => 'loaded',
    (error: Error) => error.message,
  );
}

describe('a new authority', () => {
  test('is a root of its own for each installation, with the profile of a root', async () => {
    const directory = labDirectory();
    const [one, two] = await Promise.all(['one', 'two'].map((name) => loadOrCreateAuthority(join(directory, name))));
    if (one === undefined || two === undefined) throw new Error('not loaded');
    const facts = certificateFactsOf(one.active.pem);
    expect(facts.subject).toMatch(/^CN=Daylight Inspection CA [0-9a-f]{8}$/);
    expect(facts.selfSigned).toBe(true);
    expect(facts.notAfter - now).toBeGreaterThan(3_649 * day);
    expect(one.active.keyName).toBe('RSA 3072');
    expect(one.changes).toEqual([`made ${facts.subject}`]);
    const of = ({ active, untrusted }: Authority) =>
      [active, untrusted].flatMap(({ fingerprint256, keyFingerprint256, keyIdentifier }) => [
        fingerprint256,
        keyFingerprint256,
        keyIdentifier.toString('hex'),
      ]);
    expect(new Set([...of(one), ...of(two)]).size).toBe(12);
    expect(one.active.subject).not.toBe(two.active.subject);
    expect(two.untrusted.subject).toBe('CN=Daylight UNTRUSTED - origin failed verification');
    const text = hasTool('openssl', 'version')
      ? outputOf('openssl', ['x509', '-in', one.certificateFile, '-noout', '-text'])
      : '';
    for (const part of [
      'CA:TRUE, pathlen:0',
      'Certificate Sign, CRL Sign',
      'sha256WithRSAEncryption',
      'Basic Constraints: critical',
      'Key Usage: critical',
    ]) {
      expect(text === '' ? part : text).toContain(part);
    }
  });

  test('lies in files of mode 0600 in a directory of mode 0700 that holds nothing else', async () => {
    const directory = join(labDirectory(), 'deep', 'certs');
    const { certificates } = await loadOrCreateAuthority(directory, { keyType: 'ec' });
    expect(mode(directory)).toBe('700');
    expect(readdirSync(directory).sort()).toEqual(['ca.key', 'ca.pem', 'untrusted.key', 'untrusted.pem']);
    expect(['ca.key', 'untrusted.key'].map((name) => mode(join(directory, name)))).toEqual(['600', '600']);
    expect(readFileSync(join(directory, 'ca.pem'), 'utf8')).toBe(certificates);
  });

  test('is the same one when loaded again', async () => {
    const directory = join(labDirectory(), 'certs');
    const first = await loadOrCreateAuthority(directory, { keyType: 'ec' });
    const again = await loadOrCreateAuthority(directory);
    expect(again.active.fingerprint256).toBe(first.active.fingerprint256);
    expect(again.untrusted.fingerprint256).toBe(first.untrusted.fingerprint256);
    expect(again.changes).toEqual([]);
  });

  test('is one and the same for processes that start at the same moment', async () => {
    const script = fileURLToPath(new URL('support/create-authority.ts', import.meta.url));
    const directory = join(labDirectory(), 'certs');
    const startAt = String(Date.now() + 1_500);
    const outputs = await Promise.all(
      Array.from({ length: 4 }, () => spawnTool(process.execPath, [script, directory, startAt])),
    );
    expect(new Set(outputs).size).toBe(1);
    expect(readdirSync(directory).sort()).toEqual(['ca.key', 'ca.pem', 'untrusted.key', 'untrusted.pem']);
  }, 60_000);

  test('comes to its end after a crash at any step of its creation', async () => {
    const directory = placed();
    const key = join(directory, 'ca.key');
    const pending = join(directory, 'ca.creating.key');
    const { active } = await loadOrCreateAuthority(directory);
    // The certificate is published, the key not yet.
    renameSync(key, pending);
    expect((await loadOrCreateAuthority(directory)).active.fingerprint256).toBe(active.fingerprint256);
    // Everything is published, the pending name still there.
    copyFileSync(key, pending);
    expect((await loadOrCreateAuthority(directory)).active.fingerprint256).toBe(active.fingerprint256);
    expect(existsSync(pending)).toBe(false);
    // Only the pending key is there.
    renameSync(key, pending);
    unlinkSync(join(directory, 'ca.pem'));
    const made = await loadOrCreateAuthority(directory);
    expect(made.active.keyFingerprint256).toBe(active.keyFingerprint256);
    expect(existsSync(pending)).toBe(false);
  });

  test('tightens a directory that is empty but for what version control keeps there', async () => {
    const directory = labDirectory();
    chmodSync(directory, 0o755);
    writeFileSync(join(directory, '.gitkeep'), '');
    await loadOrCreateAuthority(directory, { keyType: 'ec' });
    expect(mode(directory)).toBe('700');
  });
});

describe('an authority is refused', () => {
  test.each<[string, (directory: string) => void, string]>([
    ['a key that others can read', (at) => chmodSync(join(at, 'ca.key'), 0o640), 'mode 0640, wider than 0600'],
    ['a directory that others can list', (at) => chmodSync(at, 0o755), 'mode 0755, wider than 0700, and is not empty'],
    [
      'a key that is a link',
      (at) => {
        renameSync(join(at, 'ca.key'), join(at, 'k'));
        symlinkSync('k', join(at, 'ca.key'));
      },
      'is a symbolic link',
    ],
    [
      'a certificate that is a link',
      (at) => {
        renameSync(join(at, 'ca.pem'), join(at, 'c'));
        symlinkSync('c', join(at, 'ca.pem'));
      },
      'is a symbolic link',
    ],
    [
      'a key that is a directory',
      (at) => {
        unlinkSync(join(at, 'ca.key'));
        mkdirSync(join(at, 'ca.key'));
      },
      'is not a file',
    ],
    ['a key without certificate', (at) => unlinkSync(join(at, 'ca.pem')), 'one is missing'],
    ['a certificate without key', (at) => unlinkSync(join(at, 'ca.key')), 'one is missing'],
    [
      'a key of another certificate',
      (at) => writeFileSync(join(at, 'ca.key'), labRoot().keyPem),
      'fits no certificate',
    ],
    [
      'a key that is none',
      (at) => writeFileSync(join(at, 'ca.key'), 'not a key'),
      'holds no private key that can be read',
    ],
    ['an empty key', (at) => writeFileSync(join(at, 'ca.key'), ''), 'holds no private key that can be read'],
    [
      'a certificate that is none',
      (at) => writeFileSync(join(at, 'ca.pem'), 'not a certificate'),
      'holds no certificate',
    ],
    [
      'a broken certificate',
      (at) => writeFileSync(join(at, 'ca.pem'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'),
      'cannot be read',
    ],
    ['an encrypted key', (at) => writeFileSync(join(at, 'ca.key'), encrypted()), 'is encrypted: name its passphrase'],
  ])('for %s', async (_, spoil, detail) => {
    const directory = placed();
    spoil(directory);
    const refusal = await refusalOf(directory);
    expect(refusal).toContain('GATEWAY_AUTHORITY_KEY');
    expect(refusal).toContain(detail);
  });

  test.each<[string, LabSubject, string]>([
    ['that has expired', { notAfter: now - day }, 'expired'],
    ['that is not yet valid', { notBefore: now + day }, 'is valid only from'],
    ['that is no CA', { ca: false }, 'is not a CA'],
    ['that may not sign', { keyUsage: [0] }, 'may not sign certificates'],
    ['that is for clients', { purposes: ['1.3.6.1.5.5.7.3.2'] }, 'may not issue for servers'],
    ['with a weak key', { key: labKey('rsa1024') }, 'too weak: RSA 1024 bits'],
    ['with a key that clients do not know', { key: labKey('ed25519') }, 'neither RSA nor ECDSA'],
  ])('for a certificate %s', async (_, subject, detail) => {
    expect(await refusalOf(placed(subject))).toContain(detail);
  });

  test.skipIf(process.getuid?.() !== 0)('for files of another user', async () => {
    const key = placed();
    chownSync(join(key, 'ca.key'), 12_345, 12_345);
    expect(await refusalOf(key)).toContain('belongs to user 12345');
    const directory = placed();
    chownSync(directory, 12_345, 12_345);
    expect(await refusalOf(directory)).toContain('belongs to user 12345');
  });

  test('for a directory that is a link or a file', async () => {
    const directory = labDirectory();
    symlinkSync(placed(), join(directory, 'link'));
    writeFileSync(join(directory, 'file'), '');
    expect(await refusalOf(join(directory, 'link'))).toContain('is a symbolic link');
    expect(await refusalOf(join(directory, 'file'))).not.toBe('loaded');
  });

  test('and nothing is changed or made when it is only to be loaded', async () => {
    const directory = labDirectory();
    chmodSync(directory, 0o755);
    await expect(loadAuthority(directory)).rejects.toThrow('wider than 0700');
    expect(mode(directory)).toBe('755');
    await expect(loadAuthority(join(directory, 'none'))).rejects.toThrow('does not exist');
    expect(readdirSync(directory)).toEqual([]);
  });

  test('with no byte of the key in the message', async () => {
    const directory = placed();
    const text = readFileSync(join(directory, 'ca.key'), 'utf8');
    writeFileSync(join(directory, 'ca.key'), text.replace('PRIVATE', 'PRIVATE PRIVATE'));
    const body = text.split('\n')[1] ?? '';
    expect(await refusalOf(directory)).not.toContain(body.slice(0, 12));
  });
});

test('an intermediate CA of an enterprise sends its chain without the root', async () => {
  const root = labRoot({ notAfter: now + 400 * day });
  const middle = labCertificate(root, {
    commonName: 'Issuing CA',
    ca: true,
    keyUsage: [5, 6],
    notAfter: now + 300 * day,
  });
  const directory = labDirectory();
  chmodSync(directory, 0o700);
  writeFileSync(join(directory, 'ca.pem'), `${middle.pem}${labRoot().pem}${root.pem}`);
  writeFileSync(join(directory, 'ca.key'), middle.keyPem, { mode: 0o600 });
  const { active, earlier } = await loadOrCreateAuthority(directory);
  expect(active.chain).toEqual([root.pem]);
  expect(active.presented).toEqual([middle.pem]);
  expect(earlier).toBe(1);
  expect(createPublicKey(active.key).equals(new X509Certificate(middle.pem).publicKey)).toBe(true);
  rmSync(directory, { recursive: true });
});

function encrypted(): string {
  return labKey().export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' }).toString();
}
