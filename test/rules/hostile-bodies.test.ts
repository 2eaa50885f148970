import { describe, expect, test } from 'vitest';
import { credentialPatterns } from '../../src/core/credential.ts';
import { context, ids, request, rulesOf } from './exchange.ts';

const megabyte = 1 << 20;

/**
 * What a body costs is one pass of the automaton, one of the card scanner, and the bytes that expressions and patterns
 * are given. The last is what a hostile body could drive up, so it is counted here; time would only measure the machine.
 */
describe('a megabyte made to cost as much as possible', () => {
  const expressions = rulesOf(
    `
    - { id: nested, title: t, action: alarm, when: { field: http.request.body, regex: "(a+)+\\\\$", near: [aaa] } }
    - id: quadratic
      title: t
      action: alarm
      when: { field: http.request.body, regex: ".*\\\\.php\\\\?.*=.*;", near: [".php?"] }
    - { id: counted, title: t, action: alarm, when: { field: http.request.body, regex: "x=[a-z]{8,64}!", near: [x=] } }`.replace(
      'near: [x=]',
      'near: ["&x="]',
    ),
  );

  test.each([
    ['a nested repeat', 'a'],
    ['a quadratic expression on one line', '/index.php?a=b&'],
    ['a literal everywhere', '.php?'],
    ['literals just further apart than a neighbourhood', `.php?${'-'.repeat(600)}`],
    ['a counted repeat', '&x=abcdefg'],
  ])('%s: an expression reads no byte twice', (_, unit) => {
    const { windowBytes, matches } = costOf(expressions, unit, 16_384);
    expect(matches).toEqual([]);
    // Neighbourhoods of one rule never overlap, so three rules read three bodies at most.
    expect(windowBytes).toBeLessThanOrEqual(3 * megabyte);
  });

  test.each([
    ['in one chunk', megabyte],
    ['in chunks of a TLS record', 16_384],
    ['in chunks of 100 bytes', 100],
  ])('an expression reads the same bytes %s', (_, chunkBytes) => {
    expect(costOf(expressions, '/index.php?a=b&', chunkBytes).windowBytes).toBeLessThanOrEqual(megabyte);
  });

  const detectors = rulesOf(`
    - { id: keys, title: t, action: alarm, when: { field: http.request.body, detector: private_key } }
    - { id: clouds, title: t, action: alarm, when: { field: http.request.body, detector: cloud_credential } }
    - { id: cards, title: t, action: alarm, when: { field: http.request.body, detector: card_number, count: 1000 } }`);
  // The SSH2 header is all of what it looks for.
  const literals = credentialPatterns
    .filter(({ name }) => name !== 'ssh2_private_key')
    .flatMap(({ literals: all, reachBytes }) => all.map((literal) => [literal, reachBytes + 3] as const));

  test.each(literals)('nothing but %s: each is looked at once, in a window', (literal, window) => {
    const { windowBytes, matches, bytes } = costOf(detectors, `${literal} `, 16_384);
    expect(matches).toEqual([]);
    // Once when it is found, and again where a chunk ended behind it.
    const candidates = bytes / literal.length + (bytes / 16_384) * (window / literal.length + 1);
    expect(windowBytes).toBeLessThanOrEqual(candidates * window);
  });

  test('a million digits, and ten thousand times the same card', () => {
    expect(costOf(detectors, '4', 16_384).matches).toEqual([]);
    expect(costOf(detectors, '411 ', 16_384).matches).toEqual([]);
    expect(costOf(detectors, '4111111111111111 '.repeat(64), 16_384).matches).toEqual([]);
  });

  test('what is hidden behind a flood is found all the same', () => {
    const flood = Buffer.from('AKIA'.repeat(megabyte / 4));
    const scan = detectors.begin(context);
    scan.requestHead(request());
    scan.requestBody(flood);
    const secret = Buffer.from(`, AKIA${'ABCDEFGH'.repeat(2)}, -----BEGIN EC PRIVATE KEY-----`);
    expect(ids([...scan.requestBody(secret), ...scan.requestEnd()]).toSorted()).toEqual(['clouds', 'keys']);
  });

  test('a thousand different cards are counted in bounded memory', () => {
    const rules = rulesOf(
      '- { id: r, title: t, action: alarm, when: { field: http.request.body, detector: card_number, count: 1000 } }',
    );
    const scan = rules.begin(context);
    scan.requestHead(request());
    const cards = Array.from({ length: 3_000 }, (_, index) => cardNumber(index)).join('\n');
    expect(ids(scan.requestBody(Buffer.from(cards)))).toEqual(['r']);
    expect(scan.needsRequestBody).toBe(false);
  });
});

function costOf(rules: ReturnType<typeof rulesOf>, unit: string, chunkBytes: number) {
  const body = Buffer.alloc(megabyte, unit);
  const scan = rules.begin(context);
  scan.requestHead(request());
  const matches = [];
  for (let at = 0; at < body.length; at += chunkBytes) {
    matches.push(...scan.requestBody(body.subarray(at, at + chunkBytes)));
  }
  matches.push(...scan.requestEnd());
  return { windowBytes: scan.windowBytes, matches: ids(matches), bytes: body.length };
}

function cardNumber(index: number): string {
  const digits = `411111${String(index).padStart(9, '0')}`;
  const sum = [...digits].reverse().reduce((total, digit, place) => {
    const value = Number(digit) * (place % 2 === 0 ? 2 : 1);
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return digits + ((10 - (sum % 10)) % 10);
}
