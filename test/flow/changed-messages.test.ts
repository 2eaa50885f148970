import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { HttpPolicy } from '../../src/core/policy.ts';
import { takeIncrements } from '../../src/metrics/counters.ts';
import { parseRuleFile } from '../../src/rules/rule-file.ts';
import { get, inspectedRelay, postOf, responseOf } from './inspected-relay.ts';

const redact = (field: string, test: string): string =>
  `- { id: r, title: t, severity: low, action: redact, when: { field: ${field}, ${test} } }\n`;

describe('redaction', () => {
  const secret = `A${'b'.repeat(250)}C`;
  const card = '4111 1111 1111 1111';
  const text = `{"a":"${card}","b":"Project Moonbeam","c":"EMP-123456","d":"no ${card}1 card"}`;

  test.each([
    ['detector: card_number', card, /4111 1111 1111 1111(?=")/g],
    ['contains: [Moonbeam, "Project "]', 'Moonbeam', /Project |Moonbeam/g],
    ['contains: moonBEAM, nocase: true', 'Moonbeam', /Moonbeam/g],
    ['regex: "EMP-\\\\d{6}", near: [EMP-]', 'EMP-123456', /EMP-\d{6}/g],
  ])('masks every place of %s in both directions, whatever the pieces', (test, sample, places) => {
    const body = Buffer.from(`${text}${'.'.repeat(3_000)}${text}`);
    const masked = body.toString().replace(places, (place) => '*'.repeat(place.length));
    expect(masked.split(sample).length).toBeLessThan(body.toString().split(sample).length);
    for (const pieceBytes of [1, 7, 100, 65_536]) {
      const incoming = inspectedRelay(redact('http.response.body', test));
      incoming.send('client', get);
      incoming.send('origin', responseOf('X: y\r\n', body), pieceBytes);
      expect(incoming.wire.to('client')).toBe(responseOf('X: y\r\n', Buffer.from(masked)).toString());
      const count =
        masked.length - body.toString().replace(places, '').length === 0
          ? 0
          : [...body.toString().matchAll(places)].length;
      expect(incoming.transactions[0]?.changes).toEqual([`response body masked: ${count} (rule r)`]);
      expect(incoming.transactions[0]).toMatchObject({ verdict: 'allow', alarms: 1 });
      const outgoing = inspectedRelay(redact('http.request.body', test));
      outgoing.send('client', postOf('', body), pieceBytes);
      expect(outgoing.wire.to('origin')).toBe(postOf('', Buffer.from(masked)).toString());
    }
  });

  test('leaves the framing of chunks as it is, wherever they cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        fc.integer({ min: 1, max: 60 }),
        (sizes, piece) => {
          const frame = (body: string): string => {
            let framed = '';
            for (let at = 0, turn = 0; at < body.length; turn++) {
              const size = sizes[turn % sizes.length] ?? 1;
              const part = body.slice(at, at + size);
              framed += `${part.length.toString(16)}\r\n${part}\r\n`;
              at += size;
            }
            return `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${framed}0\r\n\r\n`;
          };
          const relay = inspectedRelay(redact('http.response.body', 'detector: card_number'));
          relay.send('client', get);
          relay.send('origin', frame(text), piece);
          expect(relay.wire.to('client')).toBe(frame(text.replace(`"${card}"`, `"${'*'.repeat(card.length)}"`)));
        },
      ),
      { numRuns: 100 },
    );
  });

  test('keeps back no more than it needs', () => {
    const relay = inspectedRelay(redact('http.response.body', 'contains: Moonbeam'));
    relay.send('client', get);
    relay.send('origin', responseOf('', Buffer.alloc(100_000, 'x')).subarray(0, 50_000), 500);
    expect(relay.wire.bytesTo('client').length).toBeGreaterThan(48_000);
    relay.send('origin', Buffer.alloc(50_100, 'x'), 500);
    expect(relay.wire.bytesTo('client').length).toBeGreaterThan(98_000);
  });

  test.each([
    ['contains: Moonbeam', 'Moonb', 'ow'],
    ['detector: card_number', '4111 1111', ' a'],
    ['detector: cloud_credential', 'x AKIAIOSFODNN7', `-${'.'.repeat(600)}`],
  ])('of %s keeps back only what a place may have begun in', (test, begin, rest) => {
    const relay = inspectedRelay(redact('http.response.body', test));
    const event = 'data: all is well\n\n';
    relay.send('client', get);
    relay.send('origin', responseOf('', Buffer.alloc(1_000, event)).subarray(0, -1_000));
    for (const piece of [event, event]) {
      relay.send('origin', piece);
      expect(relay.wire.to('client').endsWith(piece)).toBe(true);
    }
    relay.send('origin', begin);
    expect(relay.wire.to('client').endsWith(event)).toBe(true);
    relay.send('origin', rest);
    expect(relay.wire.to('client').endsWith(event + begin + rest)).toBe(true);
  });

  test('shows in the record what was forwarded', () => {
    const relay = inspectedRelay(redact('http.response.body', 'contains: Moonbeam'));
    relay.send('client', get);
    relay.send('origin', responseOf('', Buffer.from('Project Moonbeam!')), 3);
    expect(relay.transactions[0]?.responseExcerpt?.toString()).toBe('Project ********!');
  });

  test('masks a long place in bytes that come one by one, with a rule beside it that holds all of them', () => {
    const rules = `${redact('http.response.body', `contains: ${secret}`)}- { id: h, title: t, severity: high, action: block, hold: body, when: { field: http.response.body, contains: never } }\n`;
    const masked = '*'.repeat(secret.length);
    for (const all of [rules, redact('http.response.body', `contains: ${secret}`)]) {
      const relay = inspectedRelay(all);
      relay.send('client', get);
      relay.send('origin', responseOf('', Buffer.from(`before ${secret} ${secret} behind`)), 1);
      expect(relay.wire.to('client')).toContain(`before ${masked} ${masked} behind`);
    }
  });

  test('masks only where the rest of the rule holds', () => {
    const when =
      '{ all: [{ field: http.host, equals: other.example }, { field: http.response.body, contains: Moonbeam }] }';
    const relay = inspectedRelay(`- { id: r, title: t, action: redact, when: ${when} }`);
    relay.send('client', get);
    relay.send('origin', responseOf('', Buffer.from('Project Moonbeam')));
    expect(relay.wire.to('client')).toContain('Moonbeam');
    expect(relay.transactions[0]?.changes).toEqual([]);
  });
});

describe('headers', () => {
  const none = { remove: [], set: [] };
  const http = (headers: Partial<HttpPolicy['headers']>, altSvc: HttpPolicy['altSvc'] = 'strip') => ({
    headers: { request: none, response: none, ...headers },
    altSvc,
  });
  const quiet = '- { id: r, title: t, action: block, when: { field: http.path, equals: /none } }';

  test('are removed and set as policy says, every other byte stays, and the record tells', () => {
    const relay = inspectedRelay(
      quiet,
      {},
      http({
        request: { remove: ['referer', 'x-absent'], set: [['X-Env', 'test']] },
        response: { remove: ['server'], set: [['Cache-Control', 'no-store']] },
      }),
    );
    relay.send('client', 'GET /a HTTP/1.1\r\nHost:  shop.example\r\nReferer: x\r\nx-env: prod\r\nREFERER:y\r\n\r\n', 5);
    relay.send(
      'origin',
      'HTTP/1.1 200 Fine\r\nServer: s\r\ncache-control: max-age=9\r\nContent-Length: 2\r\n\r\nok',
      5,
    );
    expect(relay.wire.to('origin')).toBe('GET /a HTTP/1.1\r\nHost:  shop.example\r\nX-Env: test\r\n\r\n');
    expect(relay.wire.to('client')).toBe('HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nCache-Control: no-store\r\n\r\nok');
    expect(relay.transactions[0]?.changes).toEqual([
      'request header removed: referer',
      'request header set: X-Env',
      'response header removed: server',
      'response header set: Cache-Control',
    ]);
  });

  test('lead nobody to HTTP/3, unless policy lets them', () => {
    const response = responseOf('Alt-Svc: h3=":443"\r\nX: y\r\n', Buffer.from('ok'));
    const relay = inspectedRelay(quiet);
    relay.send('client', get);
    relay.send('origin', response);
    expect(relay.wire.bytesTo('client')).toEqual(responseOf('X: y\r\n', Buffer.from('ok')));
    expect(relay.transactions[0]?.changes).toEqual(['response header removed: alt-svc']);
    const kept = inspectedRelay(quiet, {}, http({}, 'keep'));
    kept.send('client', get);
    kept.send('origin', response);
    expect(kept.wire.bytesTo('client')).toEqual(response);
  });

  test('are changed by rules, which raise no alarm', () => {
    const relay = inspectedRelay(`
- { id: identity, title: t, action: setHeader, header: { in: request, name: Accept-Encoding, value: identity }, when: { field: http.host, equals: shop.example } }
- { id: no-cookies, title: t, action: removeHeader, header: { in: response, name: Set-Cookie }, when: { field: http.path, prefix: / } }
- { id: too-late, title: t, action: removeHeader, header: { in: response, name: X }, when: { field: http.response.status, equals: 404 } }`);
    relay.send('client', get);
    relay.send('origin', responseOf('set-cookie: a=b\r\nX: y\r\nSet-Cookie: c=d\r\n', Buffer.from('ok')));
    expect(relay.wire.to('origin')).toContain('Accept-Encoding: identity\r\n\r\n');
    expect(relay.wire.bytesTo('client')).toEqual(responseOf('X: y\r\n', Buffer.from('ok')));
    expect(relay.alarms).toEqual([]);
    expect(relay.transactions[0]).toMatchObject({
      alarms: 0,
      ruleIds: ['identity', 'no-cookies'],
      changes: [
        'request header set: Accept-Encoding (rule identity)',
        'response header removed: Set-Cookie (rule no-cookies)',
      ],
    });
  });
});

describe('a rule file', () => {
  const problemOf = (rule: string): string | undefined =>
    parseRuleFile(`- { id: r, title: t, ${rule} }`, 'x').problems[0]?.message;
  const body = '{ field: http.response.body, contains: abc }';

  test.each([
    ['action: setHeader, when: { field: http.path, equals: / }', 'setHeader needs header'],
    [
      'action: removeHeader, header: { in: response, name: Content-Length }, when: { field: http.path, equals: / }',
      'cannot be changed',
    ],
    [
      'action: setHeader, header: { in: request, name: X, value: "a\\r\\nb" }, when: { field: http.path, equals: / }',
      'not a value',
    ],
    [
      'action: setHeader, header: { in: request, name: "X Y", value: a }, when: { field: http.path, equals: / }',
      'not a name',
    ],
    [
      'action: removeHeader, header: { in: request, name: X }, when: { field: http.response.status, equals: 1 }',
      'too late',
    ],
    [`action: removeHeader, header: { in: response, name: X }, when: ${body}`, 'too late'],
    ['action: block, header: { in: request, name: X }, when: { field: http.path, equals: / }', 'header goes with'],
    ['action: redact, when: { field: http.path, equals: / }', 'one test of a body'],
    ['action: redact, when: { field: http.response.body, exists: true }', 'contains, regex or detector'],
    [`action: redact, when: { any: [${body}] }`, 'one test of a body'],
    [
      `action: redact, when: { all: [${body}, { field: http.request.file.name, exists: true }] }`,
      'known before the body',
    ],
    [
      'action: redact, when: { all: [{ field: http.request.body, contains: abc }, { field: http.response.status, equals: 1 }] }',
      'known before the body',
    ],
    ['action: redact, when: { field: websocket.message, contains: abc }', 'cannot be changed'],
    [`action: alarm, hold: body, when: ${body}`, 'hold goes with block'],
    ['action: block, hold: start, when: { field: http.path, equals: / }', 'nothing of a body'],
    [`action: block, hold: all, when: ${body}`, 'hold'],
  ])('may not say: %s', (rule, problem) => {
    expect(problemOf(rule)).toContain(problem);
  });
});

test('changes and bodies that were not seen are counted', () => {
  takeIncrements();
  const relay = inspectedRelay(
    '- { id: r, title: t, action: alarm, when: { field: http.response.body, contains: abc } }',
  );
  relay.send('client', get);
  relay.send('origin', responseOf('Alt-Svc: clear\r\nContent-Encoding: foo\r\n', Buffer.from('x')));
  expect(takeIncrements()).toMatchObject({
    'daylight_messages_changed_total{message="response"}': 1,
    'daylight_bodies_not_inspected_total{message="response"}': 1,
  });
});
