import { describe, expect, test } from 'vitest';
import { parseRequestHead, parseResponseHead } from '../../src/codec/http1-head.ts';
import { limits } from '../../src/core/limits.ts';

function request(text: string) {
  const bytes = Buffer.from(text, 'latin1');
  return parseRequestHead(bytes, 0, bytes.length);
}

function response(text: string, method = 'GET') {
  const bytes = Buffer.from(text, 'latin1');
  return parseResponseHead(bytes, 0, bytes.length, method);
}

const host = 'Host: a.example\r\n';

describe('a request head', () => {
  test('is cut into its parts, values without surrounding blanks, names as sent', () => {
    const text = `PUT /a%20b?c|d HTTP/1.1\r\nhOsT:A.Example:8443\r\nX-Empty:\r\nX-Blank: \t a\tb \t\r\nCookie: \xe9=1\r\nContent-Length: 12\r\n\r\n`;
    expect(request(`${text}body`)).toEqual({
      kind: 'parsed',
      head: {
        method: 'PUT',
        target: '/a%20b?c|d',
        version: '1.1',
        host: 'a.example',
        headers: [
          ['hOsT', 'A.Example:8443'],
          ['X-Empty', ''],
          ['X-Blank', 'a\tb'],
          ['Cookie', '\xe9=1'],
          ['Content-Length', '12'],
        ],
        framing: { kind: 'length', bytes: 12 },
      },
      length: text.length,
      target: { form: 'origin' },
      persistent: true,
      upgrade: undefined,
      offersHttp2: false,
    });
  });

  test('is read where it lies, and nothing before or behind it', () => {
    const head = `GET / HTTP/1.1\r\n${host}\r\n`;
    const bytes = Buffer.from(`\n\n\n${head}\0\0`, 'latin1');
    expect(parseRequestHead(bytes, 3, 3 + head.length)).toMatchObject({ kind: 'parsed', length: head.length });
    expect(parseRequestHead(bytes, 3, bytes.length)).toMatchObject({ kind: 'parsed', length: head.length });
    expect(parseRequestHead(bytes, 3, 2 + head.length)).toEqual({ kind: 'partial' });
  });

  test('is partial at every byte before its last', () => {
    const text = `POST http://a.example/x HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nX: y\r\n\r\n`;
    for (let end = 0; end < text.length; end++) expect(request(text.slice(0, end))).toEqual({ kind: 'partial' });
    expect(request(text).kind).toBe('parsed');
  });

  test.each([
    ['HTTP/1.1', '', true],
    ['HTTP/1.1', 'Connection: close\r\n', false],
    ['HTTP/1.1', 'Connection: keep-alive, Close\r\n', false],
    ['HTTP/1.1', 'Connection: TE\r\nConnection: close\r\n', false],
    ['HTTP/1.1', 'Connection: ,TE, ,\r\n', true],
    ['HTTP/1.0', '', false],
    ['HTTP/1.0', 'Connection: Keep-Alive\r\n', true],
    ['HTTP/1.0', 'Connection: keep-alive, close\r\n', false],
  ])('of %s with %j persists: %s', (version, connection, persistent) => {
    expect(request(`GET / ${version}\r\n${host}${connection}\r\n`)).toMatchObject({ persistent });
  });

  test.each([
    ['no body', '', { kind: 'none' }],
    ['chunks', 'Transfer-Encoding: Chunked\r\n', { kind: 'chunked' }],
    ['a body of zero bytes', 'Content-Length: 0\r\n', { kind: 'length', bytes: 0 }],
    ['the longest body', 'Content-Length: 9007199254740991\r\n', { kind: 'length', bytes: 9_007_199_254_740_991 }],
  ])('frames %s', (_, fields, framing) => {
    expect(request(`POST / HTTP/1.1\r\n${host}${fields}\r\n`)).toMatchObject({ head: { framing } });
  });

  test.each([
    ['GET / HTTP/1.1', { form: 'origin' }],
    ['OPTIONS * HTTP/1.1', { form: 'asterisk' }],
    ['CONNECT b.example:443 HTTP/1.1', { form: 'authority', authority: { host: 'b.example', port: 443 } }],
    ['GET http://A.example HTTP/1.1', { form: 'absolute', scheme: 'http', host: 'a.example', port: 80, pathAt: 16 }],
    ['GET HTTPS://a.example:443/ HTTP/1.1', { form: 'absolute', scheme: 'https', port: 443, pathAt: 21 }],
  ])('%s has this target', (line, target) => {
    expect(request(`${line}\r\n${host}\r\n`)).toMatchObject({ target });
  });

  test.each([
    ['websocket', 'Upgrade: WebSocket\r\n', 'websocket', false],
    ['several', 'Upgrade: a, b\r\nUpgrade: c\r\n', 'a, b,c', false],
    ['HTTP/2', 'Upgrade: h2c\r\n', 'h2c', true],
    ['HTTP/2 among others', 'Upgrade: websocket, H2C\r\n', 'websocket, h2c', true],
    ['settings of HTTP/2 alone', 'HTTP2-Settings: AAM\r\n', undefined, true],
  ])('offers %s', (_, fields, upgrade, offersHttp2) => {
    expect(request(`GET / HTTP/1.1\r\n${host}${fields}\r\n`)).toMatchObject({ upgrade, offersHttp2 });
  });

  test('is as long as the limit and no longer, with as many fields as the limit and no more', () => {
    const frame = `GET / HTTP/1.1\r\n${host}X: \r\n\r\n`.length;
    const padded = (bytes: number): string => `GET / HTTP/1.1\r\n${host}X: ${'y'.repeat(bytes - frame)}\r\n\r\n`;
    expect(request(padded(limits.httpHeadBytes)).kind).toBe('parsed');
    expect(request(padded(limits.httpHeadBytes + 1))).toMatchObject({ code: 'CLIENT_HTTP_HEAD_TOO_LARGE' });
    const counted = (count: number): string => `GET / HTTP/1.1\r\n${host}${'X: y\r\n'.repeat(count - 1)}\r\n`;
    expect(request(counted(limits.httpHeaderCount)).kind).toBe('parsed');
    expect(request(counted(limits.httpHeaderCount + 1))).toMatchObject({ code: 'CLIENT_HTTP_HEAD_TOO_LARGE' });
  });

  test('of CONNECT may lack a Host', () => {
    expect(request('CONNECT b.example:443 HTTP/1.1\r\n\r\n')).toMatchObject({
      kind: 'parsed',
      head: { host: 'b.example' },
    });
  });

  test('that is refused tells nothing of what it said', () => {
    const parsed = request(`GET / HTTP/1.1\r\n${host}Authorization: se\x01cret\r\n\r\n`);
    expect(parsed).toMatchObject({ kind: 'failed' });
    expect(JSON.stringify(parsed)).not.toContain('cret');
  });
});

describe('a response head', () => {
  test('is cut into its parts', () => {
    const text = 'HTTP/1.1 404 Nicht gefunden \xfc\r\nContent-Length: 5\r\n\r\n';
    expect(response(`${text}hello`)).toEqual({
      kind: 'parsed',
      head: {
        status: 404,
        reason: 'Nicht gefunden \xfc',
        version: '1.1',
        headers: [['Content-Length', '5']],
        framing: { kind: 'length', bytes: 5 },
      },
      length: text.length,
      persistent: true,
      upgrade: undefined,
    });
  });

  test('is partial at every byte before its last', () => {
    const text = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
    for (let end = 0; end < text.length; end++) expect(response(text.slice(0, end))).toEqual({ kind: 'partial' });
  });

  test.each([
    ['GET', 200, 'Content-Length: 5\r\n', { kind: 'length', bytes: 5 }],
    ['GET', 200, 'Transfer-Encoding: chunked\r\n', { kind: 'chunked' }],
    ['GET', 200, '', { kind: 'until-close' }],
    ['HEAD', 200, 'Content-Length: 5\r\n', { kind: 'none' }],
    ['HEAD', 200, 'Transfer-Encoding: chunked\r\n', { kind: 'none' }],
    ['HEAD', 200, '', { kind: 'none' }],
    ['GET', 103, '', { kind: 'none' }],
    ['GET', 204, 'Content-Length: 0\r\n', { kind: 'none' }],
    ['GET', 304, 'Content-Length: 5\r\n', { kind: 'none' }],
    ['GET', 304, 'Transfer-Encoding: chunked\r\n', { kind: 'none' }],
    ['CONNECT', 200, 'Content-Length: 5\r\n', { kind: 'none' }],
    ['CONNECT', 200, 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', { kind: 'none' }],
    ['CONNECT', 407, 'Content-Length: 5\r\n', { kind: 'length', bytes: 5 }],
    ['GET', 999, 'Content-Length: 5\r\n', { kind: 'length', bytes: 5 }],
  ])('to %s with %i and %j frames its body', (method, status, fields, framing) => {
    expect(response(`HTTP/1.1 ${status} X\r\n${fields}\r\n`, method)).toMatchObject({ head: { framing } });
  });

  test.each([
    ['HTTP/1.1', 'Content-Length: 0\r\n', true],
    ['HTTP/1.1', 'Content-Length: 0\r\nConnection: close\r\n', false],
    ['HTTP/1.0', 'Content-Length: 0\r\n', false],
    ['HTTP/1.0', 'Content-Length: 0\r\nConnection: keep-alive\r\n', true],
    ['HTTP/1.1', '', false],
  ])('of %s with %j persists: %s', (version, fields, persistent) => {
    expect(response(`${version} 200 OK\r\n${fields}\r\n`)).toMatchObject({ persistent });
  });

  test.each([
    ['HTTP/1.1  200 OK\r\n\r\n', 'MALFORMED'],
    ['HTTP/1.1 2000 OK\r\n\r\n', 'MALFORMED'],
    ['HTTP/1.1 099 OK\r\n\r\n', 'MALFORMED'],
    ['HTTP/1.1 abc OK\r\n\r\n', 'MALFORMED'],
    ['HTTP/1.2 200 OK\r\n\r\n', 'MALFORMED'],
    ['http/1.1 200 OK\r\n\r\n', 'MALFORMED'],
    ['ICY 200 OK\r\n\r\n', 'MALFORMED'],
    ['\r\nHTTP/1.1 200 OK\r\n\r\n', 'MALFORMED'],
    ['HTTP/1.1 200 O\0K\r\n\r\n', 'AMBIGUOUS'],
    ['HTTP/1.1 200 OK\n\r\n', 'AMBIGUOUS'],
    ['HTTP/1.1 200 OK\r\n Content-Length: 5\r\n\r\n', 'AMBIGUOUS'],
  ])('%j is refused', (text, fault) => {
    expect(response(text)).toMatchObject({ kind: 'failed', code: `ORIGIN_HTTP_${fault}` });
  });
});
