import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { cliPage } from '../../docs/generate-cli.ts';
import { exitCodeOf, exitCodes } from '../../src/control/exit-codes.ts';
import { type FailureCode, failures } from '../../src/core/failures.ts';

test('docs/cli.md is what the help of the commands makes', () => {
  const page = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');
  expect(page, 'run: node docs/generate-cli.ts').toBe(cliPage());
});

test('every failure that ends a command has an exit code of the page', () => {
  const known: readonly number[] = Object.values(exitCodes);
  for (const code of Object.keys(failures) as FailureCode[]) expect(known).toContain(exitCodeOf(code));
  expect(exitCodeOf('GATEWAY_CONFIG_INVALID')).toBe(3);
  expect(exitCodeOf('GATEWAY_PORT_IN_USE')).toBe(4);
  expect(exitCodeOf('GATEWAY_AUTHORITY_KEY')).toBe(5);
});
