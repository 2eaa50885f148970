import { describe, expect, test } from 'vitest';
import { record } from './recording.ts';

const get = (path = '/a', version = '1.1') => `GET ${path} HTTP/${version}\r\nHost: a.example\r\n\r\n`;
const ok = (fields = '') => `HTTP/1.1 200 OK\r\n${fields}Content-Length: 5\r\n\r\nhello`;

describe('a relay that is to end', () => {
  test.each([
    ['without a word on it', '', 'Connection: close\r\n'],
    ['that would stay', 'Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n', 'Connection: close\r\n'],
    [
      'with options',
      'connection: Keep-Alive, X-Hop\r\nConnection: x-other\r\n',
      'Connection: X-Hop, x-other, close\r\n',
    ],
  ])('says so in its last response (%s)', (_what, fields, told) => {
    const { wire, client, origin, relay } = record();
    client(get());
    relay.drain?.();
    origin(ok(`Date: now\r\n${fields}`));
    expect(wire.to('client')).toBe(`HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 5\r\n${told}\r\nhello`);
    expect(wire.ending).toBe('close');
  });

  test('lets the response that has begun pass as it is, and answers the next request for the last time', () => {
    const { wire, client, origin, relay } = record();
    client(get());
    origin(ok().slice(0, -3));
    relay.drain?.();
    origin(ok().slice(-3));
    expect([wire.to('client'), wire.ending, relay.idle?.(), relay.tellsEnd]).toEqual([ok(), undefined, true, true]);
    client(get('/b'));
    expect(relay.idle?.()).toBe(false);
    origin(ok());
    expect(wire.to('client')).toBe(`${ok()}HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello`);
    expect(wire.ending).toBe('close');
  });

  test('answers all that was asked: the last of several says so', () => {
    const { wire, client, origin, relay, inspector } = record();
    client(get('/a') + get('/b') + get('/c'));
    relay.drain?.();
    for (const _ of ['a', 'b', 'c']) origin(ok());
    expect(wire.to('client').split('Connection: close')).toHaveLength(2);
    expect(wire.to('client')).toMatch(/^(?:HTTP\/1\.1 200 OK\r\nContent-Length: 5\r\n\r\nhello){2}HTTP/);
    expect(inspector.exchanges.map(({ outcome }) => outcome?.complete)).toEqual([true, true, true]);
    expect(wire.ending).toBe('close');
  });

  test('takes no request in behind its farewell: the client may ask another gateway', () => {
    const { wire, client, origin, relay, inspector } = record();
    client(get('/a'));
    relay.drain?.();
    origin(ok().slice(0, -3));
    client(get('/b'));
    expect(wire.to('origin')).toBe(get('/a'));
    origin(ok().slice(-3));
    expect(wire.ending).toBe('close');
    expect(wire.to('origin')).toBe(get('/a'));
    expect(inspector.exchanges.map(({ outcome }) => outcome?.failure)).toEqual([undefined]);
  });

  test('still refuses what it is to refuse behind an answer', () => {
    const { wire, client, origin, relay } = record();
    client(`${get('/a')}GET /b HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n`);
    relay.drain?.();
    origin(ok());
    expect(wire.to('client').slice(0, ok().length)).toBe(ok());
    expect(wire.to('client')).toContain('HTTP/1.1 400 ');
    expect(wire.ending).toBe('close CLIENT_HTTP_AMBIGUOUS');
  });

  test('says nothing in a response that comes before its request is complete', () => {
    const { wire, client, origin, relay } = record();
    client('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\nhalf');
    relay.drain?.();
    origin(ok());
    expect([wire.to('client'), wire.ending]).toEqual([ok(), undefined]);
    client('other!');
    expect([relay.idle?.(), wire.ending]).toEqual([true, undefined]);
  });

  test('leaves interim responses and switches of protocol as they are', () => {
    const { wire, client, origin, relay } = record();
    client('GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
    relay.drain?.();
    origin('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n');
    origin('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
    expect(wire.to('client')).not.toContain('close');
    expect(wire.to('client')).toContain('101 Switching');
  });

  test('says so beside what a rule changes in the head', () => {
    const changes = { remove: ['server'], set: [['Connection', 'x'] as const, ['X-Seen', 'yes'] as const] };
    const { wire, client, origin, relay } = record({}, (step) =>
      step === 'responseHead' ? { kind: 'allow', changes } : undefined,
    );
    client(get());
    relay.drain?.();
    origin(ok('Server: s\r\n'));
    expect(wire.to('client')).toBe(
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Seen: yes\r\nConnection: close\r\n\r\nhello',
    );
  });
});
