import { expect, test } from 'vitest';
import { readProjectFile, typescriptFiles } from '../architecture/repository.ts';
import { reachedByProperties } from './property-reach.ts';

/** Files of the layers that read what peers and operators write; tables, types and the choice of a verdict read nothing. */
const readers = [
  ...typescriptFiles('src/codec'),
  ...typescriptFiles('src/rules').filter((file) => file !== 'src/rules/verdict-of.ts'),
  ...['crl', 'crl-entries', 'crl-scope', 'distribution-points', 'ocsp-response', 'signed-object'].map(
    (name) => `src/pki/revocation/${name}.ts`,
  ),
  ...['der-reader', 'certificate', 'extensions', 'distinguished-name', 'pem', 'pkcs12-reader', 'strength'].map(
    (name) => `src/pki/${name}.ts`,
  ),
];

test('a property test calls each reader of foreign bytes', () => {
  const fuzzing = typescriptFiles('test').filter((file) => /\bfc\.assert\(/.test(readProjectFile(file)));
  const reached = reachedByProperties(fuzzing);
  expect(readers.length).toBeGreaterThan(50);
  const missing = readers.filter((file) => {
    const names = entrancesOf(file);
    return names.length > 0 && !writers.has(file) && !names.some((name) => reached.has(`${file} ${name}`));
  });
  expect(missing).toEqual([]);
});

test('a reader that is imported, and called by other tests alone, does not count', () => {
  const file = 'test/codec/ftp.test.ts';
  const reached = reachedByProperties([file]);
  expect(reached.has('src/codec/ftp-address.ts parseExtendedPort')).toBe(true);
  expect(readProjectFile(file)).toContain('parseExtendedPassive(');
  expect(reached.has('src/codec/ftp-address.ts parseExtendedPassive')).toBe(false);
});

/** They write what the gateway says itself. */
const writers = new Set(['src/codec/pcapng.ts', 'src/codec/synthetic-tcp.ts']);

/** Functions and classes that a file offers. */
function entrancesOf(file: string): readonly string[] {
  const found = readProjectFile(file).matchAll(/^export (?:async )?(?:function\*?|class) (\w+)/gm);
  return [...found].map(([, name = '']) => name);
}
