import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { loadOrCreateAuthority, ownCertificates } from '../../src/pki/authority.ts';
import { loadRoots } from '../../src/pki/trust-store.ts';
import {
  clientAuth,
  type LabSubject,
  labCertificate,
  labDirectory,
  labExtension,
  labKey,
  labLeaf,
  labRoot,
} from './support/lab.ts';

const root = labRoot();

function file(text: string): string {
  const path = join(labDirectory(), 'roots.pem');
  writeFileSync(path, text);
  return path;
}

describe('roots', () => {
  test('of files come once each, in order, with text between them skipped', () => {
    const other = labRoot({ key: labKey('rsa2048') });
    const one = file(`# comment\n${root.pem}\nsubject: x\n${other.pem.replaceAll('\n', '\r\n')}`);
    expect(loadRoots({ system: false, files: [one, file(root.pem)] })).toEqual([root.pem, other.pem]);
  });

  test('of the system are taken but for those that cannot serve', () => {
    const skipped: string[] = [];
    const roots = loadRoots({ system: true, files: [], onSkipped: (reason) => skipped.push(reason) });
    expect(roots.length).toBeGreaterThan(50);
    expect(new Set(roots).size).toBe(roots.length);
    expect(roots.length).toBeLessThanOrEqual(
      new Set([...getCACertificates('system'), ...getCACertificates('bundled')]).size,
    );
    expect(skipped.filter((reason) => !reason.startsWith('a root of the system'))).toEqual([]);
    expect(loadRoots({ system: true, files: [], now: Date.UTC(2200, 0), onSkipped: () => {} })).toEqual([]);
  });

  test.each<[string, () => string, string]>([
    ['no certificate', () => 'nothing', 'holds no certificate in PEM'],
    [
      'a broken one',
      () => `${root.pem}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
      'certificate 2 of',
    ],
    ['one without an end', () => root.pem.slice(0, 200), 'certificate 1 of'],
    ['a leaf', () => labLeaf(root, { names: ['a.example'] }).pem, 'is not a CA'],
    ['an expired one', () => odd({ notBefore: 0, notAfter: Date.now() - 1_000 }), 'expired'],
    ['a weak one', () => odd({ key: labKey('rsa1024') }), 'too weak: RSA 1024 bits'],
    ['one of X.509 v1', () => odd({ version: 1 }), 'is not a CA'],
    ['one that may not sign', () => odd({ keyUsage: [0] }), 'may not sign'],
    ['one for clients alone', () => odd({ purposes: [clientAuth] }), 'is not for servers'],
    ['one of a published key', () => odd({ commonName: 'eDellRoot' }), 'the private key of eDellRoot is public'],
    [
      'one with an unknown critical extension',
      () => odd({ extra: [labExtension('1.2.3.4', true, Buffer.from('0500', 'hex'))] }),
      'critical extension 1.2.3.4',
    ],
  ])('a file with %s is refused by name and number', (_, text, detail) => {
    const path = file(text());
    expect(() => loadRoots({ system: false, files: [path] })).toThrow(/^GATEWAY_TRUST_INVALID: /);
    expect(() => loadRoots({ system: false, files: [path] })).toThrow(detail);
    expect(() => loadRoots({ system: false, files: [path] })).toThrow(path);
  });

  test('a file that is not there is refused', () => {
    expect(() => loadRoots({ system: false, files: [join(labDirectory(), 'none.pem')] })).toThrow(
      'cannot be read (ENOENT)',
    );
  });

  test("never have the key of the gateway's own authorities, under whatever name", async () => {
    const authority = await loadOrCreateAuthority(join(labDirectory(), 'certs'), { keyType: 'ec' });
    const disguised = labRoot({ commonName: 'Harmless', key: authority.active.key });
    for (const pem of [authority.active.pem, authority.untrusted.pem, disguised.pem]) {
      const sources = { system: false, files: [file(pem)] };
      expect(loadRoots(sources)).toHaveLength(1);
      expect(() => loadRoots({ ...sources, refuseKeysOf: ownCertificates(authority) })).toThrow(
        "this gateway's own authority",
      );
    }
  });
});

function odd(subject: LabSubject): string {
  return labCertificate(undefined, { commonName: 'Odd', ca: true, keyUsage: [5], ...subject }).pem;
}
