import { describe, expect, test } from 'vitest';
import { lastStatus, record } from './recording.ts';

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
const a = 'GET http://a.example/1 HTTP/1.1\r\nHost: a.example\r\n\r\n';
const b = 'GET http://b.example:8080/2 HTTP/1.1\r\nHost: b.example:8080\r\n\r\n';
const toA = 'GET /1 HTTP/1.1\r\nHost: a.example\r\n\r\n';
const toB = 'GET /2 HTTP/1.1\r\nHost: b.example:8080\r\n\r\n';

function proxy() {
  return record({ mode: 'proxy', scheme: 'http' });
}

describe('a request in absolute form', () => {
  test('names its origin, the first one included, before its bytes are sent', () => {
    const { wire, client, inspector } = proxy();
    const log: string[] = [];
    wire.onRetarget = ({ host, port }) => log.push(`${host}:${port}`);
    wire.onSend = (to) => log.push(to);
    client(a);
    expect(log).toEqual(['a.example:80', 'origin']);
    expect(wire.to('origin')).toBe(toA);
    expect(inspector.exchanges[0]?.request).toMatchObject({ target: 'http://a.example/1', host: 'a.example' });
  });

  test('to the same origin is pipelined, to another one waits until all is answered', () => {
    const { wire, client, origin, inspector } = proxy();
    client(a + a + b + a);
    expect(wire.to('origin')).toBe(toA + toA);
    expect(wire.pauses).toEqual([true]);
    origin(ok);
    expect(wire.retargets).toHaveLength(1);
    origin(ok);
    expect(wire.to('origin')).toBe(toA + toA + toB);
    expect(wire.retargets.map(({ host }) => host)).toEqual(['a.example', 'b.example']);
    origin(ok);
    expect(wire.retargets.map(({ host }) => host)).toEqual(['a.example', 'b.example', 'a.example']);
    expect(wire.pauses).toEqual([true, false]);
    origin(ok);
    expect(inspector.exchanges.map(({ outcome }) => outcome?.complete)).toEqual([true, true, true, true]);
    expect(wire.to('client')).toBe(ok.repeat(4));
  });

  test('that waits and comes byte by byte is the same', () => {
    const { wire, relay, origin } = proxy();
    for (const byte of Buffer.from(a + b)) relay.receive('client', Buffer.from([byte]));
    expect(wire.to('origin')).toBe(toA);
    origin(ok);
    expect(wire.to('origin')).toBe(toA + toB);
    origin(ok);
    expect(wire.to('client')).toBe(ok + ok);
  });

  test('that waits in pieces keeps the order of the pieces', () => {
    const { wire, client, origin } = proxy();
    client(a + b);
    client(b + a.slice(0, 10));
    client(a.slice(10) + b);
    client(a);
    for (let answered = 0; answered < 6; answered++) origin(ok);
    expect(wire.to('origin')).toBe(toA + toB + toB + toA + toB + toA);
    expect(wire.ending).toBeUndefined();
  });

  test('loses what was meant for the proxy alone', () => {
    const { wire, client } = proxy();
    client(
      'GET http://a.example HTTP/1.1\r\nHost: a.example\r\nProxy-Connection: keep-alive\r\nX: 1\r\nproxy-authorization: Basic dTpw\r\nConnection: keep-alive\r\n\r\n',
    );
    expect(wire.to('origin')).toBe('GET / HTTP/1.1\r\nHost: a.example\r\nX: 1\r\nConnection: keep-alive\r\n\r\n');
  });

  test.each([
    ['without path', 'GET http://a.example HTTP/1.1', 'GET / HTTP/1.1'],
    ['with a query alone', 'GET http://a.example?x=1 HTTP/1.1', 'GET /?x=1 HTTP/1.1'],
    ['with a doubled slash', 'GET http://a.example//b HTTP/1.1', 'GET //b HTTP/1.1'],
    [
      'with an address inside',
      'GET http://a.example/?u=http://b.example/ HTTP/1.1',
      'GET /?u=http://b.example/ HTTP/1.1',
    ],
    ['of the whole server', 'OPTIONS http://a.example HTTP/1.1', 'OPTIONS * HTTP/1.1'],
    ['of OPTIONS with a query alone', 'OPTIONS http://a.example?x HTTP/1.1', 'OPTIONS /?x HTTP/1.1'],
    ['of OPTIONS with path', 'OPTIONS http://a.example/ HTTP/1.1', 'OPTIONS / HTTP/1.1'],
    ['with scheme and host in capitals', 'GET HTTP://A.Example:80/x HTTP/1.1', 'GET /x HTTP/1.1'],
  ])('%s becomes origin form', (_, line, rewritten) => {
    const { wire, client } = proxy();
    client(`${line}\r\nHost: a.example\r\n\r\n`);
    expect(wire.to('origin')).toBe(`${rewritten}\r\nHost: a.example\r\n\r\n`);
    expect(wire.retargets).toEqual([{ host: 'a.example', port: 80 }]);
  });

  test('of HTTP/1.0 without Host gets one', () => {
    const { wire, client } = proxy();
    client('GET http://A.example:81/ HTTP/1.0\r\nX: y\r\n\r\n');
    expect(wire.to('origin')).toBe('GET / HTTP/1.0\r\nHost: A.example:81\r\nX: y\r\n\r\n');
  });

  test('to an address names it', () => {
    const { wire, client } = proxy();
    client('GET http://[::ffff:10.0.0.1]:81/ HTTP/1.1\r\nHost: [::ffff:10.0.0.1]:81\r\n\r\n');
    expect(wire.retargets).toEqual([{ host: '10.0.0.1', port: 81, ip: '10.0.0.1' }]);
  });

  test('keeps its body as it is', () => {
    const { wire, client } = proxy();
    client(
      'POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    );
    expect(wire.to('origin')).toBe(
      'POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    );
  });
});

describe('a proxy client', () => {
  test.each([
    ['a target in origin form', 'GET / HTTP/1.1\r\nHost: a.example\r\n\r\n', 400, 'CLIENT_PROXY_REQUEST_INVALID'],
    [
      'an https target',
      'GET https://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n',
      400,
      'CLIENT_PROXY_REQUEST_INVALID',
    ],
    ['an ftp target', 'GET ftp://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n', 400, 'CLIENT_PROXY_REQUEST_INVALID'],
    ['OPTIONS of the proxy', 'OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n', 400, 'CLIENT_PROXY_REQUEST_INVALID'],
    ['another Host', 'GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n', 400, 'CLIENT_HTTP_AMBIGUOUS'],
    [
      'CONNECT behind other requests',
      'CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n',
      405,
      'POLICY_CONNECT_REFUSED',
    ],
  ])('is refused %s', (_, request, status, code) => {
    const { wire, client } = proxy();
    client(request);
    expect(lastStatus(wire.to('client'))).toBe(status);
    expect(wire.ending).toBe(`close ${code}`);
    expect(wire.retargets).toEqual([]);
    expect(wire.to('origin')).toBe('');
  });

  test('learns that its origin cannot be reached', () => {
    const { wire, client, relay, inspector } = proxy();
    client(a);
    relay.originFailed?.('ORIGIN_REFUSED', 'a.example');
    expect(lastStatus(wire.to('client'))).toBe(502);
    expect(wire.to('client')).toContain('ORIGIN_REFUSED');
    expect(wire.ending).toBe('close ORIGIN_REFUSED');
    expect(inspector.exchanges[0]?.outcome?.failure).toBe('ORIGIN_REFUSED');
  });

  test('stays when an idle origin ends, which is opened anew for the next request', () => {
    const { wire, client, origin, relay } = proxy();
    client(a);
    origin(ok);
    relay.end('origin', true);
    expect(wire.ending).toBeUndefined();
    client(a);
    origin(ok);
    expect(wire.retargets).toHaveLength(2);
    expect(wire.to('client')).toBe(ok + ok);
  });

  test('sees a first request on a new leg answered for, not broken off', () => {
    const { wire, client, origin, relay } = proxy();
    client(a);
    origin(ok);
    client(b);
    relay.end('origin', true);
    expect(lastStatus(wire.to('client'))).toBe(502);
  });
});
