import { execFileSync } from 'node:child_process';
import type { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tags } from '../../src/pki/der-tags.ts';
import { oid, sequence, setOf, utf8String, value } from '../../src/pki/der-writer.ts';
import { trustAnchorsOf } from '../../src/pki/trust-anchors.ts';
import { validate } from '../../src/pki/validate.ts';
import { hasProgram } from '../support/run.ts';
import {
  type LabCertificate,
  labCertificate,
  labDirectory,
  labExtension,
  labKey,
  labLeaf,
  labName,
  labRoot,
  printable,
} from './support/lab.ts';
import { nodeOrigin } from './support/origins.ts';

const name = 'www.example.com';
const root = labRoot({ commonName: 'Root' });
const keys = [labKey(), labKey(), labKey()] as const;

function outcome(leaf: LabCertificate, sent: readonly LabCertificate[], options: Options = {}): string {
  const verdict = validate({
    chain: [leaf, ...sent].map(({ x509 }) => x509),
    fetched: (options.fetched ?? []).map(({ x509 }) => x509),
    roots: trustAnchorsOf((options.roots ?? [root]).map(({ pem }) => pem)),
    name,
    now: Date.now(),
    policy: { exceptions: [] },
    verifiedByOpenssl: options.verifiedByOpenssl ?? true,
  });
  return verdict.kind === 'verified' ? 'verified' : verdict.detail;
}

interface Options {
  readonly roots?: readonly LabCertificate[];
  readonly fetched?: readonly LabCertificate[];
  readonly verifiedByOpenssl?: boolean;
}

/** The certificate with the name of one issuer, signed by the key of another. */
const forged = (named: LabCertificate, signer: LabCertificate) => ({ ...named, key: signer.key });

describe('a signature that OpenSSL has verified', () => {
  const wrong = 'a signature of the chain is wrong';
  const ca = (issuer: LabCertificate, commonName: string) =>
    labCertificate(issuer, { commonName, ca: true, keyUsage: [5, 6] });
  const middle = ca(root, 'Middle');
  const stranger = labRoot({ commonName: 'Stranger' });
  // What OpenSSL would never have verified shows whether the signature is looked at.
  const leaf = labLeaf(forged(middle, stranger), { commonName: 'Leaf', names: [name] });

  test('is not checked again where there is one path alone', () => {
    expect(outcome(leaf, [middle])).toBe('verified');
    expect(outcome(labLeaf(forged(root, stranger), { commonName: 'Leaf', names: [name] }), [])).toBe('verified');
    expect(outcome(labLeaf(ca(forged(root, stranger), 'Other'), { names: [name] }), [])).toMatch(/no chain/);
  });

  test('is checked where OpenSSL says nothing', () => {
    expect(outcome(leaf, [middle], { verifiedByOpenssl: false })).toBe(wrong);
  });

  test('is checked where it may have gone over another certificate of that name', () => {
    expect(outcome(leaf, [middle, ca(stranger, 'Middle')])).toBe(wrong);
    expect(outcome(leaf, [middle], { roots: [root, labRoot({ commonName: 'middle ' })] })).toBe(wrong);
    const spelled = [value(tags.universalString, utf32('MIDDLE')), printable(' Middle')].map(labName);
    for (const name of [...spelled, ...secondForms('Middle')]) {
      const namesake = labCertificate(root, { name, ca: true, keyUsage: [5, 6] });
      expect(outcome(leaf, [middle, namesake])).toBe(wrong);
    }
  });

  test('is checked above a place where it may have gone another way', () => {
    const low = labCertificate(forged(root, stranger), { commonName: 'Low', ca: true, keyUsage: [5, 6] });
    const below = labLeaf(low, { names: [name] });
    expect(outcome(below, [low])).toBe('verified');
    expect(outcome(below, [low, ca(root, 'Low')])).toBe(wrong);
  });

  test('is checked above a certificate that is trusted itself: OpenSSL went no further', () => {
    const shown = labLeaf(forged(middle, stranger), { commonName: 'Leaf', names: [name] });
    expect(outcome(shown, [middle], { roots: [root, shown] })).toBe(wrong);
  });

  test('is checked where something was fetched, or sent that cannot be read', () => {
    expect(outcome(leaf, [], { fetched: [middle] })).toBe(wrong);
    const twice = labExtension('1.2.3.4', false, Buffer.from('0500', 'hex'));
    const unreadable = labCertificate(root, { commonName: 'Other', ca: true, extra: [twice, twice] });
    expect(outcome(leaf, [middle, unreadable])).toBe(wrong);
  });
});

describe('a certificate that an origin sends', () => {
  const ca = (issuer: LabCertificate, commonName: string) => labCertificate(issuer, { commonName, ca: true });
  const middle = ca(root, 'Middle');
  const leaf = labLeaf(middle, { commonName: 'Leaf', names: [name] });
  const stranger = labRoot({ commonName: 'Stranger' });

  // One that Node kept to itself could be on the path that OpenSSL has verified, and we would look at another.
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('is seen, whatever it is and wherever it stands: %s', async (version) => {
    const chain = [stranger, middle, leaf, root, stranger, ca(stranger, 'Middle'), middle];
    const port = await nodeOrigin({ leaf, chain }, { minVersion: version, maxVersion: version });
    const session = connect({
      port,
      host: '127.0.0.1',
      servername: name,
      ca: root.pem,
      checkServerIdentity: () => undefined,
    });
    session.on('error', () => {});
    await once(session, 'secureConnect');
    expect(session.authorized).toBe(true);
    const seen: string[] = [];
    let next: X509Certificate | undefined = session.getPeerX509Certificate();
    for (; next !== undefined; next = next.issuerCertificate) seen.push(next.fingerprint256);
    session.destroy();
    expect(seen).toEqual([leaf, ...chain].map(({ x509 }) => x509.fingerprint256));
  });
});

describe('webs of certificates put together at random', () => {
  const spellings = [
    utf8String('A'),
    utf8String('B'),
    printable('a '),
    value(tags.universalString, utf32('A')),
    value(tags.bmpString, Buffer.from('b', 'utf16le').swap16()),
  ].map(labName);
  const forbidden = secondForms('A');
  const spelling = fc.constantFrom(...spellings, ...forbidden);
  const key = fc.constantFrom(...keys);
  const issuer = fc.oneof(
    { weight: 1, arbitrary: fc.constant({ name: root.name, key: root.key }) },
    { weight: 1, arbitrary: fc.record({ name: fc.constant(root.name), key }) },
    { weight: 3, arbitrary: fc.record({ name: spelling, key }) },
  );
  const cas = fc.array(fc.record({ name: spelling, key, issuer }), { minLength: 1, maxLength: 4 });

  test.runIf(hasProgram('openssl'))(
    'are accepted on the word of OpenSSL only where they are without it',
    { timeout: 120_000 },
    () => {
      const directory = labDirectory();
      const seen = { accepted: 0, verified: 0, refused: 0 };
      fc.assert(
        fc.property(cas, issuer, fc.boolean(), (given, above, trusts) => {
          const sent = given.map((one) =>
            labCertificate({ ...root, ...one.issuer }, { name: one.name, key: one.key, ca: true, keyUsage: [5, 6] }),
          );
          const leaf = labLeaf({ ...root, ...above }, { commonName: 'Leaf', names: [name] });
          // Sometimes one of those that were sent is trusted too, and not as a root.
          const roots = trusts ? [root, ...sent.slice(0, 1)] : [root];
          const verifiedByOpenssl = opensslAccepts(directory, leaf, sent, roots);
          const first = outcome(leaf, sent, { roots, verifiedByOpenssl }) === 'verified';
          const ours = outcome(leaf, sent, { roots, verifiedByOpenssl: false }) === 'verified';
          expect(first).toBe(ours);
          // What DER forbids, OpenSSL alone reads.
          const spelled = [above, ...given, ...given.map((one) => one.issuer)].map((one) => one.name);
          if (verifiedByOpenssl && !spelled.some((one) => forbidden.includes(one))) expect(ours).toBe(true);
          seen.accepted += Number(ours);
          seen.verified += Number(verifiedByOpenssl);
          seen.refused += Number(!ours);
        }),
        { numRuns: 100 },
      );
      // Either kind alone would prove nothing.
      expect(seen.verified).toBeGreaterThan(5);
      expect(seen.refused).toBeGreaterThan(20);
    },
  );
});

function opensslAccepts(
  directory: string,
  leaf: LabCertificate,
  sent: readonly LabCertificate[],
  roots: readonly LabCertificate[],
): boolean {
  const write = (file: string, certificates: readonly LabCertificate[]): string => {
    writeFileSync(join(directory, file), certificates.map(({ pem }) => pem).join(''));
    return join(directory, file);
  };
  const trusted = ['-CAfile', write('roots.pem', roots), '-no-CApath', '-no-CAstore', '-partial_chain'];
  const pool = ['-untrusted', write('sent.pem', sent), write('leaf.pem', [leaf])];
  try {
    execFileSync('openssl', ['verify', '-purpose', 'sslserver', '-auth_level', '2', ...trusted, ...pool], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}

/** Names that OpenSSL takes for that of one common name, in forms that DER forbids. */
function secondForms(text: string): readonly Buffer[] {
  const type = oid('2.5.4.3');
  const whole = utf8String(text);
  const inPieces = [tags.utf8String, tags.printableString].map((tag) =>
    sequence(setOf(sequence(type, value(0x20 | tag, value(tag, Buffer.from(text)))))),
  );
  return [...inPieces, sequence(setOf(), setOf(sequence(type, whole)))];
}

function utf32(text: string): Buffer {
  const points = [...text].map((character) => character.codePointAt(0) ?? 0);
  const octets = Buffer.alloc(4 * points.length);
  for (const [index, point] of points.entries()) octets.writeUInt32BE(point, 4 * index);
  return octets;
}
