import { readFileSync } from 'node:fs';

const page = readFileSync(new URL('../../../docs/validation.md', import.meta.url), 'utf8');

/** The rows of a table of docs/validation.md: case and reason. */
export function listedInPage(heading: string): ReadonlyMap<string, string> {
  const section = page.slice(page.indexOf(heading) + heading.length).split('\n## ')[0] ?? '';
  return new Map([...section.matchAll(/^\| `([^`]+)` \| (.+) \|$/gm)].map(([, id = '', reason = '']) => [id, reason]));
}
