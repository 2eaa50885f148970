import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { OriginException } from '../../src/core/policy.ts';
import { originCertificateOf } from '../../src/pki/origin-certificate.ts';
import { trustAnchorsOf } from '../../src/pki/trust-anchors.ts';
import { type Validation, validate } from '../../src/pki/validate.ts';
import {
  clientAuth,
  dnsName,
  ipName,
  type LabCertificate,
  type LabSubject,
  labCertificate,
  labExtension,
  labKey,
  labLeaf,
  labNameConstraints,
  labRoot,
  serverAuth,
} from './support/lab.ts';

const root = labRoot();
const day = 86_400_000;

function outcome(
  leaf: LabCertificate,
  name: string,
  chain: readonly LabCertificate[] = [root],
  allow: OriginException['allow'] = [],
): string {
  const verification = judged(leaf, name, chain, Date.now(), allow);
  return verification.kind === 'verified' ? 'verified' : verification.code;
}

/** The last of a chain is the trusted one. */
function judged(
  leaf: LabCertificate,
  name = 'www.example.com',
  chain: readonly LabCertificate[] = [root],
  now = Date.now(),
  exceptions: OriginException['allow'] = [],
): Validation {
  return validate({
    chain: [leaf, ...chain.slice(0, -1)].map(({ x509 }) => x509),
    roots: trustAnchorsOf(chain.slice(-1).map(({ pem }) => pem)),
    name,
    now,
    policy: { exceptions },
  });
}

function outcomeOf(subject: LabSubject, name = 'www.example.com'): string {
  return outcome(labLeaf(root, subject), name);
}

describe('names', () => {
  test.each<[string, readonly (string | Buffer)[], string, boolean]>([
    ['the same name', ['www.example.com'], 'www.example.com', true],
    ['the same name in capitals', ['WWW.EXAMPLE.com'], 'www.example.com', true],
    ['the second of two', ['a.example.com', 'www.example.com'], 'www.example.com', true],
    ['another name', ['www.example.org'], 'www.example.com', false],
    ['the parent domain', ['example.com'], 'www.example.com', false],
    ['a wildcard over it', ['*.example.com'], 'www.example.com', true],
    ['a wildcard over its A-label', ['*.example.com'], 'xn--bcher-kva.example.com', true],
    ['a wildcard and the bare domain', ['*.example.com'], 'example.com', false],
    ['a wildcard and two labels', ['*.example.com'], 'a.b.example.com', false],
    ['a wildcard over a top-level domain', ['*.com'], 'example.com', false],
    ['a wildcard over co.uk', ['*.co.uk'], 'example.co.uk', false],
    ['a lone star', ['*'], 'localhost', false],
    ['a partial wildcard', ['w*.example.com'], 'www.example.com', false],
    ['a partial wildcard at the end', ['*w.example.com'], 'www.example.com', false],
    ['a wildcard in the middle', ['www.*.com'], 'www.example.com', false],
    ['two wildcards', ['*.*.com'], 'www.example.com', false],
    ['a leading dot', ['.example.com'], 'www.example.com', false],
    ['a trailing dot in the certificate', ['www.example.com.'], 'www.example.com', false],
    ['a single label', ['localhost'], 'localhost', true],
    ['an IPv4 address', [Buffer.from([10, 1, 2, 3])], '10.1.2.3', true],
    ['another IPv4 address', [Buffer.from([10, 1, 2, 3])], '10.1.2.4', false],
    ['an address that is written as a DNS name', ['10.1.2.3'], '10.1.2.3', false],
    ['a wildcard and an address', ['*.1.2.3'], '10.1.2.3', false],
    [
      'an IPv6 address in another spelling',
      [Buffer.from('20010db8000000000000000000000001', 'hex')],
      '2001:DB8:0::1',
      true,
    ],
    ['a host name and an address alone', [Buffer.from([10, 1, 2, 3])], 'www.example.com', false],
  ])('%s', (_, names, name, covered) => {
    expect(outcomeOf({ names }, name)).toBe(covered ? 'verified' : 'ORIGIN_CERT_NAME_MISMATCH');
  });

  test.each([
    'WWW.example.com',
    'www.example.com.',
    '.example.com',
    '*.example.com',
    'www\u3002example.com',
    'www.example.com\0',
    '',
  ])('a name that is not canonical covers nothing: %j', (name) => {
    expect(outcomeOf({ names: ['www.example.com', '*.example.com'] }, name)).toBe('ORIGIN_CERT_NAME_MISMATCH');
  });

  test.each<[string, LabSubject]>([
    ['no alternative name', { commonName: 'www.example.com' }],
    ['alternative addresses alone', { commonName: 'www.example.com', names: [Buffer.from([1, 2, 3, 4])] }],
    ['an alternative mail address alone', { commonName: 'www.example.com', rawNames: [Buffer.from([0x81, 1, 0x61])] }],
    ['another alternative name', { commonName: 'www.example.com', names: ['www.example.org'] }],
  ])('the common name never counts: %s', (_, subject) => {
    expect(outcomeOf(subject)).toBe('ORIGIN_CERT_NAME_MISMATCH');
  });

  test.each<[string, Buffer]>([
    ['a comma', dnsName('x.example, DNS:www.example.com')],
    ['a NUL', dnsName('www.example.com\0.evil.example')],
    ['a full-width dot', dnsName(Buffer.from('www\uff0eexample.com'))],
    ['5 octets of address', ipName(Buffer.from([10, 1, 2, 3, 4]))],
  ])('a hostile name covers nothing: %s', (_, raw) => {
    expect(outcomeOf({ rawNames: [raw] })).toBe('ORIGIN_CERT_NAME_MISMATCH');
    expect(outcomeOf({ rawNames: [raw] }, '10.1.2.3')).toBe('ORIGIN_CERT_NAME_MISMATCH');
  });

  test('a wildcard over a platform needs the platform itself in the certificate', () => {
    const outcomes = (names: string[], allow: OriginException['allow'] = []) =>
      outcome(labLeaf(root, { names }), 'a.github.io', [root], allow);
    expect(outcomes(['*.github.io'])).toBe('ORIGIN_CERT_NAME_MISMATCH');
    expect(outcomes(['*.github.io'], ['suffix-wildcard'])).toBe('verified');
    expect(outcomes(['*.github.io', 'github.io'])).toBe('verified');
    expect(outcomes(['a.github.io'])).toBe('verified');
  });

  test('the last of 5 000 names is found, and facts keep as many as the limit says', () => {
    const names = Array.from({ length: 5_000 }, (_, index) => `h${index}.example.com`);
    const leaf = labLeaf(root, { names });
    expect(outcome(leaf, 'h4999.example.com')).toBe('verified');
    const verification = judged(leaf, 'h4999.example.com');
    expect(verification.kind === 'verified' && verification.identity.certificate.names.length).toBe(1_000);
  });
});

describe('the profile of a leaf', () => {
  const names = ['www.example.com'];
  test.each<[string, LabSubject, string]>([
    ['an ordinary leaf', {}, 'verified'],
    ['CA false', { ca: false }, 'verified'],
    ['RSA 2048', { key: labKey('rsa2048') }, 'verified'],
    ['Ed25519', { key: labKey('ed25519') }, 'verified'],
    ['serverAuth among others', { purposes: [clientAuth, serverAuth] }, 'verified'],
    ['a CA as leaf', { ca: true }, 'ORIGIN_CERT_PURPOSE'],
    ['keyCertSign', { keyUsage: [0, 5] }, 'ORIGIN_CERT_PURPOSE'],
    ['no extended key usage', { purposes: undefined }, 'ORIGIN_CERT_PURPOSE'],
    ['clientAuth alone', { purposes: [clientAuth] }, 'ORIGIN_CERT_PURPOSE'],
    ['any purpose alone', { purposes: ['2.5.29.37.0'] }, 'ORIGIN_CERT_PURPOSE'],
    ['X.509 v1', { version: 1 }, 'ORIGIN_CERT_INVALID'],
    ['X.509 v4', { version: 4 }, 'ORIGIN_CERT_INVALID'],
    [
      'name constraints',
      { extra: [labNameConstraints({ permitted: [dnsName('example.com')] })] },
      'ORIGIN_CERT_INVALID',
    ],
    [
      'the same extension twice',
      { extra: [labExtension('2.5.29.17', false, Buffer.from('3000', 'hex'))] },
      'ORIGIN_CERT_INVALID',
    ],
    ['RSA 1024', { key: labKey('rsa1024') }, 'ORIGIN_CERT_WEAK'],
    ['P-224', { key: labKey('p224') }, 'ORIGIN_CERT_WEAK'],
    ['a SHA-1 signature', { hash: 'sha1' }, 'ORIGIN_CERT_WEAK'],
    ['expired', { notAfter: Date.now() - 2_000 }, 'ORIGIN_CERT_EXPIRED'],
    ['not yet valid', { notBefore: Date.now() + 60_000 }, 'ORIGIN_CERT_NOT_YET_VALID'],
  ])('%s', (_, subject, expected) => {
    expect(outcomeOf({ names, ...subject })).toBe(expected);
  });

  test('its last second is valid to the end, at whatever time the caller says it is', () => {
    const notAfter = Math.floor(Date.now() / 1_000) * 1_000 + 10 * day;
    const farRoot = labRoot({ notAfter: notAfter + 10 * day });
    const leaf = labLeaf(farRoot, { names, notAfter });
    const at = (now: number): string => judged(leaf, 'www.example.com', [farRoot], now).kind;
    expect([notAfter - 1_000, notAfter, notAfter + 999].map(at)).toEqual(['verified', 'verified', 'verified']);
    expect(at(notAfter + 1_000)).toBe('failed');
    expect(at(Date.now() - 2 * day)).toBe('failed');
  });

  test('an untrusted certificate stands for the name that policy forgives, and for none that it claims beside it', () => {
    const claims = ['www.example.com', 'bank.example', '*.example.com', Buffer.from([192, 0, 2, 1])];
    const box = labCertificate(undefined, { commonName: 'box', names: claims });
    const identityFor = (name: string) => {
      const verification = judged(box, name, [], Date.now(), ['untrusted']);
      return verification.kind === 'verified' ? verification.identity.certificate.names : verification.code;
    };
    expect(identityFor('www.example.com')).toEqual([{ kind: 'dns', value: 'www.example.com' }]);
    expect(identityFor('a.example.com')).toEqual([{ kind: 'dns', value: 'a.example.com' }]);
    expect(identityFor('192.0.2.1')).toEqual([{ kind: 'ip', value: '192.0.2.1' }]);
  });

  test('exceptions forgive what they name and nothing else', () => {
    const selfSigned = (subject: LabSubject) =>
      labCertificate(undefined, { commonName: 'box', ca: true, keyUsage: [0, 5], names, ...subject });
    expect(outcome(selfSigned({}), 'www.example.com', [], ['untrusted'])).toBe('verified');
    expect(outcome(selfSigned({}), 'www.example.com', [], ['missing-eku'])).toBe('ORIGIN_CERT_SELF_SIGNED');
    expect(outcome(selfSigned({}), 'other.example.com', [], ['untrusted'])).toBe('ORIGIN_CERT_NAME_MISMATCH');
    expect(outcome(selfSigned({ key: labKey('rsa1024') }), 'www.example.com', [], ['untrusted'])).toBe(
      'ORIGIN_CERT_WEAK',
    );
    expect(outcome(selfSigned({ notAfter: Date.now() - 2_000 }), 'www.example.com', [], ['untrusted'])).toBe(
      'ORIGIN_CERT_EXPIRED',
    );
    const noPurpose = labLeaf(root, { names, purposes: undefined });
    expect(outcome(noPurpose, 'www.example.com', [root], ['missing-eku'])).toBe('verified');
    const clientOnly = labLeaf(root, { names, purposes: [clientAuth] });
    expect(outcome(clientOnly, 'www.example.com', [root], ['missing-eku'])).toBe('ORIGIN_CERT_PURPOSE');
  });

  test('a failure carries facts and a detail without the names of a crowd', () => {
    const leaf = labLeaf(root, { names: Array.from({ length: 50 }, (_, index) => `h${index}.example.com`) });
    const verification = judged(leaf);
    expect(verification).toMatchObject({
      kind: 'failed',
      detail:
        'www.example.com is not covered by h0.example.com, h1.example.com, h2.example.com, h3.example.com, h4.example.com, ...',
      certificate: { issuer: root.x509.subject.replace('\n', ',') },
    });
  });
});

describe('the chain', () => {
  const names = ['*.example.com', Buffer.from([10, 1, 2, 3])];
  const below = (subject: LabSubject): [LabCertificate, LabCertificate[]] => {
    const middle = labCertificate(root, { commonName: 'Lab intermediate', ca: true, keyUsage: [5, 6], ...subject });
    return [labLeaf(middle, { names }), [middle, root]];
  };
  const constrained = (constraints: Parameters<typeof labNameConstraints>[0]) =>
    below({ extra: [labNameConstraints(constraints)] });

  test('a wildcard does not reach an excluded name (class of CVE-2025-61727)', () => {
    const [leaf, chain] = constrained({ excluded: [dnsName('bad.example.com')] });
    expect(outcome(leaf, 'bad.example.com', chain)).toBe('ORIGIN_CERT_INVALID');
    expect(outcome(leaf, 'good.example.com', chain)).toBe('verified');
  });

  test.each<[string, Parameters<typeof labNameConstraints>[0], string, string]>([
    ['permitted, itself', { permitted: [dnsName('example.com')] }, 'a.example.com', 'verified'],
    ['permitted, elsewhere', { permitted: [dnsName('example.org')] }, 'a.example.com', 'ORIGIN_CERT_INVALID'],
    ['permitted with a leading dot', { permitted: [dnsName('.example.com')] }, 'a.example.com', 'verified'],
    ['permitted, not on a label border', { permitted: [dnsName('ample.com')] }, 'a.example.com', 'ORIGIN_CERT_INVALID'],
    ['excluded, everything', { excluded: [dnsName('')] }, 'a.example.com', 'ORIGIN_CERT_INVALID'],
    [
      'addresses alone do not bind names',
      { permitted: [ipName(Buffer.from([10, 0, 0, 0, 255, 0, 0, 0]))] },
      'a.example.com',
      'verified',
    ],
    ['permitted network', { permitted: [ipName(Buffer.from([10, 0, 0, 0, 255, 0, 0, 0]))] }, '10.1.2.3', 'verified'],
    [
      'other network',
      { permitted: [ipName(Buffer.from([11, 0, 0, 0, 255, 0, 0, 0]))] },
      '10.1.2.3',
      'ORIGIN_CERT_INVALID',
    ],
    [
      'excluded network',
      { excluded: [ipName(Buffer.from([10, 1, 0, 0, 255, 255, 0, 0]))] },
      '10.1.2.3',
      'ORIGIN_CERT_INVALID',
    ],
  ])('name constraints: %s', (_, constraints, name, expected) => {
    const [leaf, chain] = constrained(constraints);
    expect(outcome(leaf, name, chain)).toBe(expected);
  });

  test('a weak key or signature above the leaf is refused, an old signature of a root on itself is not', () => {
    const [weakKey, weakKeyChain] = below({ key: labKey('rsa1024') });
    expect(outcome(weakKey, 'a.example.com', weakKeyChain)).toBe('ORIGIN_CERT_WEAK');
    const [oldHash, oldHashChain] = below({ hash: 'sha1' });
    expect(outcome(oldHash, 'a.example.com', oldHashChain)).toBe('ORIGIN_CERT_WEAK');
    const oldRoot = labRoot({ hash: 'sha1' });
    expect(outcome(labLeaf(oldRoot, { names }), 'a.example.com', [oldRoot])).toBe('verified');
  });

  test('its fingerprints are those of leaf and issuers, leaf first', () => {
    const [leaf, chain] = below({});
    const verification = judged(leaf, 'a.example.com', chain);
    const fingerprints = [leaf, ...chain].map(({ x509 }) => x509.fingerprint256.replaceAll(':', '').toLowerCase());
    expect(verification.kind === 'verified' && verification.identity.chainFingerprints).toEqual(fingerprints);
  });

  test('facts of a certificate are the same object again, whichever object asks', () => {
    const { der } = labLeaf(root, { names });
    const facts = () => originCertificateOf(new X509Certificate(der)).facts;
    expect(facts()).toBe(facts());
  });
});
