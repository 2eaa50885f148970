import { createPublicKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LeafRequest } from '../../src/core/ipc.ts';
import { limits } from '../../src/core/limits.ts';
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
import { labKey, serverAuth } from './support/lab.ts';
import { dns, ip, leafKey, leafRequest } from './support/leafs.ts';
import { hasTool, outputOf, runTool, spawnTool } from './support/tools.ts';

const directory = mkdtempSync(join(tmpdir(), 'daylight-leaf-'));
const ec = leafKey('ec');
const rsa = leafKey('rsa');
let authority: Authority;

beforeAll(async () => {
  authority = await loadOrCreateAuthority(join(directory, 'certs'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const hour = 3_600_000;
const now = Date.UTC(2026, 10, 22, 12, 0, 0, 400);
const long = `${'a'.repeat(60)}.${'b'.repeat(60)}.example.com`;
const mirrored = [
  dns('www.example.com'),
  dns('*.example.com'),
  dns('xn--bcher-kva.example'),
  dns(long),
  ip('10.0.0.1'),
  ip('2001:db8::1'),
];

async function issue(change: Partial<LeafRequest> = {}, at = now, backdateMs?: number): Promise<X509Certificate> {
  const leaf = await issueLeaf(authority, leafRequest({ publicKey: ec.publicKey, ...change }), at, backdateMs);
  return new X509Certificate(leaf.chainPem);
}

describe('a leaf', () => {
  test('has the profile of STIP FDP_CER_EXT.1, field by field', async () => {
    const leaf = parseCertificate((await issue({ names: mirrored })).raw);
    expect(leaf.version).toBe(3);
    expect(leaf.signatureAlgorithm.oid).toBe('1.2.840.113549.1.1.11');
    expect(leaf.issuer).toEqual(authority.active.subjectDer);
    expect(leaf.notBefore).toBe(Date.UTC(2026, 10, 22, 11, 55));
    expect(leaf.notAfter - leaf.notBefore).toBe(24 * hour - 60_000);
    expect(basicConstraintsOf(leaf.extensions)).toEqual({ ca: false, pathLength: undefined });
    expect(keyUsageOf(leaf.extensions)).toEqual(new Set([0]));
    expect(extendedKeyUsageOf(leaf.extensions)).toEqual(new Set([serverAuth]));
    expect(authorityKeyIdentifierOf(leaf.extensions)).toEqual(authority.active.keyIdentifier);
    expect(subjectKeyIdentifierOf(leaf.extensions)).toHaveLength(20);
    expect([...leaf.extensions].map(([oid, { critical }]) => [oid, critical])).toEqual([
      ['2.5.29.19', true],
      ['2.5.29.15', true],
      ['2.5.29.37', false],
      ['2.5.29.17', false],
      ['2.5.29.14', false],
      ['2.5.29.35', false],
    ]);
  });

  test('mirrors every kind of name, the covering one first and as common name', async () => {
    const facts = certificateFactsOf(await issue({ names: mirrored }));
    expect(facts.names).toEqual(mirrored);
    expect(facts.subject).toBe('CN=www.example.com');
    const wild = certificateFactsOf(await issue({ names: mirrored, name: 'mail.example.com' }));
    expect(wild.subject).toBe('CN=*.example.com');
    expect(wild.names[0]).toEqual(dns('*.example.com'));
    expect(wild.names).toHaveLength(mirrored.length);
  });

  test('is told of by control as it is, with names only where they differ from those of the origin', async () => {
    const many = Array.from({ length: 1_200 }, (_, index) => dns(`h${index}.example.com`));
    const requests = [
      { names: mirrored },
      { names: mirrored, name: 'mail.example.com' },
      { names: [] },
      { names: [dns('other.example')], name: '2001:DB8::7' },
      { names: [dns(long)], name: long },
      { names: many, name: 'h1100.example.com' },
      { untrusted: true, names: [dns('www.example.com')] },
    ];
    const differ: boolean[] = [];
    for (const request of requests) {
      const asked = leafRequest({ publicKey: ec.publicKey, ...request });
      const { chainPem, facts } = await issueLeaf(authority, asked, now);
      const { names, ...others } = facts;
      const { names: read, ...told } = certificateFactsOf(chainPem);
      expect(others).toEqual(told);
      expect(new Set(names ?? asked.names)).toEqual(new Set(read));
      differ.push(names !== undefined);
    }
    expect(differ).toEqual([false, false, true, true, false, true, false]);
  });

  test('covers the verified name when no mirrored name does', async () => {
    expect(certificateFactsOf(await issue({ names: [] })).names).toEqual([dns('www.example.com')]);
    const other = certificateFactsOf(await issue({ names: [dns('other.example')], name: '2001:DB8::7' }));
    expect(other.names).toEqual([ip('2001:db8::7'), dns('other.example')]);
  });

  test('has an empty subject and a critical alternative name for a name over 64 characters', async () => {
    const leaf = await issue({ names: [dns(long)], name: long });
    expect(certificateFactsOf(leaf).subject).toBe('');
    expect(parseCertificate(leaf.raw).extensions.get('2.5.29.17')?.critical).toBe(true);
  });

  test('may also carry the client secret when its key is RSA', async () => {
    const leaf = await issue({ keyType: 'rsa', publicKey: rsa.publicKey });
    expect(keyUsageOf(parseCertificate(leaf.raw).extensions)).toEqual(new Set([0, 2]));
  });

  test('never outlives the origin or the CA, and lives less than a day', async () => {
    const soon = now + 2 * hour;
    expect(certificateFactsOf(await issue({ originNotAfter: soon })).notAfter).toBe(Math.floor(soon / 1_000) * 1_000);
    const lastDay = authority.active.notAfter - hour;
    const last = await issue({ originNotAfter: Number.MAX_SAFE_INTEGER }, lastDay);
    expect(certificateFactsOf(last).notAfter).toBe(authority.active.notAfter);
    const strict = certificateFactsOf(await issue({}, now, 0));
    expect(strict.notBefore).toBe(now - 400);
    expect(strict.notAfter - strict.notBefore).toBeLessThan(24 * hour);
  });

  test('has a fresh serial number of 128 bits', async () => {
    const leafs = await Promise.all(Array.from({ length: 50 }, () => issue()));
    const serials = leafs.map(({ serialNumber }) => serialNumber);
    expect(new Set(serials).size).toBe(50);
    expect(serials.filter((serial) => serial.length > 32 || serial.startsWith('-'))).toEqual([]);
    expect(serials.filter((serial) => serial.length >= 31).length).toBeGreaterThan(40);
  });

  test('of an untrusted origin comes from the other authority, expired origin or not', async () => {
    const leaf = await issue({ untrusted: true, names: [], originNotAfter: 0 });
    expect(leaf.checkIssued(new X509Certificate(authority.untrusted.pem))).toBe(true);
    expect(leaf.verify(new X509Certificate(authority.active.pem).publicKey)).toBe(false);
    expect(leaf.issuer).toBe('CN=Daylight UNTRUSTED - origin failed verification');
  });

  test('keeps a bounded number and size of names, with the verified one', async () => {
    const many = Array.from({ length: 3_000 }, (_, index) => dns(`h${index}.example.com`));
    const leaf = await issue({ names: many, name: 'h2999.example.com' });
    expect(certificateFactsOf(leaf).names).toHaveLength(limits.certificateNames);
    expect(certificateFactsOf(leaf).names[0]).toEqual(dns('h2999.example.com'));
    const wide = Array.from({ length: 900 }, (_, index) =>
      dns(`${'x'.repeat(60)}.${'y'.repeat(60)}.h${index}.example.com`),
    );
    expect((await issue({ names: wide })).raw.length).toBeLessThan(60_000);
  });

  test('carries any canonical name unchanged', async () => {
    const label = fc.stringMatching(/^[a-z0-9_][a-z0-9_-]{0,15}$/);
    const host = fc.tuple(label, label, fc.stringMatching(/^[a-z]{2,8}$/)).map((labels) => labels.join('.'));
    await fc.assert(
      fc.asyncProperty(host, async (name) => {
        const leaf = await issue({ names: [dns(name), dns(`*.${name}`)], name });
        expect(certificateFactsOf(leaf).names).toEqual([dns(name), dns(`*.${name}`)]);
        expect(leaf.checkHost(name, { subject: 'never' })).toBe(name);
      }),
      { numRuns: 30 },
    );
  });

  test.each<[string, Partial<LeafRequest>]>([
    ['a name that is no host name', { names: [dns('a b')] }],
    ['a verified name that is none', { names: [], name: 'a\0.example' }],
    ['an address that is none', { names: [ip('1.2.3')] }],
    ['an origin that has expired', { originNotAfter: now - 1 }],
    ['a key of another type', { keyType: 'rsa' }],
    ['a weak key', { publicKey: createPublicKey(labKey('p224')).export({ type: 'spki', format: 'der' }) }],
    ['garbage for a key', { publicKey: Buffer.from('garbage') }],
  ])('is refused for %s', async (_, change) => {
    await expect(issue(change)).rejects.toThrow('GATEWAY_LEAF_FAILED');
  });
});

describe('other implementations take the chain', () => {
  const leafFile = join(directory, 'leaf.pem');
  const caFile = join(directory, 'certs', 'ca.pem');
  const write = async (change: Partial<LeafRequest>): Promise<void> => {
    writeFileSync(leafFile, (await issue(change, Date.now())).toString());
  };
  const shapes: [string, Partial<LeafRequest>][] = [
    ['ECDSA', { names: mirrored }],
    ['RSA', { names: mirrored, keyType: 'rsa', publicKey: rsa.publicKey }],
    ['a long name', { names: [dns(long)], name: long }],
  ];

  test.skipIf(!hasTool('openssl', 'version')).each(shapes)('openssl verify -x509_strict: %s', async (_, change) => {
    await write(change);
    const name = change.name ?? 'www.example.com';
    const args = [
      'verify',
      '-x509_strict',
      '-purpose',
      'sslserver',
      '-auth_level',
      '2',
      '-verify_hostname',
      name,
      '-CAfile',
      caFile,
      leafFile,
    ];
    expect(outputOf('openssl', args)).toContain('OK');
  });

  test.skipIf(!hasTool('certtool', '--version')).each(shapes)('GnuTLS certtool: %s', async (_, change) => {
    await write(change);
    const name = change.name ?? 'www.example.com';
    const args = [
      '--verify',
      '--verify-profile',
      'medium',
      '--load-ca-certificate',
      caFile,
      '--infile',
      leafFile,
      '--verify-hostname',
      name,
    ];
    expect(runTool('certtool', args)).toMatchObject({
      status: 0,
      output: expect.stringContaining('The certificate is trusted'),
    });
  });

  test.skipIf(!hasTool('python3', '--version'))('Python with VERIFY_X509_STRICT', async () => {
    await serving(async (port) => {
      const script = [
        'import ssl, socket, sys',
        'context = ssl.create_default_context(cafile=sys.argv[2])',
        'context.verify_flags |= ssl.VERIFY_X509_STRICT',
        'with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as raw:',
        '    with context.wrap_socket(raw, server_hostname="www.example.com") as secured: print(secured.version())',
      ].join('\n');
      expect(await spawnTool('python3', ['-c', script, String(port), caFile])).toContain('TLSv1.3');
    });
  });

  test.skipIf(!hasTool('certutil', '-H')).each(shapes)(
    'NSS, the library of Firefox and old Chromium: %s',
    async (_, change) => {
      await write(change);
      const store = `sql:${mkdtempSync(join(directory, 'nss-'))}`;
      outputOf('certutil', ['-N', '-d', store, '--empty-password']);
      outputOf('certutil', ['-A', '-d', store, '-n', 'ca', '-t', 'C,,', '-i', caFile]);
      outputOf('certutil', ['-A', '-d', store, '-n', 'leaf', '-t', ',,', '-i', leafFile]);
      const verified = runTool('certutil', ['-V', '-d', store, '-n', 'leaf', '-u', 'V', '-e']);
      expect(verified).toMatchObject({ status: 0, output: expect.stringContaining('certificate is valid') });
    },
  );

  test.skipIf(!hasTool('keytool', '-help'))('Java takes the CA and prints the leaf', async () => {
    await write({ names: mirrored });
    const store = join(directory, `store-${Date.now()}`);
    outputOf('keytool', [
      '-importcert',
      '-noprompt',
      '-file',
      caFile,
      '-keystore',
      store,
      '-storepass',
      'changeit',
      '-alias',
      'ca',
    ]);
    const printed = outputOf('keytool', ['-printcert', '-file', leafFile]);
    expect(printed).toContain('DNSName: *.example.com');
    expect(printed).not.toMatch(/weak|disabled|risk/i);
  });

  async function serving(use: (port: number) => Promise<void>): Promise<void> {
    const { chainPem } = await issueLeaf(authority, leafRequest({ publicKey: ec.publicKey }), Date.now());
    const server = createServer({ cert: chainPem, key: ec.pem }, (_, response) => response.end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    await use((server.address() as AddressInfo).port).finally(() => server.close());
  }
});
