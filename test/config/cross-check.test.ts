import { expect, test } from 'vitest';
import { crossCheck } from '../../src/config/cross-check.ts';
import type { Config } from '../../src/config/schema.ts';
import { Source } from '../../src/config/source.ts';

test('assets are looked at a few times each, however many there are and are named', () => {
  let reads = 0;
  const count = 2_000;
  const assets = Array.from({ length: count }, (_, index) => ({
    get id() {
      reads += 1;
      return `asset-${index}`;
    },
    addresses: ['10.0.0.1/32'],
    hosts: [],
  }));
  const bypass = [{ hosts: [], addresses: [], assets: assets.map(({ id }) => id) }];
  const config = {
    ...{ listeners: [], bypass, refuse: [], scanners: [], assets, export: {} },
    ...{ revocation: { overrides: [] }, originClientCertificates: { certificates: [] } },
  } as unknown as Config;
  const source = new Source('policy.yaml', '');
  reads = 0;
  crossCheck(config, source);
  expect(source.problems).toEqual([]);
  // A search for each would be two million for the names alone, and as many for ids that stand twice.
  expect(reads).toBeLessThan(5 * count);
});
