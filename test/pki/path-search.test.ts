import { describe, expect, test } from 'vitest';
import { explicit, oid, sequence, setOf, utf8String } from '../../src/pki/der-writer.ts';
import { trustAnchorsOf } from '../../src/pki/trust-anchors.ts';
import { validate } from '../../src/pki/validate.ts';
import {
  type LabCertificate,
  type LabSubject,
  labCertificate,
  labExtension,
  labKey,
  labLeaf,
  labNameConstraints,
  labRoot,
} from './support/lab.ts';

const names = ['www.example.com'];
const hour = 3_600_000;
const root = labRoot({ commonName: 'Root' });

function outcome(leaf: LabCertificate, sent: readonly LabCertificate[], roots: readonly LabCertificate[] = [root]) {
  const verdict = validate({
    chain: [leaf, ...sent].map(({ x509 }) => x509),
    roots: trustAnchorsOf(roots.map(({ pem }) => pem)),
    name: 'www.example.com',
    now: Date.now(),
    policy: { exceptions: [] },
  });
  if (verdict.kind === 'failed') return `${verdict.code}: ${verdict.detail}`;
  return verdict.path.map(({ subject }) => subject.replace('CN=', '')).join(' < ');
}

const ca = (issuer: LabCertificate, commonName: string, subject: LabSubject = {}): LabCertificate =>
  labCertificate(issuer, { commonName, ca: true, keyUsage: [5, 6], ...subject });
/** Another certificate of a CA: the same name and key. */
const again = (one: LabCertificate, issuer: LabCertificate, commonName: string, subject: LabSubject = {}) =>
  ca(issuer, commonName, { key: one.key, ...subject });

describe('a path', () => {
  const upper = ca(root, 'Upper');
  const lower = ca(upper, 'Lower');
  const leaf = labLeaf(lower, { commonName: 'Leaf', names });

  test('is found in whatever order and company the certificates come', () => {
    const stranger = ca(labRoot({ commonName: 'Stranger' }), 'Lower');
    for (const sent of [
      [lower, upper],
      [upper, lower],
      [stranger, root, upper, stranger, lower, leaf],
    ]) {
      expect(outcome(leaf, sent)).toBe('Leaf < Lower < Upper < Root');
    }
  });

  test('ends at any trusted certificate, self-signed or not', () => {
    expect(outcome(leaf, [], [lower])).toBe('Leaf < Lower');
    expect(outcome(leaf, [lower], [upper])).toBe('Leaf < Lower < Upper');
  });

  test('without a link is untrusted', () => {
    expect(outcome(leaf, [lower])).toMatch(/^ORIGIN_CERT_UNTRUSTED: .*an intermediate may be missing/);
    expect(outcome(leaf, [lower, upper], [])).toMatch(/^ORIGIN_CERT_UNTRUSTED/);
    expect(outcome(labRoot({ commonName: 'Box', names, ca: false }), [])).toMatch(/^ORIGIN_CERT_SELF_SIGNED/);
  });

  test('with a wrong signature is refused', () => {
    const impostor = labRoot({ commonName: 'Root' });
    expect(outcome(labLeaf(impostor, { names }), [])).toBe('ORIGIN_CERT_INVALID: a signature of the chain is wrong');
  });

  test('matches names whatever their case, blanks and string type', () => {
    const spelled = labRoot({ commonName: 'Lab   Root' });
    const respelled = { ...spelled, name: sequence(setOf(sequence(oid('2.5.4.3'), utf8String(' lab root ')))) };
    expect(outcome(labLeaf(respelled, { commonName: 'Leaf', names }), [], [spelled])).toBe('Leaf < Lab   Root');
  });
});

describe('a branch that fails costs nothing when another holds', () => {
  const signer = ca(root, 'CA');
  const leaf = labLeaf(signer, { commonName: 'Leaf', names });
  test.each<[string, LabSubject]>([
    ['expired', { notBefore: Date.now() - 2 * hour, notAfter: Date.now() - hour }],
    ['not yet valid', { notBefore: Date.now() + hour }],
    ['for clients alone', { purposes: ['1.3.6.1.5.5.7.3.2'] }],
    ['no CA', { ca: false }],
    ['without key usage for it', { keyUsage: [0] }],
    ['signed with SHA-1', { hash: 'sha1' }],
    ['with an unknown critical extension', { extra: [labExtension('1.2.3.4', true, Buffer.from('0500', 'hex'))] }],
    ['constrained to other names', { extra: [labNameConstraints({ permitted: [explicit(2, Buffer.from('x'))] })] }],
  ])('one that is %s', (_, subject) => {
    const bad = again(signer, root, 'CA', subject);
    expect(outcome(leaf, [bad, signer])).toBe('Leaf < CA < Root');
    expect(outcome(leaf, [signer, bad])).toBe('Leaf < CA < Root');
    expect(outcome(leaf, [bad])).toMatch(/^ORIGIN_CERT_/);
  });

  test('an expired root that cross-signed a good one (the AddTrust outage)', () => {
    const dead = labRoot({ commonName: 'Dead', notBefore: Date.now() - 2 * hour, notAfter: Date.now() - hour });
    const alive = labRoot({ commonName: 'Alive' });
    const cross = again(alive, dead, 'Alive');
    const below = ca(alive, 'Below');
    const shop = labLeaf(below, { commonName: 'Shop', names });
    expect(outcome(shop, [below, cross], [dead, alive])).toBe('Shop < Below < Alive');
    expect(outcome(shop, [below, cross], [dead])).toMatch(/^ORIGIN_CERT_EXPIRED/);
  });
});

describe('the search is bounded', () => {
  test('where CAs sign each other in circles', () => {
    const cas = Array.from({ length: 8 }, (_, index) => labRoot({ commonName: `C${index}`, key: labKey() }));
    const crosses = cas.flatMap((subject, one) =>
      cas.flatMap((issuer, other) => (one === other ? [] : [again(subject, issuer, `C${one}`)])),
    );
    const first = cas[0] ?? root;
    expect(outcome(labLeaf(first, { names }), crosses)).toBe(
      'ORIGIN_CERT_INVALID: more certificates that sign each other than are followed',
    );
  });

  test('in what is sent and in the length of a path', () => {
    const leaf = labLeaf(root, { names });
    expect(outcome(leaf, new Array(64).fill(root))).toBe(
      'ORIGIN_CERT_INVALID: the origin sent more certificates than are looked at',
    );
    const tower: LabCertificate[] = [root];
    for (let level = 0; level < 9; level++) tower.unshift(ca(tower[0] ?? root, `Level ${level}`));
    const below = (levels: readonly LabCertificate[]) =>
      outcome(labLeaf(levels[0] ?? root, { commonName: 'Leaf', names }), levels);
    expect(below(tower.slice(1))).toMatch(/^Leaf < Level 7 < /);
    expect(below(tower)).toBe('ORIGIN_CERT_INVALID: the chain is too long');
  });
});

describe('authorities whose key is public', () => {
  test('are told by the name of the issuer, whoever trusts them', () => {
    const superfish = labRoot({ commonName: 'Superfish, Inc.' });
    const leaf = labLeaf(superfish, { names });
    expect(outcome(leaf, [], [superfish])).toBe('ORIGIN_CERT_DISTRUSTED: the private key of Superfish, Inc. is public');
    expect(outcome(leaf, [superfish], [])).toMatch(/^ORIGIN_CERT_DISTRUSTED/);
  });

  test('and ours are no origins', () => {
    const ours = labRoot({ commonName: 'Ours' });
    const verdict = (own: readonly LabCertificate[], roots: readonly LabCertificate[]) =>
      validate({
        chain: [labLeaf(ours, { names }).x509],
        roots: trustAnchorsOf(roots.map(({ pem }) => pem)),
        own: trustAnchorsOf(own.map(({ pem }) => pem)),
        name: 'www.example.com',
        now: Date.now(),
        policy: { exceptions: ['untrusted'] },
      });
    expect(verdict([ours], [ours])).toMatchObject({ kind: 'failed', code: 'ORIGIN_CERT_OWN_AUTHORITY' });
    expect(verdict([ours], [])).toMatchObject({ kind: 'failed', code: 'ORIGIN_CERT_OWN_AUTHORITY' });
    const namesake = labRoot({ commonName: 'Ours' });
    expect(verdict([namesake], [])).toMatchObject({ kind: 'verified' });
  });
});
