import { randomBytes, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LeafKeyType, OriginIdentity } from '../../src/core/tls.ts';
import { LeafStore } from '../../src/flow/leaf-store.ts';
import { type Authority, loadOrCreateAuthority } from '../../src/pki/authority.ts';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { certificateFactsOf } from '../../src/pki/certificate-facts.ts';
import {
  authorityKeyIdentifierOf,
  basicConstraintsOf,
  extendedKeyUsageOf,
  keyUsageOf,
  subjectKeyIdentifierOf,
} from '../../src/pki/extensions.ts';
import { issueLeaf } from '../../src/pki/leaf.ts';
import { oids } from '../../src/pki/oids.ts';
import { type LabSubject, labKey, labLeaf, labRoot, serverAuth } from '../pki/support/lab.ts';
import { hasTool, runTool } from '../pki/support/tools.ts';

const day = 86_400_000;
const root = labRoot({ notAfter: Date.now() + 8_000 * day });
const directory = mkdtempSync(join(tmpdir(), 'daylight-shapes-'));
let authority: Authority;
let ofEc: Authority;

beforeAll(async () => {
  authority = await loadOrCreateAuthority(join(directory, 'certs'));
  ofEc = await loadOrCreateAuthority(join(directory, 'certs-ec'), { keyType: 'ec' });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const name = 'www.example.com';
const anyPurpose = '2.5.29.37.0';
const clientAuth = '1.3.6.1.5.5.7.3.2';
const codeSigning = '1.3.6.1.5.5.7.3.3';

/** What origins show: what a leaf says depends on their names and their end alone. */
const shapes: readonly [string, string, LabSubject][] = [
  ['an ordinary certificate', name, { names: [name] }],
  ['any purpose', name, { names: [name], purposes: [anyPurpose] }],
  ['no purpose', name, { names: [name], purposes: undefined }],
  ['several purposes', name, { names: [name], purposes: [serverAuth, clientAuth, codeSigning] }],
  ['the right to sign certificates', name, { names: [name], keyUsage: [0, 5] }],
  ['the mark of a CA', name, { names: [name], ca: true, keyUsage: [5, 6] }],
  ['twenty years', name, { names: [name], notAfter: Date.now() + 7_300 * day }],
  ['an end within the hour', name, { names: [name], notAfter: Date.now() + 1_800_000 }],
  ['a wildcard', 'a.example.com', { names: ['*.example.com'] }],
  ['an address', '10.0.0.1', { names: [Buffer.from([10, 0, 0, 1])] }],
  ['1 000 names', 'h999.example.com', { names: Array.from({ length: 1_000 }, (_, index) => `h${index}.example.com`) }],
  ['an internationalised name', 'xn--bcher-kva.example', { names: ['xn--bcher-kva.example'] }],
  ['an RSA key', name, { names: [name], key: labKey('rsa2048') }],
];

async function leafFor(
  host: string,
  origin: X509Certificate,
  keyType: LeafKeyType,
  issuer = authority,
): Promise<string> {
  let chain = '';
  const store = new LeafStore(async (request) => {
    const leaf = await issueLeaf(issuer, request, Date.now());
    chain = leaf.chainPem;
    return leaf;
  }, randomBytes(48));
  const identity = {
    name: host,
    certificate: certificateFactsOf(origin),
    chainFingerprints: [],
  } as unknown as OriginIdentity;
  await store.contextFor(
    { kind: 'verified', identity },
    keyType,
    { minVersion: 'TLSv1.2', keyExchange: ['ecdhe'] },
    '',
  );
  return chain;
}

describe.each(shapes)('the leaf of an origin with %s', (_what, host, subject) => {
  const origin = labLeaf(root, subject).x509;

  it.each(['ec', 'rsa'] as const)('has the ten fields of STIP FDP_CER_EXT.1 (%s)', async (keyType) => {
    const before = Date.now();
    const pem = await leafFor(host, origin, keyType);
    const leaf = parseCertificate(new X509Certificate(pem).raw);
    const { extensions } = leaf;
    const issuer = parseCertificate(new X509Certificate(authority.active.pem).raw);
    expect(leaf.version).toBe(3);
    expect(leaf.serialNumber.length).toBeGreaterThan(28);
    expect(leaf.issuer).toEqual(issuer.subject);
    // STIP says "not before now"; ours begins five minutes back, for clocks that lag, and docs/ca.md says so.
    expect(before - leaf.notBefore).toBeLessThanOrEqual(301_000);
    expect(leaf.notAfter).toBeLessThanOrEqual(
      Math.min(Date.parse(origin.validTo), issuer.notAfter, leaf.notBefore + day),
    );
    expect(extensions.get(oids.keyUsage)?.critical).toBe(true);
    expect([...(keyUsageOf(extensions) ?? [])]).toEqual(keyType === 'rsa' ? [0, 2] : [0]);
    expect([...(extendedKeyUsageOf(extensions) ?? [])]).toEqual([serverAuth]);
    expect(basicConstraintsOf(extensions).ca).toBe(false);
    expect(authorityKeyIdentifierOf(extensions)).toEqual(subjectKeyIdentifierOf(issuer.extensions));
    expect(leaf.publicKey.whole).not.toEqual(parseCertificate(origin.raw).publicKey.whole);
    expect([oids.nameConstraints, oids.certificatePolicies].some((oid) => extensions.has(oid))).toBe(false);
  });

  it.skipIf(!hasTool('openssl', 'version') || !hasTool('certtool', '--version')).each([
    ['ec', 'rsa'],
    ['rsa', 'rsa'],
    ['ec', 'ec'],
    ['rsa', 'ec'],
  ] as const)('is taken by OpenSSL (strict) and by GnuTLS (%s, of a CA of %s)', async (keyType, kindOfCa) => {
    const issuer = kindOfCa === 'ec' ? ofEc : authority;
    const pem = await leafFor(host, origin, keyType, issuer);
    expect(new X509Certificate(pem).publicKey.asymmetricKeyType).toBe(keyType);
    const file = join(directory, `${host}.pem`);
    writeFileSync(file, pem);
    const ca = issuer.certificateFile;
    const byOpenssl = host === '10.0.0.1' ? ['-verify_ip', host] : ['-verify_hostname', host];
    const strictly = ['verify', '-x509_strict', '-purpose', 'sslserver', ...byOpenssl, '-CAfile', ca, file];
    expect(runTool('openssl', strictly)).toMatchObject({ status: 0 });
    const profile = ['--verify', '--verify-profile', 'medium', '--load-ca-certificate', ca, '--infile', file];
    expect(runTool('certtool', [...profile, '--verify-hostname', host])).toMatchObject({ status: 0 });
  });

  it.skipIf(!hasTool('openssl', 'version'))('is not taken for another host, nor under another CA', async () => {
    const file = join(directory, `${host}.pem`);
    writeFileSync(file, await leafFor(host, origin, 'rsa'));
    const strictly = ['verify', '-x509_strict', '-purpose', 'sslserver'];
    const elsewhere = [...strictly, '-verify_hostname', 'other.test', '-CAfile', authority.certificateFile, file];
    expect(runTool('openssl', elsewhere).status).not.toBe(0);
    expect(runTool('openssl', [...strictly, '-CAfile', ofEc.certificateFile, file]).status).not.toBe(0);
  });
});
