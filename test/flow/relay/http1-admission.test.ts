import { describe, expect, test } from 'vitest';
import { lastStatus, record } from './recording.ts';

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
const websocket = 'GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

describe('a host', () => {
  test('that the connection does not cover is answered with 421 and recorded with its request', () => {
    const { wire, client, inspector } = record({ hostAllowed: (host) => host === 'a.example' });
    client('GET / HTTP/1.1\r\nHost: A.Example.:443\r\n\r\n');
    client('GET /b HTTP/1.1\r\nHost: b.example\r\n\r\n');
    expect(wire.to('origin')).toBe('GET / HTTP/1.1\r\nHost: A.Example.:443\r\n\r\n');
    expect(wire.to('client')).toBe('');
    expect(inspector.exchanges[1]?.request?.target).toBe('/b');
    expect(inspector.exchanges[1]?.outcome?.failure).toBe('CLIENT_HOST_MISMATCH');
  });

  test('is answered when nothing is outstanding', () => {
    const { wire, client } = record({ hostAllowed: () => false });
    client('GET / HTTP/1.1\r\nHost: b.example\r\n\r\n');
    expect(lastStatus(wire.to('client'))).toBe(421);
    expect(wire.ending).toBe('close CLIENT_HOST_MISMATCH');
  });

  test('is not asked for where HTTP/1.0 names none', () => {
    const { wire, client } = record({ hostAllowed: () => false });
    client('GET / HTTP/1.0\r\n\r\n');
    expect(wire.to('origin')).toBe('GET / HTTP/1.0\r\n\r\n');
  });
});

describe('a host that policy refuses', () => {
  test('is refused on a connection that was made for another', () => {
    const hostRefusal = (host: string) => (host === 'b.example' ? 'not for work' : undefined);
    const { wire, client, inspector } = record({ hostRefusal, hostAllowed: () => true });
    client('GET / HTTP/1.1\r\nHost: B.Example.\r\n\r\n');
    expect(lastStatus(wire.to('client'))).toBe(403);
    expect(wire.to('origin')).toBe('');
    expect(wire.ending).toBe('close POLICY_REFUSED');
    expect(inspector.exchanges[0]?.outcome?.failure).toBe('POLICY_REFUSED');
  });
});

describe('an upgrade', () => {
  test('is refused where policy says so', () => {
    const { wire, client } = record({ upgrades: 'refuse' });
    client(websocket);
    expect(lastStatus(wire.to('client'))).toBe(403);
    expect(wire.ending).toBe('close POLICY_UPGRADE_REFUSED');
    expect(wire.to('origin')).toBe('');
  });

  test('to HTTP/2 in the clear is taken out even then', () => {
    const { wire, client, inspector } = record({ upgrades: 'refuse' });
    client(
      'GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c, websocket\r\nHTTP2-Settings: AAM\r\n\r\n',
    );
    expect(wire.to('origin')).toBe('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
    expect(inspector.exchanges[0]?.events).toContain('changed: request offer of HTTP/2 removed: upgrade');
  });

  test('holds what the client sends behind it until the origin decides', () => {
    const { wire, client, origin, relay, inspector } = record();
    client(`${websocket}early`);
    expect(wire.to('origin')).toBe(websocket);
    expect(wire.pauses).toEqual([true]);
    client(' bird');
    relay.end('client', true);
    origin(switching);
    expect(wire.to('origin')).toBe(`${websocket}early bird`);
    expect(wire.to('client')).toBe(switching);
    expect(wire.ending).toBe('upgrade websocket');
    expect(wire.ended).toEqual(['origin']);
    expect(wire.pauses).toEqual([true, false]);
    expect(inspector.exchanges[0]?.outcome).toMatchObject({ complete: true, responseWireBytes: switching.length });
  });

  test.each([
    ['was not asked for', 'GET / HTTP/1.1\r\nHost: a.example\r\n\r\n', switching],
    ['names another protocol', websocket, switching.replace('websocket', 'spdy')],
    ['names no protocol', websocket, 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
    ['answers an offer of HTTP/2', websocket.replace('websocket', 'h2c'), switching.replace('websocket', 'h2c')],
    [
      'comes before the request is complete',
      websocket.replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\nhell'),
      switching,
    ],
    ['answers HTTP/1.0', websocket.replace('HTTP/1.1', 'HTTP/1.0'), switching],
  ])('that %s is refused', (_, request, response) => {
    const { wire, client, origin } = record();
    client(request);
    origin(response);
    expect(wire.ending).toBe('close ORIGIN_HTTP_AMBIGUOUS');
    expect(lastStatus(wire.to('client'))).toBe(502);
  });
});

describe('a response', () => {
  test.each([
    ['not of HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', 'MALFORMED'],
    ['with a folded line', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n', 'AMBIGUOUS'],
    ['with bare LF', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n', 'AMBIGUOUS'],
    ['with two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!', 'AMBIGUOUS'],
    [
      'with length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'AMBIGUOUS',
    ],
    ['with another coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n', 'AMBIGUOUS'],
    ['of HTTP/1.0 with chunks', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 'AMBIGUOUS'],
    ['204 with a length', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello', 'AMBIGUOUS'],
    ['100 with chunks', 'HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n', 'AMBIGUOUS'],
    ['with a bad chunk size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n', 'MALFORMED'],
    ['with a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n', 'MALFORMED'],
    ['of HTTP/2', 'HTTP/2 200\r\n\r\n', 'MALFORMED'],
    ['with a head beyond the limit', `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(70_000)}\r\n\r\n`, 'HEAD_TOO_LARGE'],
    [
      'that nominates its length',
      'HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 5\r\n\r\nhello',
      'AMBIGUOUS',
    ],
  ])('%s is refused with 502', (_, response, fault) => {
    const { wire, client, origin, inspector } = record();
    client('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
    origin(response);
    expect(lastStatus(wire.to('client'))).toBe(502);
    expect(wire.ending).toBe(`close ORIGIN_HTTP_${fault}`);
    expect(inspector.exchanges[0]?.outcome?.failure).toBe(`ORIGIN_HTTP_${fault}`);
  });

  test('in chunks to a client of HTTP/1.0 is refused', () => {
    const { wire, client, origin } = record();
    client('GET / HTTP/1.0\r\nHost: a.example\r\n\r\n');
    origin('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n');
    expect(wire.ending).toBe('close ORIGIN_HTTP_AMBIGUOUS');
  });

  test('whose chunks turn bad is broken off', () => {
    const { wire, client, origin } = record();
    client('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
    origin('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
    origin('5 \r\nhello\r\n');
    expect(wire.to('client').endsWith('5\r\nhello\r\n')).toBe(true);
    expect(wire.ending).toBe('abort ORIGIN_HTTP_AMBIGUOUS');
  });

  test('before any request ends the flow', () => {
    const { wire, origin } = record();
    origin(ok);
    expect(wire.to('client')).toBe('');
    expect(wire.ending).toBe('close ORIGIN_HTTP_UNSOLICITED');
  });

  test('to a request that is not complete yet may be followed by no other', () => {
    const { wire, client, origin, inspector } = record();
    client('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhe');
    origin(ok);
    origin(ok);
    expect(wire.to('client')).toBe(ok);
    expect(wire.ending).toBe('close ORIGIN_HTTP_UNSOLICITED');
    expect(inspector.exchanges[0]?.outcome?.failure).toBe('ORIGIN_HTTP_UNSOLICITED');
  });
});
