import { describe, expect, test } from 'vitest';
import { verdictOf } from '../../src/rules/verdict-of.ts';
import { context, exchange, ids, request, response, rulesOf } from './exchange.ts';

describe('order and precedence', () => {
  test('matches come in the order of the rules, and all that are true are reported', () => {
    const rules = rulesOf(`
      - { id: b, title: t, action: alarm, when: { field: http.method, equals: POST } }
      - { id: a, title: t, action: block, when: { field: http.host, equals: shop.example } }
      - { id: c, title: t, action: reset, when: { field: client.ip, cidr: 10.0.0.0/8 } }`);
    const matches = exchange(rules);
    expect(ids(matches)).toEqual(['b', 'a', 'c']);
    expect(verdictOf(matches)).toEqual({ kind: 'block', rule: { id: 'a', title: 't', rev: 1 } });
  });

  test('an allow rule stops the rules behind it, now and later, and none before it', () => {
    const rules = rulesOf(`
      - { id: before, title: t, action: alarm, when: { field: http.response.status, equals: 200 } }
      - { id: trusted, title: t, action: allow, when: { field: http.host, equals: shop.example } }
      - { id: now, title: t, action: block, when: { field: http.method, equals: POST } }
      - { id: body, title: t, action: block, when: { field: http.request.body, contains: needle } }
      - { id: later, title: t, action: reset, when: { field: http.response.status, equals: 200 } }`);
    const scan = rules.begin(context);
    expect(ids(scan.requestHead(request()))).toEqual(['trusted']);
    expect(scan.needsRequestBody).toBe(false);
    expect(ids(scan.responseHead(response()))).toEqual(['before']);
    const other = { request: { host: 'other.example' }, requestBody: [Buffer.from('a needle')] };
    expect(ids(exchange(rules, other))).toEqual(['now', 'body', 'before', 'later']);
  });

  test('what stands before an allow rule wins over it', () => {
    const rules = rulesOf(`
      - { id: block, title: t, action: block, when: { field: http.method, equals: POST } }
      - { id: allow, title: t, action: allow, when: { field: http.host, equals: shop.example } }`);
    expect(verdictOf(exchange(rules)).kind).toBe('block');
  });

  test('in a body, the earlier byte counts, however it was cut', () => {
    const rules = rulesOf(`
      - { id: allow, title: t, action: allow, when: { field: http.request.body, contains: harmless } }
      - { id: block, title: t, action: block, when: { field: http.request.body, contains: needle } }`);
    for (const [body, expected] of [
      ['harmless needle', ['allow']],
      ['needle harmless', ['block', 'allow']],
    ] as const) {
      const bytes = Buffer.from(body);
      expect(ids(exchange(rules, { requestBody: [bytes] }))).toEqual(expected);
      expect(ids(exchange(rules, { requestBody: [...bytes].map((byte) => Buffer.of(byte)) }))).toEqual(expected);
    }
  });
});

describe('when a rule is decided', () => {
  const mixed = rulesOf(`
    - id: mixed
      title: t
      action: alarm
      when:
        all:
          - { field: http.request.body, contains: needle }
          - { not: { field: http.response.header.x-safe, exists: true } }
          - { field: http.response.body, startsWithHex: 4d5a }`);

  test('with the last field that it needs', () => {
    const scan = mixed.begin(context);
    expect(scan.requestHead(request())).toEqual([]);
    expect(scan.requestBody(Buffer.from('needle'))).toEqual([]);
    expect(scan.requestEnd()).toEqual([]);
    expect(scan.responseHead(response())).toEqual([]);
    const [match] = scan.responseBody(Buffer.from('MZ'));
    expect(match).toMatchObject({ field: 'http.response.body', excerpt: '4d5a' });
    expect(scan.responseEnd()).toEqual([]);
  });

  test('a response that comes before the request has ended', () => {
    const scan = mixed.begin(context);
    scan.requestHead(request());
    scan.responseHead(response());
    scan.responseBody(Buffer.from('MZ'));
    expect(scan.responseEnd()).toEqual([]);
    expect(ids(scan.requestBody(Buffer.from('needle')))).toEqual(['mixed']);
  });

  test('as soon as one part rules it out', () => {
    const scan = mixed.begin(context);
    scan.requestHead(request({ framing: { kind: 'none' } }));
    expect([scan.needsRequestBody, scan.needsResponseBody]).toEqual([false, false]);
  });

  test('not of a body only when the body has ended', () => {
    const rules = rulesOf(
      '- { id: r, title: t, action: alarm, when: { not: { field: http.request.body, contains: needle } } }',
    );
    const scan = rules.begin(context);
    scan.requestHead(request());
    expect(scan.requestBody(Buffer.from('nothing'))).toEqual([]);
    expect(ids(scan.requestEnd())).toEqual(['r']);
    expect(scan.requestEnd()).toEqual([]);
  });

  test('no rule, no match, no need', () => {
    const scan = rulesOf('[]').begin(context);
    expect([scan.needsRequestBody, scan.needsResponseBody]).toEqual([false, false]);
    expect(scan.requestHead(request())).toEqual([]);
    expect(scan.requestEnd()).toEqual([]);
  });
});

test('the verdict is the first that blocks or resets, and an alarm is none', () => {
  const rules = rulesOf(`
    - { id: alarm, title: t, action: alarm, when: { field: http.method, equals: POST } }
    - { id: reset, title: t, action: reset, rev: 3, when: { field: http.method, equals: POST } }
    - { id: block, title: t, action: block, when: { field: http.method, equals: POST } }`);
  const matches = exchange(rules);
  expect(verdictOf(matches)).toEqual({ kind: 'reset', rule: { id: 'reset', title: 't', rev: 3 } });
  expect(verdictOf(matches.slice(0, 1))).toEqual({ kind: 'allow' });
  expect(verdictOf([])).toEqual({ kind: 'allow' });
});
