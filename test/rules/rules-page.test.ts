import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { credentialPatterns } from '../../src/core/credential.ts';
import { plainFieldNames } from '../../src/rules/field.ts';
import { parseRuleFile } from '../../src/rules/rule-file.ts';

const page = readFileSync(new URL('../../docs/rules.md', import.meta.url), 'utf8');

test('docs/rules.md names every field, operator and credential', () => {
  const { problems } = parseRuleFile('- { id: r, title: t, action: alarm, when: { field: http.method } }', 'x');
  const operators = problems[0]?.message.replace('an operator is needed: one of ', '').split(', ') ?? [];
  expect(operators.length).toBeGreaterThan(10);
  const names = [
    ...plainFieldNames,
    'http.request.header.NAME',
    'http.response.header.NAME',
    'http.request.trailer.NAME',
    'http.response.trailer.NAME',
    ...operators,
    ...credentialPatterns.flatMap(({ name, kind }) => (kind === 'cloud_credential' ? [name] : [])),
  ];
  expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});

test('the examples of docs/rules.md are right', () => {
  const examples = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, yaml]) => yaml ?? '');
  expect(examples.length).toBeGreaterThan(3);
  for (const example of examples) {
    // Some show a condition alone.
    const rule = example.startsWith('when:')
      ? `- id: r\n  title: t\n  action: alarm\n  ${example.replaceAll('\n', '\n  ')}`
      : example;
    expect(parseRuleFile(rule, 'x')).toMatchObject({ rules: [{ id: expect.any(String) }], problems: [] });
  }
});
