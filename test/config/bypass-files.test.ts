import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { compileHostPatterns } from '../../src/codec/host.ts';
import { complaints, Workspace } from './workspace.ts';

const shipped = readFileSync(new URL('../../config/exemptions/finance-and-health.yaml', import.meta.url), 'utf8');

test('the shipped exemptions are valid, and each says its category', () => {
  using workspace = new Workspace();
  workspace.write('exemptions/shipped.yaml', shipped);
  const outcome = workspace.load(
    'bypass: [{ hosts: [own.example], reason: own }]\nbypassFiles: ["exemptions/*.yaml"]\n',
  );
  expect(complaints(outcome)).toEqual([]);
  if (outcome.kind === 'failed') return;
  const { bypass } = outcome.config.policy;
  expect(bypass.map(({ reason }) => reason)).toEqual(['own', 'category finance', 'category health']);
  const [, finance, health] = bypass.map(({ hosts }) => compileHostPatterns(hosts));
  expect([finance?.('www.paypal.com'), finance?.('paypal.com.evil.example'), health?.('nhs.uk')]).toEqual([
    true,
    false,
    true,
  ]);
  expect(outcome.config.files).toContain(workspace.path('exemptions/shipped.yaml'));
});

test('what is wrong in such a file is told with its place', () => {
  using workspace = new Workspace();
  workspace.write(
    'a.yaml',
    'bypass:\n  - { reason: nothing }\n  - { hosts: ["ok.example"], assets: [lab], reason: x }\n',
  );
  workspace.write('b.yaml', 'hosts: [a.example]\n');
  expect(complaints(workspace.load('bypassFiles: [a.yaml, b.yaml, c.yaml]\n'))).toEqual([
    '1:31 bypassFiles[2]: c.yaml does not exist',
    'a.yaml:2:5 bypass[0]: exempts nothing: give hosts, addresses or assets',
    'a.yaml:3:39 bypass[1].assets[0]: no asset has the id "lab"',
    'b.yaml:1:1 hosts: unknown key; known here: bypass',
    'b.yaml:1:1 bypass: is required: a list',
  ]);
});
