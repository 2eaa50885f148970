import { describe, expect, it } from 'vitest';
import { failures } from '../../src/core/failures.ts';
import { faults } from '../../src/core/simulation.ts';
import { casesOf } from '../../src/selftest/cases/all-cases.ts';
import { Farm } from '../../src/selftest/farm.ts';
import { projectFiles, readProjectFile } from '../architecture/repository.ts';

const page = readProjectFile('docs/security.md');
/** `test/a/b.test.ts: name of a test`, with or without a name. */
const tests = [...page.matchAll(/`(test\/[\w./-]+\.test\.ts)(?:: ([^`]+))?`/g)];
const origins = [...page.matchAll(/`selftest: (\w+): ([^`]+)`/g)];

describe('docs/security.md', () => {
  it('names tests that exist', () => {
    expect(tests.length).toBeGreaterThan(40);
    const files = new Set(projectFiles());
    const missing = tests.filter(([, file = '', name]) => !files.has(file) || !hasTest(file, name));
    expect(missing.map(([cited]) => cited)).toEqual([]);
  });

  it('names origins of the self-test that exist', () => {
    expect(origins.length).toBeGreaterThan(30);
    const responder = { reserve: () => '', publish: () => {}, [Symbol.asyncDispose]: async () => {} };
    const ca = new Farm().root;
    const farm = new Farm({ gatewayCa: ca, responder });
    const known = new Set(casesOf(farm).map((origin) => `${origin.class}: ${origin.name}`));
    expect(origins.map(([, of, name]) => `${of}: ${name}`).filter((cited) => !known.has(cited))).toEqual([]);
  });

  it('names every fault that can be simulated', () => {
    const shown = page.slice(page.indexOf('## Under attack'));
    expect(Object.keys(faults).filter((fault) => !shown.includes(`${fault}\``))).toEqual([]);
  });

  it('names failures and metrics that exist', () => {
    const codes = [...page.matchAll(/`((?:CLIENT|ORIGIN|POLICY|GATEWAY)_\w+)`/g)].map(([, code = '']) => code);
    const metrics = [...page.matchAll(/`(daylight_\w+)/g)].map(([, name = '']) => name);
    expect(codes.length).toBeGreaterThan(15);
    expect(codes.filter((code) => !Object.keys(failures).includes(code))).toEqual([]);
    const known = readProjectFile('docs/metrics.md');
    expect(metrics.filter((name) => !known.includes(`\`${name}\``))).toEqual([]);
  });

  it('has a line for each of the 30 tests towards origins, and for each of the seven mistakes', () => {
    const lines = page.split('\n');
    const numbers = lines.map((line) => /^\| (\d+) /.exec(line)?.[1]).filter(Boolean);
    expect(numbers).toEqual(Array.from({ length: 30 }, (_, index) => String(index + 1)));
    const mistakes = page.slice(page.indexOf('## Dormann'), page.indexOf('## NIAP'));
    expect(mistakes.split('\n').filter((line) => /^\| (?!mistake|---)/.test(line))).toHaveLength(7);
  });
});

/** The name of a test stands in a string of its file, with its placeholders. */
function hasTest(file: string, name: string | undefined): boolean {
  if (name === undefined) return true;
  const source = readProjectFile(file);
  return [`'${name}'`, `"${name}"`, `\`${name}\``].some((literal) => source.includes(literal));
}
