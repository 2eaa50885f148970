import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { trustAnchorsOf } from '../../src/pki/trust-anchors.ts';
import { validate } from '../../src/pki/validate.ts';
import { hasProgram } from '../support/run.ts';
import {
  clientAuth,
  dnsName,
  type LabCertificate,
  type LabSubject,
  labCertificate,
  labDirectory,
  labExtension,
  labKey,
  labLeaf,
  labNameConstraints,
  labRoot,
  serverAuth,
} from './support/lab.ts';

const name = 'www.example.com';
const hour = 3_600_000;
const root = labRoot({ commonName: 'Root' });
const keys = { good: labKey(), small: labKey('rsa1024'), odd: labKey('p224') };

function isAccepted(leaf: X509Certificate, sent: readonly X509Certificate[]): boolean {
  const roots = trustAnchorsOf([root.pem]);
  return (
    validate({ chain: [leaf, ...sent], roots, name, now: Date.now(), policy: { exceptions: [] } }).kind === 'verified'
  );
}

/** Mostly as it should be, so that many faults come alone and some chains are good. */
function mostly<Value>(good: Value, ...others: Value[]): fc.Arbitrary<Value> {
  return fc.oneof({ weight: 6, arbitrary: fc.constant(good) }, { weight: 1, arbitrary: fc.constantFrom(...others) });
}

const anything: fc.Arbitrary<LabSubject> = fc.record({
  notBefore: mostly(Date.now() - hour, Date.now() + hour),
  notAfter: mostly(Date.now() + hour, Date.now() - 60_000),
  hash: mostly<'sha1' | 'sha256' | 'sha384'>('sha256', 'sha384', 'sha1'),
  key: mostly(keys.good, keys.small, keys.odd),
  extra: mostly<Buffer[]>(
    [],
    [labExtension('1.2.3.4', true, Buffer.from('0500', 'hex'))],
    [labExtension('1.2.3.4', false, Buffer.from('0500', 'hex'))],
    [labNameConstraints({ permitted: [dnsName('example.com')] })],
    [labNameConstraints({ permitted: [dnsName('example.org')] })],
    [labNameConstraints({ excluded: [dnsName('www.example.com')] })],
  ),
});
const middles = fc.record({
  subject: anything,
  constraints: mostly<LabSubject>({ ca: true }, { ca: false }, {}),
  keyUsage: mostly([5, 6], [0], [6]),
  purposes: mostly<LabSubject>({}, { purposes: [serverAuth] }, { purposes: [clientAuth] }),
});
const leafs = fc.record({
  subject: anything,
  names: mostly([name], ['*.example.com'], ['example.com'], ['w*.example.com'], ['www.example.org', name]),
  constraints: mostly<LabSubject>({}, { ca: false }, { ca: true }),
  purposes: mostly([serverAuth], [clientAuth, serverAuth], [clientAuth]),
});

describe('chains put together at random', () => {
  test.runIf(hasProgram('openssl'))('are never accepted here when OpenSSL refuses them', () => {
    const directory = labDirectory();
    const seen = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(middles, leafs, (middle, { subject, constraints, names, purposes }) => {
        const { keyUsage } = middle;
        const ca = { ...middle.subject, ...middle.constraints, ...middle.purposes, keyUsage };
        const issuer = labCertificate(root, { commonName: 'Middle', ...ca });
        const end = labLeaf(issuer, { commonName: 'Leaf', ...subject, ...constraints, names, purposes });
        const ours = isAccepted(end.x509, [issuer.x509]);
        if (ours) expect(opensslAccepts(directory, end, issuer)).toBe(true);
        seen[ours ? 'accepted' : 'refused'] += 1;
      }),
      { numRuns: 300 },
    );
    // Either kind alone would prove nothing.
    expect(seen.accepted).toBeGreaterThan(5);
    expect(seen.refused).toBeGreaterThan(50);
  });

  test('no flipped bit of a good one is accepted', () => {
    const middle = labCertificate(root, { commonName: 'Middle', ca: true, keyUsage: [5, 6] });
    const leaf = labLeaf(middle, { names: [name] });
    expect(isAccepted(leaf.x509, [middle.x509])).toBe(true);
    for (const [index, { der }] of [leaf, middle].entries()) {
      for (let bit = 0; bit < der.length * 8; bit += 3) {
        const changed = parsed(flipped(der, bit));
        if (changed === undefined) continue;
        const accepted = index === 0 ? isAccepted(changed, [middle.x509]) : isAccepted(leaf.x509, [changed]);
        if (accepted) expect.fail(`bit ${bit} of certificate ${index}`);
      }
    }
  });
});

function opensslAccepts(directory: string, leaf: LabCertificate, issuer: LabCertificate): boolean {
  const write = (file: string, { pem }: LabCertificate): string => {
    writeFileSync(join(directory, file), pem);
    return join(directory, file);
  };
  const files = [
    '-CAfile',
    write('root.pem', root),
    '-untrusted',
    write('middle.pem', issuer),
    write('leaf.pem', leaf),
  ];
  const options = ['verify', '-purpose', 'sslserver', '-verify_hostname', name, '-auth_level', '2', '-no-CApath'];
  try {
    execFileSync('openssl', [...options, ...files], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function flipped(der: Buffer, bit: number): Buffer {
  const changed = Buffer.from(der);
  changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return changed;
}

function parsed(der: Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}
