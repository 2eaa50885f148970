import { describe, expect, test } from 'vitest';
import { type Exchanged, exchange, isTrue, ruleWhen } from './exchange.ts';

const browser: Exchanged = {
  request: {
    method: 'GET',
    target: '/shop/%61dmin/../Admin?q=a%20b&x=%3Cscript%3E',
    host: 'www.shop.example',
    headers: [
      ['Host', 'www.shop.example'],
      ['User-Agent', 'curl/8.5'],
      ['X-Many', 'one'],
      ['x-many', 'two'],
      ['Authorization', 'Bearer abcdefghijkl'],
      ['Content-Length', '120'],
    ],
    framing: { kind: 'none' },
  },
  response: {
    status: 404,
    headers: [
      ['Content-Type', 'text/html; charset=utf-8'],
      ['Set-Cookie', 'sid=0123456789abcdef'],
    ],
    framing: { kind: 'none' },
  },
};

describe('true of a request and its response', () => {
  test.each([
    '{ field: http.method, equals: GET }',
    '{ field: http.method, equals: [PUT, GET] }',
    '{ field: http.method, equals: get, nocase: true }',
    '{ field: http.request.line, prefix: "GET /shop/%61dmin" }',
    '{ field: http.request.line, suffix: " HTTP/1.1" }',
    '{ field: http.host, equals: WWW.Shop.Example }',
    '{ field: http.host, hosts: ["*.shop.example"] }',
    '{ field: http.host, hosts: [other.example, www.shop.example] }',
    '{ field: http.path, equals: /shop/Admin }',
    '{ field: http.query, contains: "<script>" }',
    '{ field: http.query, equals: "q=a b&x=<script>" }',
    '{ field: http.request.header.user-agent, prefix: curl/ }',
    '{ field: http.request.header.USER-AGENT, regex: "^curl/\\\\d+\\\\.\\\\d+$" }',
    '{ field: http.request.header.x-many, equals: two }',
    '{ field: http.request.headers, contains: "X-Many: one\\r\\n" }',
    '{ field: http.request.headers, contains: "user-AGENT: CURL", nocase: true }',
    '{ field: http.request.header.content-length, greaterThan: 100 }',
    '{ field: http.request.header.content-length, lessThan: 121 }',
    '{ field: http.request.header.cookie, exists: false }',
    '{ field: http.request.header.authorization, exists: true }',
    '{ field: http.response.status, equals: 404 }',
    '{ field: http.response.status, equals: [200, 404] }',
    '{ field: http.response.status, greaterThan: 399 }',
    '{ field: http.response.header.content-type, prefix: text/ }',
    '{ field: http.response.headers, regex: "set-cookie: sid=\\\\w+", nocase: true }',
    '{ field: asset.id, equals: web-1 }',
    '{ field: asset.kind, equals: [container, cvm] }',
    '{ field: client.ip, cidr: [10.0.0.0/8] }',
    '{ field: client.ip, equals: 10.1.0.7 }',
    '{ field: origin.ip, cidr: ["2001:db8::/32", 203.0.113.0/24] }',
    '{ field: origin.port, equals: 443 }',
    '{ field: origin.port, lessThan: 1024 }',
    '{ field: tls.sni, hosts: [shop.example] }',
    '{ field: tls.sni, equals: SHOP.example }',
    '{ all: [{ field: http.method, equals: GET }, { field: http.response.status, equals: 404 }] }',
    '{ any: [{ field: http.method, equals: PUT }, { field: http.response.status, equals: 404 }] }',
    '{ not: { field: http.method, equals: PUT } }',
    '{ not: { any: [{ field: http.method, equals: PUT }, { not: { field: asset.id, exists: true } }] } }',
  ])('%s', (when) => {
    expect(isTrue(when, browser)).toBe(true);
  });
});

describe('not true of them', () => {
  test.each([
    '{ field: http.method, equals: get }',
    '{ field: http.host, hosts: ["*.www.shop.example"] }',
    '{ field: http.path, contains: "?" }',
    '{ field: http.request.header.x-none, equals: "" }',
    '{ field: http.request.header.user-agent, regex: "^url" }',
    '{ field: http.request.header.user-agent, greaterThan: 0 }',
    '{ field: http.response.status, lessThan: 404 }',
    '{ field: client.ip, cidr: [10.2.0.0/16] }',
    '{ field: http.request.header.authorization, exists: false }',
    '{ not: { field: http.method, equals: GET } }',
    '{ all: [{ field: http.method, equals: GET }, { field: http.response.status, equals: 200 }] }',
  ])('%s', (when) => {
    expect(isTrue(when, browser)).toBe(false);
  });

  test('absent fields have no value', () => {
    const unknown = {
      assetId: undefined,
      assetKind: undefined,
      originIp: undefined,
      originPort: undefined,
      sni: undefined,
    };
    for (const [field, value] of [
      ['asset.id', 'x'],
      ['asset.kind', 'x'],
      ['origin.ip', '10.0.0.1'],
      ['origin.port', '443'],
      ['tls.sni', 'x'],
    ]) {
      expect(isTrue(`{ field: ${field}, exists: true }`, { context: unknown })).toBe(false);
      expect(isTrue(`{ not: { field: ${field}, equals: ${value} } }`, { context: unknown })).toBe(true);
    }
  });
});

describe('targets', () => {
  test.each([
    ['/a/b/../c', '/a/c'],
    ['/%2e%2e/a', '/a'],
    ['//a///b', '/a/b'],
    ['/a/./b/.', '/a/b/'],
    ['/a/b/..', '/a/'],
    ['/%61%2Fb', '/a/b'],
    ['/%zz%4', '/%zz%4'],
    ['http://u@host:81/p?q', '/p'],
    ['http://host?q', '/'],
    ['/', '/'],
    ['/caf%C3%A9', '/café'],
  ])('the path of %s is %s', (target, path) => {
    expect(isTrue(`{ field: http.path, equals: ${JSON.stringify(path)} }`, { request: { target } })).toBe(true);
  });

  test.each(['*', 'host:443'])('%s has none', (target) => {
    expect(isTrue('{ field: http.path, exists: true }', { request: { target } })).toBe(false);
  });

  test.each([
    ['/a', undefined],
    ['/a?', ''],
    ['/a?b?c', 'b?c'],
    ['http://h/a?b%3D1', 'b=1'],
  ])('the query of %s is %s', (target, query) => {
    const when = query === undefined ? 'exists: false' : `equals: ${JSON.stringify(query)}`;
    expect(isTrue(`{ field: http.query, ${when} }`, { request: { target } })).toBe(true);
  });
});

describe('text that is not ASCII', () => {
  const utf8 = Buffer.from('绝密 café').toString('latin1');
  test.each(['contains: 绝密', 'suffix: café', 'regex: "绝.{0,6}密"', 'regex: "[é]$"'])(
    'is compared by its bytes: %s',
    (operator) => {
      const request = { headers: [['X-Text', utf8]] as const };
      expect(isTrue(`{ field: http.request.header.x-text, ${operator} }`, { request })).toBe(true);
    },
  );
});

describe('what a match tells', () => {
  test.each([
    ['{ field: http.request.header.user-agent, contains: /8 }', 'http.request.header.user-agent', 4, '/8'],
    ['{ field: http.query, regex: "<\\\\w+>" }', 'http.query', 8, '<script>'],
    ['{ field: http.host, hosts: ["*.shop.example"] }', 'http.host', 0, 'www.shop.example'],
    ['{ field: http.response.status, equals: 404 }', 'http.response.status', 0, '404'],
    ['{ field: http.request.header.cookie, exists: false }', 'http.request.header.cookie', 0, ''],
    ['{ not: { field: http.method, equals: PUT } }', 'http.method', 0, ''],
    [
      '{ field: http.request.header.authorization, prefix: Bearer }',
      'http.request.header.authorization',
      0,
      'Bear****',
    ],
    [
      '{ field: http.request.header.authorization, regex: "[a-z]{12}" }',
      'http.request.header.authorization',
      7,
      'abcd****',
    ],
    ['{ field: http.request.headers, regex: "[a-l]{12}" }', 'http.request.headers', 94, 'abcd****'],
    ['{ field: http.request.headers, regex: "two\\r\\nAuth.*l\\r" }', 'http.request.headers', 67, 'two.****'],
    ['{ field: http.response.headers, contains: "0123456789abcdef" }', 'http.response.headers', 56, '0123****'],
  ])('%s', (when, field, offset, excerpt) => {
    const [match] = exchange(ruleWhen(when), browser);
    expect(match).toMatchObject({ field, offset, excerpt });
  });

  test('is at most 64 bytes, of whole and printable characters', () => {
    const value = Buffer.from(`\u0000\u001b[31m${'é'.repeat(100)}`).toString('latin1');
    const [match] = exchange(
      ruleWhen('{ field: http.request.header.x, exists: true, }'.replace('exists: true,', 'prefix: "\\0"')),
      {
        request: { headers: [['x', value]] },
      },
    );
    expect(match?.excerpt).toBe('.');
    const [long] = exchange(ruleWhen('{ field: http.request.header.x, regex: "^.+é$" }'), {
      request: { headers: [['x', value]] },
    });
    expect(long?.excerpt).toBe(`..[31m${'é'.repeat(29)}`);
    expect(Buffer.byteLength(long?.excerpt ?? '')).toBeLessThanOrEqual(64);
  });

  test('names the rule and what it is about', () => {
    const [match] = exchange(ruleWhen('{ field: http.method, equals: POST }'));
    expect(match).toEqual({
      rule: { id: 'r', title: 't', rev: 1 },
      action: 'alarm',
      severity: 'medium',
      field: 'http.method',
      offset: 0,
      excerpt: 'POST',
      tags: [],
    });
  });
});

test('detectors look at heads too, and count what is distinct', () => {
  const twice = { request: { target: '/?a=4111111111111111&b=4111111111111111' } };
  const two = { request: { target: '/?a=4111111111111111&b=5555555555554444' } };
  expect(isTrue('{ field: http.query, detector: card_number, count: 2 }', twice)).toBe(false);
  expect(isTrue('{ field: http.query, detector: card_number, count: 2 }', two)).toBe(true);
  const [match] = exchange(ruleWhen('{ field: http.query, detector: card_number, count: 2 }'), two);
  expect(match).toMatchObject({ offset: 21, excerpt: '555555******4444' });
  const key = { request: { headers: [['X-Key', `AKIA${'ABCDEFGH'.repeat(2)}`]] as const } };
  expect(exchange(ruleWhen('{ field: http.request.headers, detector: cloud_credential }'), key)[0]).toMatchObject({
    offset: 7,
    excerpt: 'AKIA****',
  });
});

test('an expression sees 8 KiB of a field, a literal all of it', () => {
  const request = (pad: number) => ({ request: { headers: [['x', `${'-'.repeat(pad)}needle`]] as const } });
  expect(isTrue('{ field: http.request.header.x, regex: needle }', request(8_186))).toBe(true);
  expect(isTrue('{ field: http.request.header.x, regex: needle }', request(8_187))).toBe(false);
  expect(isTrue('{ field: http.request.header.x, contains: needle }', request(60_000))).toBe(true);
});
