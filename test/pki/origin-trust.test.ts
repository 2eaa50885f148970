import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { limits } from '../../src/core/limits.ts';
import { OriginTrust } from '../../src/pki/origin-trust.ts';
import type { RevocationCheck } from '../../src/pki/path-search.ts';
import { labCertificate, labLeaf, labRoot } from './support/lab.ts';

const now = Date.now();
const root = labRoot();
const middle = labCertificate(root, { commonName: 'Middle', ca: true, keyUsage: [5, 6] });
const trust = () => new OriginTrust([root.pem]);
const question = (
  peer: X509Certificate,
  change: Partial<Parameters<OriginTrust['validate']>[0]> = {},
): Parameters<OriginTrust['validate']>[0] => ({ peer, name: 'a.example.com', now, exceptions: [], ...change });
const revoke: RevocationCheck = () => ({ code: 'ORIGIN_CERT_REVOKED', detail: 'test' });

test('a verdict is remembered by certificate, name and exceptions, for a time', () => {
  const origins = trust();
  const { der } = labLeaf(middle, { names: ['*.example.com'] });
  const asked = (change = {}) => origins.validate(question(new X509Certificate(der), change));
  const first = asked({ fetched: [middle.x509] });
  expect(first.kind).toBe('verified');
  // Without the intermediate no path can be found: what comes now is memory.
  expect(asked()).toBe(first);
  expect(asked({ now: now + limits.verdictMs - 1 })).toBe(first);
  expect(asked({ now: now + limits.verdictMs }).kind).toBe('failed');
  expect(asked({ now: now - 1 }).kind).toBe('failed');
  expect(asked({ name: 'b.example.com' }).kind).toBe('failed');
  expect(asked({ exceptions: ['missing-eku'] }).kind).toBe('failed');
  expect(new OriginTrust([root.pem]).validate(question(new X509Certificate(der))).kind).toBe('failed');
});

test('it ends with the first certificate of the path that does', () => {
  const origins = trust();
  const notAfter = Math.floor(now / 1_000) * 1_000 + 60_000;
  const short = labCertificate(root, { commonName: 'Short', ca: true, keyUsage: [5, 6], notAfter });
  const { der } = labLeaf(short, { names: ['a.example.com'] });
  const at = (when: number) =>
    origins.validate(question(new X509Certificate(der), { now: when, fetched: [short.x509] }));
  expect(at(now).kind).toBe('verified');
  expect(at(notAfter + 999).kind).toBe('verified');
  expect(at(notAfter + 1_000)).toMatchObject({ kind: 'failed', code: 'ORIGIN_CERT_EXPIRED' });
});

test('revocation is asked for each time, of every certificate with its issuer', () => {
  const origins = trust();
  const { der } = labLeaf(middle, { names: ['a.example.com'] });
  const pairs: string[] = [];
  const revocation: RevocationCheck = (certificate, issuer) => {
    pairs.push(`${certificate.subject.equals(issuer.subject)} ${certificate.issuer.equals(issuer.subject)}`);
    return undefined;
  };
  const asked = (change = {}) =>
    origins.validate(question(new X509Certificate(der), { fetched: [middle.x509], ...change }));
  expect(asked({ revocation }).kind).toBe('verified');
  expect(asked({ revocation }).kind).toBe('verified');
  expect(pairs).toEqual(['false true', 'false true', 'false true', 'false true']);
  expect(asked({ revocation: revoke })).toMatchObject({ kind: 'failed', code: 'ORIGIN_CERT_REVOKED' });
  expect(asked().kind).toBe('verified');
});

test('a failure is not remembered', () => {
  const origins = trust();
  const { der } = labLeaf(middle, { names: ['a.example.com'] });
  expect(origins.validate(question(new X509Certificate(der))).kind).toBe('failed');
  expect(origins.validate(question(new X509Certificate(der), { fetched: [middle.x509] })).kind).toBe('verified');
});

test('a revoked certificate costs its branch alone', () => {
  const other = labCertificate(root, { commonName: 'Middle', ca: true, keyUsage: [5, 6], key: middle.key });
  const { der } = labLeaf(middle, { names: ['a.example.com'] });
  const revocation: RevocationCheck = ({ serialNumber }) =>
    serialNumber === middle.x509.serialNumber ? { code: 'ORIGIN_CERT_REVOKED', detail: 'test' } : undefined;
  const verdict = trust().validate(
    question(new X509Certificate(der), { fetched: [middle.x509, other.x509], revocation }),
  );
  expect(verdict.kind === 'verified' && verdict.path[1]?.serialNumber).toBe(other.x509.serialNumber);
});
