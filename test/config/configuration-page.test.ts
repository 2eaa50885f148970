import { readFileSync } from 'node:fs';
import { Check } from 'typebox/schema';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { editorSchema } from '../../docs/editor-schema.ts';
import { configurationPage } from '../../docs/generate-configuration.ts';
import { formats } from '../../src/config/formats.ts';
import { readFile } from '../../src/config/read-value.ts';
import { schema } from '../../src/config/schema.ts';
import type { Schema } from '../../src/config/schema-type.ts';
import { Source } from '../../src/config/source.ts';

const project = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const regenerate = 'run: node docs/generate-configuration.ts';

test('docs/configuration.md is what the schema makes', () => {
  expect(project('docs/configuration.md'), regenerate).toBe(configurationPage());
});

test('config/daylight.schema.json is what the schema makes', () => {
  expect(project('config/daylight.schema.json'), regenerate).toBe(editorSchema());
});

interface Key {
  readonly path: string;
  readonly part: Schema;
  readonly required: boolean;
}

function keysOf(part: Schema, path = '', required = true): readonly Key[] {
  const self = path === '' ? [] : [{ path, part, required }];
  if ('oneOf' in part) return [...self, ...part.oneOf.flatMap((branch) => keysOf(branch, path))];
  if (part.type === 'array') return [...self, ...keysOf(part.items, `${path}[]`).slice(1)];
  if (part.type !== 'object') return self;
  const below = Object.entries(part.properties).flatMap(([name, property]) =>
    keysOf(property, path === '' ? name : `${path}.${name}`, part.required.includes(name)),
  );
  return [...self, ...below];
}

const scalarsAndLists = keysOf(schema).filter(
  ({ part }) => !('properties' in part) && !('oneOf' in part) && !('const' in part),
);

describe('every key', () => {
  test.each(keysOf(schema))('$path has a description', ({ part }) => {
    expect(part.description).toMatch(/[.!]$/);
  });

  test.each(scalarsAndLists)('$path has an example that is valid', ({ part }) => {
    expect(part.examples).toBeDefined();
    for (const example of part.examples ?? []) expect(problemsOf(part, example)).toEqual([]);
  });

  test.each(scalarsAndLists.filter(({ part }) => part.default !== undefined))(
    '$path has a valid default',
    ({ part, required }) => {
      expect(required).toBe(false);
      if (Array.isArray(part.default) && part.default.length === 0) return;
      expect(problemsOf(part, part.default)).toEqual([]);
    },
  );

  test('with a default that is a quantity has it parsed', () => {
    const { timeouts, records } = readFile(new Source('x', ''), schema);
    expect(timeouts).toEqual({
      opening: 10_000,
      connect: 10_000,
      handshake: 15_000,
      idle: 330_000,
      drain: 30_000,
      handover: 3_600_000,
    });
    expect(records.rotateBytes).toBe(100_000_000);
  });
});

function problemsOf(part: Schema, value: unknown): readonly unknown[] {
  const source = new Source('x', JSON.stringify({ key: value }));
  readFile(source, { type: 'object', description: '', required: [], properties: { key: part } });
  return source.problems;
}

describe('the schema for editors', () => {
  const standard: unknown = JSON.parse(editorSchema());
  const isValid = (value: unknown): boolean => Check(standard as Parameters<typeof Check>[0], value);

  test('is accepted by an independent validator that finds the default configuration valid', () => {
    expect(isValid(parse(project('config/daylight.yaml')))).toBe(true);
    expect(isValid(parse(project('config/mail-relay.yaml')))).toBe(true);
    expect(isValid(parse(project('config/file-servers.yaml')))).toBe(true);
  });

  test.each([
    [{ listener: [] }],
    [{ listeners: [] }],
    [{ listeners: [{ mode: 'explicit' }] }],
    [{ listeners: [{ mode: 'explicit', listen: '127.0.0.1:8080', spoofClient: true }] }],
    [{ listeners: [{ mode: 'explicit', listen: 'localhost' }] }],
    [{ relays: 'many' }],
    [{ records: { keep: -1 } }],
    [{ records: { rotateBytes: '100Mb' } }],
    [{ bypass: [{ hosts: ['a'] }] }],
    [{ defaults: { detect: 'yes' } }],
  ])('refuses %j, as we do', (value) => {
    expect(isValid(value)).toBe(false);
    const source = new Source('x', JSON.stringify(value));
    readFile(source, schema);
    expect(source.problems).not.toEqual([]);
  });

  test('has a pattern for every format', () => {
    for (const { pattern } of Object.values(formats)) expect(() => new RegExp(pattern, 'u')).not.toThrow();
  });
});
