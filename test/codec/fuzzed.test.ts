import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';
import { readProjectFile, typescriptFiles } from '../architecture/repository.ts';

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

/** What a file imports of the project, types left out. */
function importsOf(file: string): readonly string[] {
  const imports = readProjectFile(file).matchAll(/^(?:import|export) (?!type)[^;]*? from '(\.[^']+)';$/gm);
  return [...imports].map(([, path = '']) => normalize(join(dirname(file), path)));
}

test('property tests reach the readers of foreign bytes, but for a twentieth that may be new', () => {
  const reached = new Set<string>();
  const reach = (file: string): void => {
    if (reached.has(file) || !file.startsWith('src/')) return;
    reached.add(file);
    for (const next of importsOf(file)) reach(next);
  };
  const fuzzing = typescriptFiles('test').filter((file) => readProjectFile(file).includes("from 'fast-check'"));
  for (const file of fuzzing) for (const imported of importsOf(file)) reach(imported);
  expect(readers.length).toBeGreaterThan(50);
  const missing = readers.filter((file) => !reached.has(file) && isReader(file));
  if (missing.length > 0) console.warn(`no property test reaches ${missing.join(', ')}`);
  expect(missing.length).toBeLessThanOrEqual(readers.length / 20);
});

/** They write what the gateway says itself. */
const writers = new Set(['src/codec/pcapng.ts', 'src/codec/synthetic-tcp.ts']);

function isReader(file: string): boolean {
  if (writers.has(file)) return false;
  return /^export (?:async )?(?:function|class)/m.test(readProjectFile(file));
}
