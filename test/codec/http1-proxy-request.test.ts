import { describe, expect, test } from 'vitest';
import { parseProxyRequest, proxyCredentials } from '../../src/codec/http1-proxy-request.ts';

function parse(text: string) {
  return parseProxyRequest(Buffer.from(text, 'latin1'));
}

describe('a first request to the proxy', () => {
  test.each([
    ['CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n', { host: 'a.example', port: 443 }],
    ['CONNECT A.example:443 HTTP/1.0\r\n\r\n', { host: 'a.example', port: 443 }],
    [
      'CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n',
      { host: '2001:db8::1', port: 443, ip: '2001:db8::1' },
    ],
    ['CONNECT 10.0.0.1:8443 HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n', { host: '10.0.0.1', port: 8443, ip: '10.0.0.1' }],
  ])('opens a tunnel: %j', (text, destination) => {
    expect(parse(`${text}\x16\x03`)).toEqual({
      kind: 'parsed',
      request: { kind: 'connect', destination, credentials: undefined },
      consumed: text.length,
    });
    for (let end = 0; end < text.length; end++) expect(parse(text.slice(0, end)).kind).toBe('partial');
  });

  test('in absolute form is left to the relay', () => {
    const text = 'GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\nProxy-Authorization: Basic dTpwOng=\r\n\r\n';
    expect(parse(text)).toMatchObject({
      kind: 'parsed',
      request: { kind: 'absolute', credentials: { user: 'u', password: 'p:x' } },
    });
  });

  test.each([
    ['CONNECT a.example HTTP/1.1\r\nHost: a.example\r\n\r\n', 'CLIENT_HTTP_MALFORMED'],
    ['CONNECT a.example:0 HTTP/1.1\r\nHost: a.example\r\n\r\n', 'CLIENT_HTTP_MALFORMED'],
    ['CONNECT http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n', 'CLIENT_HTTP_MALFORMED'],
    ['CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1\r\n\r\nx', 'CLIENT_HTTP_AMBIGUOUS'],
    ['GET / HTTP/1.1\r\nHost: a.example\r\n\r\n', 'CLIENT_PROXY_REQUEST_INVALID'],
    ['GET https://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n', 'CLIENT_PROXY_REQUEST_INVALID'],
    ['GET gopher://a.example:70/ HTTP/1.1\r\nHost: a.example:70\r\n\r\n', 'CLIENT_PROXY_REQUEST_INVALID'],
    ['\x16\x03\x01', 'CLIENT_HTTP_MALFORMED'],
  ])('is refused: %j', (text, code) => {
    expect(parse(text)).toMatchObject({ kind: 'failed', code });
  });

  test('that is long is read when it is whole', () => {
    const long = `CONNECT a.example:443 HTTP/1.1\r\nX: ${'y'.repeat(10_000)}`;
    expect(parse(long).kind).toBe('partial');
    expect(parse(`${long}\r\n\r\n`).kind).toBe('parsed');
  });
});

describe('credentials', () => {
  const given = (...values: readonly string[]) =>
    proxyCredentials(values.map((value) => ['Proxy-Authorization', value] as const));

  test('are those of Basic alone, given once', () => {
    expect(given('Basic dXNlcjpwYXNz')).toEqual({ user: 'user', password: 'pass' });
    expect(given('basic  dXNlcjo=')).toEqual({ user: 'user', password: '' });
    expect(given(`Basic ${Buffer.from('ü:ß').toString('base64')}`)).toEqual({ user: 'ü', password: 'ß' });
  });

  test.each([
    [],
    ['Bearer dXNlcjpwYXNz'],
    ['Basic'],
    ['Basic dXNlcg=='],
    ['Basic dXNlcjpwYXNz,'],
    ['Basic dTpw', 'Basic dTpw'],
  ])('that cannot be read are none (%j, %j)', (...values) => {
    expect(given(...values.filter((value) => value !== undefined))).toBeUndefined();
  });
});
