import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { html } from '../html-body.ts';
import { responseRules } from '../response-rules.ts';

/**
 * Milliseconds for the pass of the rules over bodies of 1 MB: `node bench/processes/body-scan.ts [OTHER CHECKOUT]`. With
 * another checkout of Daylight, its pass over the same bytes takes turns with this one's, so that load weighs on both.
 */

const rounds = 60;
/** As Node hands out what a TLS connection has read. */
const chunkBytes = 16_384;
const here = fileURLToPath(new URL('../..', import.meta.url));
const literals200 = Array.from({ length: 200 }, (_, index) => `/shop/${(index * 7_919) % 1_009}/${index}/wp-admin.php`);
const ruleSets = [
  ['detectors and literals', responseRules],
  ['200 literals', oneRule(`contains: ${JSON.stringify(literals200)}, nocase: true`)],
  ['card numbers', oneRule('detector: card_number')],
  ['credentials', oneRule('detector: cloud_credential')],
] as const;
const page = { id: 0, name: 'a shop item', price: '12.95', tags: ['fig', 'apple'], seen: '2026-11-22T10:00:00Z' };
const bodies = [
  ['html', html],
  ['json', ofOneMegabyte((row) => `${JSON.stringify({ ...page, id: row * 7_919 }, undefined, 2)},\n`)],
  ['base64', ofOneMegabyte((row) => Buffer.from(`${row * 2_654_435_761}:${row}`).toString('base64'))],
  ['digits', Buffer.alloc(html.length, '4')],
  ['card prefixes', Buffer.alloc(html.length, '411111111111111x')],
  ['literal prefixes', Buffer.alloc(html.length, 'secret_access_ke-----BEGI')],
] as const;

const checkouts = [here, ...process.argv.slice(2)];
const modules = await Promise.all(checkouts.map(load));
for (const [rules, yaml] of ruleSets) {
  for (const [body, bytes] of bodies) {
    const passes = modules.map((module) => passOf(module, yaml));
    const least = passes.map(() => Number.POSITIVE_INFINITY);
    for (let round = 0; round < rounds; round++) {
      for (const [index, pass] of passes.entries()) {
        const start = process.hrtime.bigint();
        pass(bytes);
        least[index] = Math.min(least[index] ?? 0, Number(process.hrtime.bigint() - start) / 1e6);
      }
    }
    const figures = least.map((ms) => `${ms.toFixed(2)} ms (${(bytes.length / ms / 1_000).toFixed(0)} MB/s)`);
    process.stdout.write(`${rules.padEnd(24)}${body.padEnd(18)}${figures.join('   ')}\n`);
  }
}

type Modules = Awaited<ReturnType<typeof load>>;

async function load(checkout: string) {
  const { compileRules } = (await import(join(checkout, 'src/rules/compile.ts'))) as CompileModule;
  const { parseRuleFile } = (await import(join(checkout, 'src/rules/rule-file.ts'))) as FileModule;
  return { compileRules, parseRuleFile };
}

type CompileModule = typeof import('../../src/rules/compile.ts');
type FileModule = typeof import('../../src/rules/rule-file.ts');

function passOf({ compileRules, parseRuleFile }: Modules, yaml: string): (bytes: Buffer) => void {
  const { rules, problems } = parseRuleFile(yaml, 'bench.yaml');
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  const compiled = compileRules(rules);
  const client = { clientIp: '10.1.0.7', originIp: '203.0.113.9', originPort: 443, sni: 'shop.example' };
  return (bytes) => {
    const scan = compiled.begin({ assetId: 'web-1', assetKind: 'cvm', ...client });
    const framing = { kind: 'chunked' } as const;
    scan.requestHead({ method: 'GET', target: '/', version: '1.1', host: 'shop.example', headers: [], framing });
    scan.requestEnd();
    scan.responseHead({ status: 200, reason: 'OK', version: '1.1', headers: [], framing });
    for (let at = 0; at < bytes.length && scan.needsResponseBody; at += chunkBytes) {
      scan.responseBody(bytes.subarray(at, at + chunkBytes));
    }
    scan.responseEnd();
  };
}

function oneRule(test: string): string {
  return `- { id: bench.rule, title: Rule, action: alarm, when: { field: http.response.body, ${test} } }`;
}

function ofOneMegabyte(part: (row: number) => string): Buffer {
  let text = '';
  for (let row = 0; text.length < html.length; row++) text += part(row);
  return Buffer.from(text.slice(0, html.length));
}
