import { expect, test } from 'vitest';
import { failuresPage } from '../../docs/generate-failures.ts';
import { failures } from '../../src/core/failures.ts';
import { projectFiles, readProjectFile, typescriptFiles } from './repository.ts';

/** A code as it stands in a page or a string: a fault and at least one word. */
const codes = /(?<![\w$])(?:CLIENT|ORIGIN|POLICY|GATEWAY)_[A-Z]+(?:_[A-Z]+)*(?![\w*])/g;

test('docs/failures.md is what the catalogue makes it (npm run docs:failures)', () => {
  expect(readProjectFile('docs/failures.md')).toBe(failuresPage());
});

test('every code of the catalogue stands in the page, under its fault', () => {
  const listed = [...failuresPage().matchAll(/^\| `([A-Z0-9_]+)` \|/gm)].map(([, code]) => code);
  expect([...listed].sort()).toEqual(Object.keys(failures).sort());
});

test('no page and no source names a code that is not in the catalogue', () => {
  const pages = projectFiles().filter((file) => file.endsWith('.md'));
  const unknown = [...pages, ...typescriptFiles('src')].flatMap((file) =>
    [...readProjectFile(file).matchAll(codes)]
      .filter(([code]) => !(code in failures))
      .map(([code]) => `${file}: ${code}`),
  );
  expect(unknown).toEqual([]);
});

test('every code has a sentence for meaning and remedy', () => {
  const sentence = /^[A-Z`].*[.!]$/;
  const unclear = Object.entries(failures).filter(
    ([, failure]) => !sentence.test(failure.meaning) || !sentence.test(failure.remedy),
  );
  expect(unclear.map(([code]) => code)).toEqual([]);
});
