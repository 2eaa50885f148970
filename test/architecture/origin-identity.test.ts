import { describe, expect, test } from 'vitest';
import type { OriginIdentity } from '../../src/core/tls.ts';
import type { LeafStore } from '../../src/flow/leaf-store.ts';
import { readProjectFile, typescriptFiles } from './repository.ts';

/** What an origin's identity holds, without the proof. */
const claimed: Omit<OriginIdentity, keyof OriginIdentity & symbol> = {
  name: 'shop.example',
  certificate: {} as OriginIdentity['certificate'],
  chainFingerprints: [],
};

describe('who an origin is', () => {
  test('cannot be claimed where it was not proved: the type checker refuses it', () => {
    // The type check fails where one of these would pass.
    // @ts-expect-error: the brand is missing.
    const forged: OriginIdentity = claimed;
    const mint = (leafs: LeafStore, policy: Parameters<LeafStore['contextFor']>[2]) =>
      // @ts-expect-error: nor does a leaf come of it.
      leafs.contextFor({ kind: 'verified', identity: claimed }, 'ec', policy, '192.0.2.1');
    expect([forged, mint]).toHaveLength(2);
  });

  test('is proved in one place alone', () => {
    const makers = typescriptFiles('src').filter((file) =>
      /as (?:unknown as )?OriginIdentity\b/.test(readProjectFile(file)),
    );
    expect(makers).toEqual(['src/pki/validate.ts']);
  });
});
