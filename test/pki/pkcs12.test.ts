import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { issuerFromPem, issuerFromPkcs12 } from '../../src/pki/authority-import.ts';
import { writePkcs12 } from '../../src/pki/pkcs12-writer.ts';
import { type LabCertificate, labCertificate, labDirectory, labKey, labRoot } from './support/lab.ts';
import { hasTool, outputOf, runTool } from './support/tools.ts';

const now = Date.now();
const password = 'pässwörd 1';
const root = labRoot();
const rsa = labCertificate(root, { commonName: 'RSA issuing CA', ca: true, keyUsage: [5, 6], key: labKey('rsa2048') });
const ec = labCertificate(root, { commonName: 'EC issuing CA', ca: true, keyUsage: [5, 6] });
const both: [string, LabCertificate][] = [
  ['RSA', rsa],
  ['ECDSA', ec],
];
const fingerprint = ({ x509 }: LabCertificate): string => x509.fingerprint256.replaceAll(':', '').toLowerCase();

function inFile(content: string | Buffer, name: string): string {
  const path = join(labDirectory(), name);
  writeFileSync(path, content);
  return path;
}

describe('what is written', () => {
  test.each(both)('is taken by Node: %s', (_, issuer) => {
    const file = writePkcs12({ certificates: [issuer.pem, root.pem], key: issuer.key, password });
    expect(() => createSecureContext({ pfx: file, passphrase: password })).not.toThrow();
    expect(() => createSecureContext({ pfx: file, passphrase: 'wrong' })).toThrow(/mac verify failure/i);
  });

  test.each(both)('is read back as it was: %s', async (_, issuer) => {
    const file = writePkcs12({ certificates: [issuer.pem, root.pem], key: issuer.key, password });
    const read = await issuerFromPkcs12(file, password, 'ca.p12', now);
    expect(read.fingerprint256).toBe(fingerprint(issuer));
    expect(read.chain).toEqual([root.pem]);
    await expect(issuerFromPkcs12(file, 'wrong', 'ca.p12', now)).rejects.toThrow('the password is wrong');
  });

  test.skipIf(!hasTool('openssl', 'version')).each(both)('is taken by openssl: %s', (_, issuer) => {
    const path = inFile(writePkcs12({ certificates: [issuer.pem, root.pem], key: issuer.key, password }), 'ca.p12');
    const secret = inFile(`${password}\n`, 'password');
    const text = outputOf('openssl', ['pkcs12', '-in', path, '-passin', `file:${secret}`, '-nodes', '-info']);
    expect(text.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(text).toContain('BEGIN PRIVATE KEY');
    expect(runTool('openssl', ['pkcs12', '-in', path, '-passin', 'pass:wrong', '-nodes']).status).not.toBe(0);
  });

  test.skipIf(!hasTool('keytool', '-help'))('without a key is a trust store for Java', () => {
    const path = inFile(writePkcs12({ certificates: [rsa.pem, root.pem], password: 'changeit' }), 'trust.p12');
    const listed = outputOf('keytool', ['-list', '-keystore', path, '-storepass', 'changeit']);
    expect(listed.match(/trustedCertEntry/g)).toHaveLength(2);
    expect(listed).toContain('daylight-ca-1');
  });
});

describe.skipIf(!hasTool('openssl', 'version'))('files of openssl are read', () => {
  const pem = (issuer: LabCertificate) => inFile(`${issuer.keyPem}${issuer.pem}${root.pem}`, 'all.pem');
  test.each<[string, LabCertificate, readonly string[]]>([
    ['RSA, present ciphers', rsa, []],
    ['ECDSA, present ciphers', ec, []],
    ['RSA, 3DES and SHA-1', rsa, ['-certpbe', 'PBE-SHA1-3DES', '-keypbe', 'PBE-SHA1-3DES', '-macalg', 'sha1']],
    [
      'RSA, RC2-40 as of old Windows',
      rsa,
      ['-legacy', '-certpbe', 'PBE-SHA1-RC2-40', '-keypbe', 'PBE-SHA1-3DES', '-macalg', 'sha1'],
    ],
    ['RSA, nothing encrypted', rsa, ['-certpbe', 'NONE', '-keypbe', 'NONE']],
  ])('%s', async (_, issuer, args) => {
    const out = join(labDirectory(), 'out.p12');
    const made = runTool('openssl', [
      'pkcs12',
      '-export',
      '-in',
      pem(issuer),
      '-out',
      out,
      '-passout',
      'pass:secret',
      ...args,
    ]);
    expect(made).toMatchObject({ status: 0 });
    const read = await issuerFromPkcs12(readFileSync(out), 'secret', 'out.p12', now);
    expect(read.fingerprint256).toBe(fingerprint(issuer));
    expect(read.chain.map((each) => new X509Certificate(each).fingerprint256)).toEqual([root.x509.fingerprint256]);
  });
});

/** Java stores with an empty password, and without one and any encryption. */
const javaStores = `
import java.io.*; import java.security.*; import java.security.cert.*; import java.util.*;
public class Stores {
  public static void main(String[] of) throws Exception {
    byte[] der = Base64.getMimeDecoder().decode(of[0]);
    PrivateKey key = KeyFactory.getInstance("RSA").generatePrivate(new java.security.spec.PKCS8EncodedKeySpec(der));
    var chain = CertificateFactory.getInstance("X.509").generateCertificates(new FileInputStream(of[1])).toArray(new java.security.cert.Certificate[0]);
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    store.setKeyEntry("ca", key, new char[0], chain);
    try (var out = new FileOutputStream(of[2])) { store.store(out, new char[0]); }
  }
}`;

describe('files without a password are read without one', () => {
  const all = (issuer: LabCertificate) => inFile(`${issuer.keyPem}${issuer.pem}${root.pem}`, 'all.pem');
  const reads = async (path: string, issuer: LabCertificate): Promise<void> => {
    const file = readFileSync(path);
    expect((await issuerFromPkcs12(file, undefined, 'out.p12', now)).fingerprint256).toBe(fingerprint(issuer));
    await expect(issuerFromPkcs12(file, 'x', 'out.p12', now)).rejects.toThrow('the password is wrong');
  };

  test.skipIf(!hasTool('openssl', 'version')).each<[string, LabCertificate, readonly string[]]>([
    ['RSA', rsa, []],
    ['ECDSA', ec, []],
    ['old ciphers', rsa, ['-legacy']],
  ])('of openssl: %s', async (_, issuer, args) => {
    const out = join(labDirectory(), 'out.p12');
    const made = runTool('openssl', [
      'pkcs12',
      '-export',
      '-in',
      all(issuer),
      '-out',
      out,
      '-passout',
      'pass:',
      ...args,
    ]);
    expect(made).toMatchObject({ status: 0 });
    await reads(out, issuer);
  });

  test.skipIf(!hasTool('certtool', '--version')).each(['--empty-password', '--null-password'])(
    'of GnuTLS, which makes both kinds: %s',
    async (kind) => {
      const out = join(labDirectory(), 'out.p12');
      const files = ['--load-privkey', inFile(rsa.keyPem, 'k.pem'), '--load-certificate', inFile(rsa.pem, 'c.pem')];
      const args = ['--to-p12', ...files, '--p12-name', 'ca', kind, '--outder', '--outfile', out];
      expect(runTool('certtool', args)).toMatchObject({ status: 0 });
      await reads(out, rsa);
    },
  );

  test.skipIf(!hasTool('java', '-version'))('of Java, whose keytool makes none itself', async () => {
    const [source, out] = [inFile(javaStores, 'Stores.java'), join(labDirectory(), 'out.p12')];
    const key = rsa.keyPem.replace(/-----.*-----/g, '').replace(/\s/g, '');
    const made = runTool('java', ['-XX:TieredStopAtLevel=1', source, key, inFile(rsa.pem + root.pem, 'c.pem'), out]);
    expect(made).toMatchObject({ status: 0 });
    await reads(out, rsa);
  });

  test.skipIf(!hasTool('keytool', '-help'))('one of keytool has one, and says so', async () => {
    const out = join(labDirectory(), 'key.p12');
    const of = ['-genkeypair', '-keyalg', 'RSA', '-alias', 'ca', '-dname', 'CN=Java CA', '-ext', 'bc:c=ca:true'];
    const ran = runTool('keytool', [...of, '-ext', 'ku:c=keyCertSign', '-keystore', out, '-storepass', 'changeit']);
    expect(ran).toMatchObject({ status: 0 });
    const file = readFileSync(out);
    await expect(issuerFromPkcs12(file, undefined, 'key.p12', now)).rejects.toThrow('name its --password-file');
    const made = await issuerFromPkcs12(file, 'changeit', 'key.p12', Date.now() + 5_000);
    expect(made.subject).toContain('Java CA');
  });
});

describe('what is no CA is refused', () => {
  test('garbage and files without a key', async () => {
    await expect(issuerFromPkcs12(Buffer.from('garbage'), 'x', 'file', now)).rejects.toThrow('is no PKCS#12 file');
    const trust = writePkcs12({ certificates: [rsa.pem], password });
    await expect(issuerFromPkcs12(trust, password, 'file', now)).rejects.toThrow('holds 0 private keys');
  });

  test('PEM: a key that fits nothing, a wrong password, a missing one', () => {
    const encrypted = rsa.key
      .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' })
      .toString();
    const traditional = rsa.key
      .export({ type: 'pkcs1', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'secret' })
      .toString();
    const from = (text: string, secret: string | undefined, pems = `${root.pem}${rsa.pem}`) =>
      issuerFromPem(
        { certificates: { text: pems, from: 'c.pem' }, key: { text, from: 'k.pem' }, password: secret },
        now,
      );
    expect(from(encrypted, 'secret').fingerprint256).toBe(fingerprint(rsa));
    expect(from(traditional, 'secret').chain).toEqual([root.pem]);
    expect(() => from(encrypted, 'wrong')).toThrow('k.pem is encrypted, and the password is wrong');
    expect(() => from(traditional, undefined)).toThrow('k.pem is encrypted and needs a password');
    expect(() => from(ec.keyPem, undefined)).toThrow('no certificate of c.pem fits the key');
    expect(() => from(rsa.keyPem, undefined, 'nothing')).toThrow('no certificate of c.pem fits the key');
  });
});
