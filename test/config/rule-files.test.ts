import { expect, test } from 'vitest';
import { complaints, Workspace } from './workspace.ts';

const rule = (id: string, host = 'a.example'): string =>
  `- { id: ${id}, title: T, action: block, when: { field: http.host, equals: ${host} } }\n`;

test('rules of all files are loaded, in the order of the files', () => {
  using workspace = new Workspace();
  workspace.write('rules/b.yaml', rule('two'));
  workspace.write('rules/a.yaml', rule('one'));
  workspace.write('extra.yaml', rule('three'));
  const outcome = workspace.load('rules: { files: ["rules/*.yaml", extra.yaml, "rules/a.yaml"] }\n');
  expect(complaints(outcome)).toEqual([]);
  if (outcome.kind === 'failed') return;
  expect(outcome.config.policy.rules.map(({ id, source }) => [id, source])).toEqual([
    ['one', 'rules/a.yaml:1'],
    ['two', 'rules/b.yaml:1'],
    ['three', 'extra.yaml:1'],
  ]);
  expect(outcome.config.ruleFiles).toEqual(['rules/a.yaml', 'rules/b.yaml', 'extra.yaml']);
  for (const watched of ['rules/*.yaml', 'rules/a.yaml', 'rules/b.yaml', 'extra.yaml']) {
    expect(outcome.config.files).toContain(workspace.path(watched));
  }
});

test('errors of rule files stand beside those of the configuration, with their own place', () => {
  using workspace = new Workspace();
  workspace.write(
    'one.yaml',
    `${rule('one')}- { id: two, title: T, action: blok, when: { field: http.host, equals: a } }\n`,
  );
  workspace.write('list.yaml', 'rules: []\n');
  workspace.write('binary.yaml', Buffer.from([0xff, 0xfe]));
  expect(complaints(workspace.load('rules: { files: [one.yaml, list.yaml, binary.yaml] }\nrelays: none\n'))).toEqual([
    '2:9 relays: must be "auto" or a number between 1 and 64',
    expect.stringMatching(/^one\.yaml:2:1 .*action/),
    expect.stringMatching(/^list\.yaml:1:1 a rule file is a list/),
    'binary.yaml:1:1 is not UTF-8 text',
  ]);
});

test('an id may stand in one file only', () => {
  using workspace = new Workspace();
  workspace.write('a.yaml', rule('same'));
  workspace.write('b.yaml', `${rule('other')}${rule('same')}`);
  expect(complaints(workspace.load('rules: { files: [a.yaml, b.yaml] }\n'))).toEqual([
    'b.yaml:2:1 rule same stands already at a.yaml:1',
  ]);
});

test('the version of the policy changes with a rule', () => {
  using workspace = new Workspace();
  const versions = ['a.example', 'b.example'].map((host) => {
    workspace.write('a.yaml', rule('one', host));
    const outcome = workspace.load('rules: { files: [a.yaml] }\n');
    return outcome.kind === 'loaded' ? outcome.config.policy.version : complaints(outcome);
  });
  expect(new Set(versions).size).toBe(2);
});
