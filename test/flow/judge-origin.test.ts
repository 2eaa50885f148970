import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { judgeOrigin, type OriginEvidence } from '../../src/flow/judge-origin.ts';
import { implicit, integer, oid, sequence } from '../../src/pki/der-writer.ts';
import { OriginTrust } from '../../src/pki/origin-trust.ts';
import { type LabCertificate, labCertificate, labExtension, labLeaf, labRoot } from '../pki/support/lab.ts';
import { overTls } from '../pki/support/over-tls.ts';

const name = 'www.example.com';
const root = labRoot({ commonName: 'Root' });
const twin = labCertificate(root, { commonName: 'Root', ca: true, keyUsage: [5, 6], key: root.key });
const leaf = labLeaf(root, { names: [name] });

function evidence(roots: readonly LabCertificate[], change: Partial<OriginEvidence> = {}): OriginEvidence {
  return {
    peer: new X509Certificate(leaf.der),
    name,
    trust: new OriginTrust(roots.map(({ pem }) => pem)),
    exceptions: [],
    opensslError: undefined,
    fetchIssuers: undefined,
    ...change,
  };
}

async function outcome(asked: OriginEvidence): Promise<string> {
  const judgement = await judgeOrigin(asked);
  return judgement.kind === 'verified' ? 'verified' : judgement.code;
}

const error = (code: string, message = ''): NodeJS.ErrnoException => Object.assign(new Error(message), { code });

describe('an error of OpenSSL', () => {
  test.each<[string, string, string, string]>([
    // code, text, where there was one way to a root, where there were two
    ['CERT_HAS_EXPIRED', '', 'ORIGIN_CERT_EXPIRED', 'verified'],
    ['INVALID_PURPOSE', '', 'ORIGIN_CERT_PURPOSE', 'verified'],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', '', 'ORIGIN_CERT_UNTRUSTED', 'verified'],
    ['UNSPECIFIED', 'CA md too weak', 'ORIGIN_CERT_WEAK', 'verified'],
    ['UNSPECIFIED', 'permitted subtree violation', 'verified', 'verified'],
    ['UNSPECIFIED', 'excluded subtree violation', 'verified', 'verified'],
    ['UNSPECIFIED', 'permitted subtree violation, or so', 'ORIGIN_CERT_INVALID', 'verified'],
    ['HOSTNAME_MISMATCH', '', 'ORIGIN_CERT_NAME_MISMATCH', 'ORIGIN_CERT_NAME_MISMATCH'],
    ['CERT_REVOKED', '', 'ORIGIN_CERT_REVOKED', 'ORIGIN_CERT_REVOKED'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', '', 'ORIGIN_CERT_SELF_SIGNED', 'ORIGIN_CERT_SELF_SIGNED'],
    ['ERROR_IN_CERT_NOT_BEFORE_FIELD', '', 'ORIGIN_CERT_INVALID', 'ORIGIN_CERT_INVALID'],
    ['NOT_VERIFIED', '', 'ORIGIN_HANDSHAKE_FAILED', 'ORIGIN_HANDSHAKE_FAILED'],
  ])('%s (%s): %s where there was one way, %s where there were two', async (code, text, one, two) => {
    const opensslError = error(code, text);
    expect(await outcome(evidence([root], { opensslError }))).toBe(one);
    expect(await outcome(evidence([root, twin], { opensslError }))).toBe(two);
  });

  test('never makes good what our own validation refuses, and none is needed for that', async () => {
    expect(await outcome(evidence([]))).toBe('ORIGIN_CERT_UNTRUSTED');
    expect(await outcome(evidence([], { opensslError: error('UNSPECIFIED', 'permitted subtree violation') }))).toBe(
      'ORIGIN_CERT_UNTRUSTED',
    );
    expect(await outcome(evidence([root, twin], { name: 'other.example.com' }))).toBe('ORIGIN_CERT_NAME_MISMATCH');
  });

  test('is what an exception for untrusted origins expects', async () => {
    const exceptions = ['untrusted'] as const;
    const opensslError = error('DEPTH_ZERO_SELF_SIGNED_CERT');
    expect(await outcome(evidence([], { exceptions, opensslError }))).toBe('verified');
  });

  test('refuses a real origin that our search alone would accept', async () => {
    // An authorityKeyIdentifier whose serial number is not the issuer's: only OpenSSL reads that.
    const odd = labExtension(
      '2.5.29.35',
      false,
      sequence(implicit(1, Buffer.from([0x82, 1, 0x61])), implicit(2, integer(5).subarray(2))),
    );
    const other = labLeaf(root, { names: [name], extra: [odd] });
    const served = { chain: [other.pem], key: other.keyPem, roots: [root.pem], name };
    expect(await outcome(evidence([root], { peer: new X509Certificate(other.der) }))).toBe('verified');
    expect(await overTls(served)).toMatch(/^ORIGIN_CERT_/);
  });
});

describe('missing issuers', () => {
  const address = 'http://issuers.example/ca.der';
  const access = labExtension(
    '1.3.6.1.5.5.7.1.1',
    false,
    sequence(sequence(oid('1.3.6.1.5.5.7.48.2'), implicit(6, Buffer.from(address)))),
  );
  const middle = labCertificate(root, { commonName: 'Middle', ca: true, keyUsage: [5, 6] });
  const below = labLeaf(middle, { names: [name], extra: [access] });
  const peer = () => new X509Certificate(below.der);

  test('are asked for where the certificate says, and complete the path', async () => {
    const asked: string[] = [];
    const fetchIssuers = async (addresses: readonly string[]) => {
      asked.push(...addresses);
      return [middle.x509];
    };
    const opensslError = error('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
    expect(await outcome(evidence([root], { peer: peer(), opensslError, fetchIssuers }))).toBe('verified');
    expect(asked).toEqual([address]);
  });

  test('are asked for a few times at most, and not again when nothing came', async () => {
    let asked = 0;
    const useless = async () => {
      asked += 1;
      return [labRoot().x509];
    };
    expect(await outcome(evidence([root], { peer: peer(), fetchIssuers: useless }))).toBe('ORIGIN_CERT_UNTRUSTED');
    expect(asked).toBe(3);
    asked = 0;
    const nothing = async () => {
      asked += 1;
      return [];
    };
    expect(await outcome(evidence([root], { peer: peer(), fetchIssuers: nothing }))).toBe('ORIGIN_CERT_UNTRUSTED');
    expect(asked).toBe(1);
  });
});
