import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Match } from '../../src/core/verdict.ts';
import type { CompiledRules } from '../../src/rules/compile.ts';
import { context, exchange, ids, isTrue, request, response, rulesOf, ruleWhen } from './exchange.ts';

const key = `AKIA${'ABCDEFGH'.repeat(2)}`;
const token = `ghp_${'aB3dE6gH9'.repeat(4)}`;
const pem = '-----BEGIN OPENSSH PRIVATE KEY-----';

const everyKind = rulesOf(`
- { id: literal, title: t, action: alarm, when: { field: http.request.body, contains: [needle, Nadel] } }
- { id: nocase, title: t, action: alarm, when: { field: http.request.body, contains: NEEDLE, nocase: true } }
- { id: two, title: t, action: alarm, when: { field: http.request.body, contains: [one, two, three], count: 2 } }
- id: expression
  title: t
  action: alarm
  when: { field: http.request.body, regex: "user=\\\\w+;.{0,20}admin", near: ["admin", "user="] }
- { id: word, title: t, action: alarm, when: { field: http.request.body, regex: "\\\\bkey\\\\b", near: [key] } }
- { id: end, title: t, action: alarm, when: { field: http.request.body, regex: "the end$", near: [end] } }
- { id: emp, title: t, action: alarm, when: { field: http.request.body, regex: "EMP-\\\\d{3}", near: [EMP-], count: 3 } }
- { id: card, title: t, action: alarm, when: { field: http.request.body, detector: card_number } }
- { id: cards, title: t, action: alarm, when: { field: http.request.body, detector: card_number, count: 2 } }
- { id: key, title: t, action: alarm, when: { field: http.request.body, detector: private_key } }
- { id: cloud, title: t, action: alarm, when: { field: http.request.body, detector: cloud_credential } }
- { id: magic, title: t, action: alarm, when: { field: http.request.body, startsWithHex: [4d5a90, 7f454c46] } }
- { id: prefix, title: t, action: alarm, when: { field: http.request.body, prefix: ["<?XML", "%pdf-"], nocase: true } }
- { id: long, title: t, action: alarm, when: { field: http.request.body, greaterThan: 100 } }
- { id: short, title: t, action: alarm, when: { field: http.request.body, lessThan: 50 } }
- { id: empty, title: t, action: alarm, when: { field: http.request.body, exists: false } }
- id: without
  title: t
  action: alarm
  when: { all: [{ field: http.request.body, contains: needle }, { not: { field: http.request.body, contains: harmless } }] }
`);

const fragments = [
  'needle',
  'NEEDLE',
  'Nadel',
  'one',
  'two',
  'three',
  'user=joe;',
  'as admin',
  ' key ',
  'keys',
  'the end',
  'EMP-123',
  'EMP-124 EMP-125',
  '4111 1111 1111 1111',
  '5555555555554444',
  pem,
  `${key}`,
  ` ${key} `,
  `"${token}"`,
  'MZ\x90',
  '\x7fELF',
  '<?xml',
  '%PDF-',
  'harmless',
  ' ',
  '\n',
  '-'.repeat(40),
  'x'.repeat(300),
  'é',
];

describe('the cut of a body into chunks changes nothing', () => {
  const bodies = [
    'MZ\x90 needle NEEDLE one two user=joe; is an admin, key EMP-123 EMP-123 EMP-124,EMP-125 harmless the end',
    `card 4111 1111 1111 1111, 5555555555554444 ${pem}\nMIIE ${key} ${token} the end`,
    `<?xml needle ${'-'.repeat(300)}user=joe; admin${'-'.repeat(300)}key`,
    '',
    '\x7fELF',
    'needl',
  ];

  test.each(bodies)('%#: at every byte, with the length known or not', (body) => {
    const bytes = Buffer.from(body, 'latin1');
    const whole = matchesOf(everyKind, [bytes], 'chunked');
    expect(ids(whole).length).toBeGreaterThan(0);
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(matchesOf(everyKind, [bytes.subarray(0, cut), bytes.subarray(cut)], 'chunked')).toEqual(whole);
    }
    const single = [...bytes].map((byte) => Buffer.of(byte));
    expect(matchesOf(everyKind, single, 'chunked')).toEqual(whole);
    expect(sorted(matchesOf(everyKind, single, 'length'))).toEqual(sorted(whole));
    expect(sorted(matchesOf(everyKind, [bytes], 'length'))).toEqual(sorted(whole));
  });

  test('any body, any cuts', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...fragments), { maxLength: 12 }),
        fc.array(fc.nat(1_500), { maxLength: 8 }),
        (parts, cuts) => {
          const bytes = Buffer.from(parts.join(''), 'latin1');
          const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
          const chunks = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
          expect(matchesOf(everyKind, chunks, 'chunked')).toEqual(matchesOf(everyKind, [bytes], 'chunked'));
        },
      ),
      { numRuns: 1_500 },
    );
  });

  test('nor does a chunk that is overwritten after the call', () => {
    const bytes = Buffer.from(`x user=joe; ${'-'.repeat(10)} admin ${key} 4111111111111111 needle`);
    const whole = matchesOf(everyKind, [bytes], 'chunked');
    const scan = everyKind.begin(context);
    const matches = [...scan.requestHead(request())];
    for (let at = 0; at < bytes.length; at += 7) {
      const chunk = Buffer.from(bytes.subarray(at, at + 7));
      matches.push(...scan.requestBody(chunk));
      chunk.fill(0);
    }
    expect([...matches, ...scan.requestEnd()]).toEqual(whole);
  });
});

describe('where and what', () => {
  test.each([
    ['{ field: http.request.body, contains: [needle] }', 'a needle', 2, 'needle'],
    ['{ field: http.request.body, contains: needle, nocase: true }', 'a NeeDle', 2, 'NeeDle'],
    ['{ field: http.request.body, regex: "a\\\\d+b", near: ["12b"] }', '--a12b', 2, 'a12b'],
    [
      '{ field: http.request.body, regex: "password=\\\\S+!", near: ["password="] }',
      'x password=abc!',
      2,
      'password=****',
    ],
    [
      '{ field: http.request.body, regex: "pan \\\\d{16}", near: ["pan "] }',
      'pan 4111111111111111',
      0,
      'pan 411111******1111',
    ],
    ['{ field: http.request.body, detector: card_number }', 'x 4111-1111-1111-1111', 2, '411111******1111'],
    ['{ field: http.request.body, detector: private_key }', `x ${pem}\nMII`, 2, pem],
    ['{ field: http.request.body, detector: cloud_credential }', `x ${key}`, 2, 'AKIA****'],
    [
      '{ field: http.request.body, detector: cloud_credential }',
      `AccountKey=${'aB3d'.repeat(21)}aB==;`,
      0,
      'AccountKey=aB3d****',
    ],
    ['{ field: http.request.body, startsWithHex: 4d5a }', 'MZ\x90', 0, '4d5a'],
    ['{ field: http.request.body, prefix: "<?xml" }', '<?xml ', 0, '<?xml'],
    ['{ field: http.request.body, greaterThan: 3 }', 'abcd', 0, ''],
  ])('%s in %j', (when, body, offset, excerpt) => {
    const [match] = exchange(ruleWhen(when), { requestBody: [Buffer.from(body, 'latin1')] });
    expect(match).toMatchObject({ field: 'http.request.body', offset, excerpt });
  });

  test('an expression sees 256 bytes before and behind its literal, and no more', () => {
    const near = (gap: number) => ({ requestBody: [Buffer.from(`needle${'-'.repeat(gap)}end`)] });
    const when = '{ field: http.request.body, regex: "needle-*end", near: [needle] }';
    expect(isTrue(when, near(253))).toBe(true);
    expect(isTrue(when, near(254))).toBe(false);
    const before = '{ field: http.request.body, regex: "needle-*end", near: [end] }';
    expect(isTrue(before, near(250))).toBe(true);
    expect(isTrue(before, near(251))).toBe(false);
  });

  test('an expression finds the start of the body and its end', () => {
    expect(
      isTrue('{ field: http.request.body, regex: "^abc$", near: [abc] }', { requestBody: [Buffer.from('abc')] }),
    ).toBe(true);
    for (const body of ['xabc', 'abcx', `${'x'.repeat(600)}abc`, `abc${'x'.repeat(600)}`]) {
      const when = '{ field: http.request.body, regex: "^abc$", near: [abc] }';
      expect(isTrue(when, { requestBody: [Buffer.from(body)] })).toBe(false);
    }
  });

  test('each rule is reported once, however often it is true', () => {
    const body = Buffer.from('needle '.repeat(1_000) + '4111111111111111 '.repeat(1_000));
    const matches = matchesOf(everyKind, [body, body], 'chunked');
    expect(new Set(ids(matches)).size).toBe(matches.length);
  });

  test('request and response bodies are apart', () => {
    const when = '{ field: http.response.body, contains: needle }';
    expect(isTrue(when, { requestBody: [Buffer.from('needle')] })).toBe(false);
    expect(isTrue(when, { responseBody: [Buffer.from('nee'), Buffer.from('dle')] })).toBe(true);
  });
});

describe('a match comes before the last byte is forwarded', () => {
  test.each([
    ['contains: needle', 'a needle'],
    ['detector: card_number', '4111111111111111'],
    ['detector: cloud_credential', token],
    ['regex: "needle$", near: [needle]', 'a needle'],
    ['lessThan: 1000', 'short'],
  ])('%s: where the length is known, in the call that takes it', (operator, body) => {
    const scan = ruleWhen(`{ field: http.request.body, ${operator} }`).begin(context);
    const early = scan.requestHead(request({ framing: { kind: 'length', bytes: body.length } }));
    const matches = [...early, ...scan.requestBody(Buffer.from(body))];
    expect(ids(matches)).toEqual(['r']);
    expect(scan.requestEnd()).toEqual([]);
  });

  test.each([
    ['contains: needle', 'a needle'],
    ['detector: private_key', pem],
    ['regex: "need(le)+", near: [need]', 'needle'],
    ['greaterThan: 3', 'abcd'],
    ['startsWithHex: 4d5a', 'MZ'],
  ])('%s: in any case in the call that takes it', (operator, body) => {
    const scan = ruleWhen(`{ field: http.request.body, ${operator} }`).begin(context);
    scan.requestHead(request());
    expect(ids(scan.requestBody(Buffer.from(body)))).toEqual(['r']);
  });

  test('a body that the head rules out is decided with the head', () => {
    const scan = ruleWhen(
      '{ all: [{ field: http.method, equals: GET }, { field: http.request.body, exists: false }] }',
    ).begin(context);
    expect(ids(scan.requestHead(request({ method: 'GET', framing: { kind: 'none' } })))).toEqual(['r']);
    expect(scan.needsRequestBody).toBe(false);
  });

  test('a size that the head tells is decided with the head', () => {
    const scan = ruleWhen('{ field: http.request.body, greaterThan: 1000 }').begin(context);
    expect(ids(scan.requestHead(request({ framing: { kind: 'length', bytes: 1_001 } })))).toEqual(['r']);
  });
});

describe('a body is needed only while it can decide', () => {
  test('never, when no rule looks at it', () => {
    const scan = ruleWhen('{ field: http.method, equals: GET }').begin(context);
    expect([scan.needsRequestBody, scan.needsResponseBody]).toEqual([false, false]);
  });

  test('not behind the bytes that file magic asks for', () => {
    const scan = ruleWhen('{ field: http.response.body, startsWithHex: [4d5a, 7f454c46] }').begin(context);
    scan.requestHead(request());
    scan.requestEnd();
    scan.responseHead(response());
    scan.responseBody(Buffer.from('7f45', 'hex'));
    expect(scan.needsResponseBody).toBe(true);
    scan.responseBody(Buffer.from('4d', 'hex'));
    expect(scan.needsResponseBody).toBe(false);
    expect(scan.responseEnd()).toEqual([]);
  });

  test('not when the test is decided and the rule waits for something else', () => {
    const scan = ruleWhen(
      '{ all: [{ field: http.request.body, contains: needle }, { field: http.response.status, equals: 200 }] }',
    ).begin(context);
    scan.requestHead(request());
    expect(scan.needsRequestBody).toBe(true);
    scan.requestBody(Buffer.from('needle'));
    expect(scan.needsRequestBody).toBe(false);
    scan.requestEnd();
    expect(ids(scan.responseHead(response()))).toEqual(['r']);
  });

  test('not when the head has decided the rule', () => {
    const scan = ruleWhen(
      '{ all: [{ field: http.method, equals: PUT }, { field: http.request.body, contains: needle }] }',
    ).begin(context);
    expect(scan.needsRequestBody).toBe(true);
    scan.requestHead(request());
    expect(scan.needsRequestBody).toBe(false);
  });
});

function matchesOf(rules: CompiledRules, chunks: readonly Buffer[], framing: 'chunked' | 'length'): readonly Match[] {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const head = { framing: framing === 'chunked' ? { kind: framing } : { kind: framing, bytes } } as const;
  return exchange(rules, { request: head, requestBody: chunks });
}

/** Size tests are decided by the head when it tells the length, so only the order may differ. */
function sorted(matches: readonly Match[]): readonly Match[] {
  return [...matches].sort((a, b) => a.rule.id.localeCompare(b.rule.id));
}
