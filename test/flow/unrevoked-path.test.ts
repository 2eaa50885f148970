import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { IssuedPair, RevocationFinding } from '../../src/core/revocation.ts';
import { judgeOrigin, type OriginEvidence } from '../../src/flow/judge-origin.ts';
import { type RevocationTerms, type UnrevokedPath, unrevokedPathOf } from '../../src/flow/unrevoked-path.ts';
import { OriginTrust } from '../../src/pki/origin-trust.ts';
import { labPoints } from '../pki/support/crl.ts';
import { type LabCertificate, labCertificate, labLeaf, labRoot } from '../pki/support/lab.ts';

const name = 'www.example.com';
const notAfter = Date.now() + 90 * 86_400_000;
const extra = [labPoints('http://crl.example/a.crl')];

/** A leaf below a CA that has some certificates, and what control says of each. */
class Origin {
  readonly root = labRoot({ notAfter });
  readonly cas: readonly LabCertificate[];
  readonly leaf: LabCertificate;
  readonly asked: string[] = [];

  constructor(cas: number) {
    const subject = { commonName: 'Crossed CA', ca: true, keyUsage: [5, 6], notAfter, extra };
    const first = labCertificate(this.root, subject);
    const more = Array.from({ length: cas - 1 }, () => labCertificate(this.root, { ...subject, key: first.key }));
    this.cas = [first, ...more];
    this.leaf = labLeaf(first, { names: [name], notAfter, extra });
  }

  /** Node hangs what an origin sends one behind the other. */
  #sent(): X509Certificate {
    const [peer, ...chain] = [this.leaf, ...this.cas].map(({ der }) => new X509Certificate(der));
    if (peer === undefined) throw new Error('no leaf');
    let last = peer;
    for (const next of chain) {
      Object.defineProperty(last, 'issuerCertificate', { value: next });
      last = next;
    }
    return peer;
  }

  async judge(
    mode: RevocationTerms['mode'],
    say: (subject: 'leaf' | number) => RevocationFinding['status'] | undefined,
    timeoutMs = 5_000,
    client = '192.0.2.1',
  ): Promise<UnrevokedPath> {
    const evidence: OriginEvidence = {
      peer: this.#sent(),
      name,
      trust: new OriginTrust([this.root.pem]),
      exceptions: [],
      opensslError: undefined,
      fetchIssuers: undefined,
    };
    const judged = await judgeOrigin(evidence);
    if (judged.kind === 'failed') throw new Error(judged.detail);
    const ask = (pairs: readonly IssuedPair[]): Promise<readonly RevocationFinding[]> =>
      new Promise((resolve) => {
        const found = pairs.map(({ certificate }) => {
          const at = this.cas.findIndex(({ der }) => der.equals(certificate));
          this.asked.push(at < 0 ? 'leaf' : `CA ${at}`);
          return say(at < 0 ? 'leaf' : at);
        });
        const untilMs = Date.now() + 60_000;
        // Control that stays silent.
        if (found.includes(undefined)) return;
        resolve(
          found.map((status = 'unknown') => ({
            status,
            source: 'crl',
            detail: status === 'good' ? '' : status,
            untilMs,
          })),
        );
      });
    return await unrevokedPathOf({ ...judged, staple: undefined, evidence }, { mode, ask, client, timeoutMs });
  }
}

describe('the path of a verified origin', () => {
  test('leaves a CA that is revoked for another certificate of the same key', async () => {
    const origin = new Origin(2);
    const found = await origin.judge('soft-fail', (subject) => (subject === 0 ? 'revoked' : 'good'));
    expect(found).toMatchObject({ kind: 'found', outcome: { status: 'good' } });
    expect(found.outcome.detail).toBe('another path was taken: issuer 1 above the leaf: revoked');
    expect(found.kind === 'found' && found.path.map(({ raw }) => raw)).toEqual(
      [origin.leaf, origin.cas[1], origin.root].map((each) => each?.der),
    );
  });

  test('is given up after four, however many there are', async () => {
    const origin = new Origin(7);
    const found = await origin.judge('soft-fail', (subject) => (subject === 'leaf' ? 'good' : 'revoked'));
    expect(found).toMatchObject({ kind: 'none', outcome: { status: 'revoked' } });
    expect(new Set(origin.asked)).toEqual(new Set(['leaf', 'CA 0', 'CA 1', 'CA 2', 'CA 3']));
  });

  test('is not looked for where the leaf itself is revoked', async () => {
    const origin = new Origin(2);
    const found = await origin.judge('soft-fail', (subject) => (subject === 1 ? 'good' : 'revoked'));
    expect(found).toMatchObject({ kind: 'none', outcome: { status: 'revoked' } });
    expect(origin.asked).not.toContain('CA 1');
  });

  test('leaves a CA of which nothing is known where policy insists, and keeps it where not', async () => {
    const say = (subject: 'leaf' | number) => (subject === 0 ? ('unknown' as const) : ('good' as const));
    expect(await new Origin(2).judge('hard-fail', say)).toMatchObject({ kind: 'found', outcome: { status: 'good' } });
    expect(await new Origin(2).judge('soft-fail', say)).toMatchObject({ outcome: { status: 'unknown' } });
    expect(await new Origin(1).judge('hard-fail', say)).toMatchObject({ kind: 'none', outcome: { status: 'unknown' } });
  });

  test('is refused where policy insists and nobody answers in time', async () => {
    const silent = (subject: 'leaf' | number) => (subject === 0 ? ('revoked' as const) : undefined);
    const found = await new Origin(2).judge('hard-fail', silent, 50);
    expect(found).toMatchObject({ kind: 'none' });
  });

  test('is asked about by another client where answers to one are late', async () => {
    const origin = new Origin(1);
    expect(await origin.judge('hard-fail', () => undefined, 50)).toMatchObject({ kind: 'none' });
    const asked = origin.asked.length;
    // It is not asked for the same one before a while is over.
    expect(await origin.judge('hard-fail', () => 'good', 5_000)).toMatchObject({ kind: 'none' });
    expect(origin.asked).toHaveLength(asked);
    expect(await origin.judge('hard-fail', () => 'good', 5_000, '192.0.2.2')).toMatchObject({ kind: 'found' });
  });
});
