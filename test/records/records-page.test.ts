import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const page = readFileSync(new URL('../../docs/records.md', import.meta.url), 'utf8');
const folder = new URL('../golden/records/', import.meta.url);
const golden = readdirSync(folder).map((name) => readFileSync(new URL(name, folder), 'utf8').trimEnd());

test('docs/records.md names every field that a record has', () => {
  const named = new Set([...page.matchAll(/`([\w.[\]]+)`/g)].map(([, name]) => name));
  const fields = new Set(golden.flatMap((line) => fieldsOf(JSON.parse(line), '')));
  const missing = [...fields].filter((field) => !endings(field).some((ending) => named.has(ending)));
  expect(missing).toEqual([]);
});

test('the examples of docs/records.md are lines as they are written', () => {
  const examples = [...page.matchAll(/^```json\n(.*)\n```$/gm)].map(([, line]) => line);
  expect(examples).toHaveLength(4);
  for (const example of examples) expect(golden).toContain(example);
});

function fieldsOf(value: unknown, path: string): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((entry) => fieldsOf(entry, `${path}[]`));
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([name, entry]) => fieldsOf(entry, path === '' ? name : `${path}.${name}`));
}

/** The whole path, or what is left of it down to two names: `tls.certificate.subject` may stand as `certificate.subject`. */
function endings(field: string): readonly string[] {
  const names = field.split('.');
  return names
    .map((_, index) => names.slice(index).join('.'))
    .filter((_, index) => index === 0 || names.length - index >= 2);
}
