import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { get, inspectedRelay, postOf, responseOf } from './inspected-relay.ts';

const held = (hold: string, when: string): string =>
  `- { id: r, title: t, severity: high, action: block, hold: ${hold}, when: ${when} }\n`;
const moonbeam = '{ field: http.response.body, contains: Moonbeam }';
const filler = 'All is well here. '.repeat(2_000);
const bad = Buffer.from(`${filler}Moonbeam${filler}`);
const good = Buffer.from(filler);
const chunked = (body: Buffer): Buffer => {
  const chunks: Buffer[] = [];
  for (let at = 0; at < body.length; at += 1_000) {
    const part = body.subarray(at, at + 1_000);
    chunks.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'));
  }
  return Buffer.concat([
    Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'),
    ...chunks,
    Buffer.from('0\r\n\r\n'),
  ]);
};

describe('a response that is held as a whole', () => {
  test.each([100, 777, 65_536])(
    'is answered with the page, although the rule was decided late (pieces of %i)',
    (pieceBytes) => {
      for (const response of [
        responseOf('', bad),
        chunked(bad),
        responseOf('Content-Encoding: gzip\r\n', gzipSync(bad)),
      ]) {
        const relay = inspectedRelay(held('body', moonbeam));
        relay.send('client', get);
        relay.send('origin', response, pieceBytes);
        expect(relay.wire.to('client')).toMatch(/^HTTP\/1\.1 403 Forbidden/);
        expect(relay.wire.to('client')).not.toContain('All is well');
        expect(relay.transactions[0]).toMatchObject({ verdict: 'block', notHeld: [] });
      }
    },
  );

  test.each([1, 100, 65_536])('passes byte for byte once the rule is false (pieces of %i)', (pieceBytes) => {
    const short = good.subarray(0, 3_000);
    for (const response of [responseOf('', short), chunked(short)]) {
      const relay = inspectedRelay(held('body', moonbeam));
      relay.send('client', get + get);
      relay.send('origin', response.subarray(0, -1), pieceBytes);
      expect(relay.wire.to('client')).toBe('');
      relay.send('origin', Buffer.concat([response.subarray(-1), response, response.subarray(0, 10)]), pieceBytes);
      expect(relay.wire.bytesTo('client')).toEqual(Buffer.concat([response, response]));
      expect(relay.transactions).toHaveLength(2);
    }
  });

  test('that only the end of the connection ends is held until then', () => {
    const relay = inspectedRelay(held('body', '{ not: { field: http.response.body, contains: Moonbeam } }'));
    relay.send('client', get);
    relay.send('origin', `HTTP/1.1 200 OK\r\n\r\n${filler}`);
    relay.end('origin');
    expect(relay.wire.to('client')).toMatch(/^HTTP\/1\.1 403 Forbidden/);
    const other = inspectedRelay(held('body', moonbeam));
    other.send('client', get);
    other.send('origin', `HTTP/1.1 200 OK\r\n\r\n${filler}`);
    expect(other.wire.to('client')).toBe('');
    other.end('origin');
    expect(other.wire.to('client')).toBe(`HTTP/1.1 200 OK\r\n\r\n${filler}`);
  });

  test('is known by its hash before a byte of it is forwarded', () => {
    const sha256 = createHash('sha256').update(bad).digest('hex');
    const relay = inspectedRelay(held('body', `{ field: http.response.file.sha256, equals: "${sha256}" }`));
    relay.send('client', get);
    relay.send('origin', chunked(bad), 5_000);
    expect(relay.wire.to('client')).toMatch(/^HTTP\/1\.1 403 Forbidden/);
  });

  test('streams where the rule cannot become true any more', () => {
    const relay = inspectedRelay(held('body', `{ all: [{ field: http.host, hosts: [other.example] }, ${moonbeam}] }`));
    relay.send('client', get);
    const response = responseOf('', good);
    relay.send('origin', response.subarray(0, 1_000));
    expect(relay.wire.bytesTo('client')).toEqual(response.subarray(0, 1_000));
  });

  test('goes on unheld beyond the limit, is still judged, and its record says so', () => {
    const relay = inspectedRelay(held('body', moonbeam), {}, { hold: { startBytes: 10, bodyBytes: 10_000 } });
    const response = responseOf('', bad);
    relay.send('client', get);
    relay.send('origin', response.subarray(0, 9_000), 1_000);
    expect(relay.wire.to('client')).toBe('');
    relay.send('origin', response.subarray(9_000), 1_000);
    expect(relay.wire.to('client')).toContain('All is well');
    expect(relay.wire.to('client')).not.toContain('Moonbeam');
    expect(relay.wire.ending).toBe('abort POLICY_RULE_BLOCK');
    expect(relay.transactions[0]?.notHeld).toEqual(['response: more than 10000 bytes']);
  });

  test('that breaks off reaches nobody', () => {
    const relay = inspectedRelay(held('body', moonbeam));
    relay.send('client', get);
    relay.send('origin', responseOf('', good).subarray(0, 5_000));
    relay.end('origin');
    expect(relay.wire.to('client')).toBe('');
    expect(relay.wire.ending).toBe('abort ORIGIN_TRUNCATED');
  });
});

describe('the start of a response that is held', () => {
  const program = `{ all: [${moonbeam}, { field: http.response.body, startsWithHex: 4d5a }] }`;

  test('goes on when the rule is false, without waiting for more', () => {
    const relay = inspectedRelay(held('start', program));
    const response = responseOf('', good);
    relay.send('client', get);
    relay.send('origin', response.subarray(0, 45), 1);
    expect(relay.wire.bytesTo('client')).toEqual(response.subarray(0, 45));
  });

  test('waits for its limit and no longer', () => {
    const relay = inspectedRelay(held('start', moonbeam), {}, { hold: { startBytes: 5_000, bodyBytes: 1 } });
    const response = responseOf('', good);
    relay.send('client', get);
    relay.send('origin', response.subarray(0, 4_900), 100);
    expect(relay.wire.to('client')).toBe('');
    relay.send('origin', response.subarray(4_900, 5_200), 100);
    expect(relay.wire.bytesTo('client')).toEqual(response.subarray(0, 5_200));
    expect(relay.transactions).toHaveLength(0);
  });
});

describe('a request that is held', () => {
  const rule = held('body', '{ field: http.request.body, contains: Moonbeam }');

  test('reaches the origin as a whole or not at all', () => {
    for (const [body, expected] of [
      [bad, 0],
      [good, 1],
    ] as const) {
      const relay = inspectedRelay(rule);
      const request = postOf('', body);
      relay.send('client', request.subarray(0, -1), 500);
      expect(relay.wire.to('origin')).toBe('');
      relay.send('client', request.subarray(-1));
      expect(relay.wire.bytesTo('origin').length).toBe(expected * request.length);
    }
  });

  test('is asked for where the client waits to be asked', () => {
    const relay = inspectedRelay(rule);
    const request = postOf('Expect: 100-continue\r\n', bad);
    const bodyAt = request.length - bad.length;
    relay.send('client', request.subarray(0, bodyAt));
    expect(relay.wire.bytesTo('origin')).toEqual(request.subarray(0, bodyAt));
    relay.send('client', request.subarray(bodyAt), 1_000);
    expect(relay.wire.bytesTo('origin')).toEqual(request.subarray(0, bodyAt));
    expect(relay.wire.to('client')).toContain('403 Forbidden');
  });
});

test('one client address does not get all the memory, whatever its connections wait for', () => {
  const policy = { hold: { startBytes: 1, bodyBytes: 1_000_000_000 } };
  const relays = [1, 2, 3].map(() => inspectedRelay(held('body', moonbeam), {}, policy, 512, '198.51.100.7'));
  const other = inspectedRelay(held('body', moonbeam), {}, policy);
  const megabyte = Buffer.alloc(1_048_576, 'x');
  for (const relay of [...relays, other]) {
    relay.send('client', get);
    relay.send('origin', 'HTTP/1.1 200 OK\r\nContent-Length: 41943040\r\n\r\n');
  }
  for (let sent = 0; sent < 39; sent++) for (const relay of relays) relay.send('origin', megabyte, megabyte.length);
  const codes = relays.map(({ transactions }) => transactions[0]?.outcome.failure);
  expect(codes.filter((code) => code === 'CLIENT_HOARDING')).toHaveLength(1);
  const [refused] = relays.filter(({ transactions }) => transactions.length > 0);
  expect(refused?.wire.to('client').slice(0, 100)).toContain('429 Too Many Requests');
  for (let sent = 0; sent < 40; sent++) other.send('origin', megabyte, megabyte.length);
  expect(other.transactions[0]?.outcome.failure).toBeUndefined();
  expect(other.wire.to('client').slice(0, 100)).toContain('200 OK');
  // What is given back is there again.
  for (const relay of relays) relay.cut();
  const again = inspectedRelay(held('body', moonbeam), {}, policy, 512, '198.51.100.7');
  again.send('client', get);
  again.send('origin', responseOf('', good));
  expect(again.wire.to('client').slice(0, 100)).toContain('200 OK');
});

test('no room for what has to wait is no reason to let it pass', () => {
  const policy = { hold: { startBytes: 1, bodyBytes: 1_000_000_000 } };
  const relays = [
    inspectedRelay(held('body', moonbeam), {}, policy),
    inspectedRelay(held('body', moonbeam), {}, policy),
  ];
  const megabyte = Buffer.alloc(1_048_576, 'x');
  for (const relay of relays) {
    relay.send('client', get);
    relay.send('origin', 'HTTP/1.1 200 OK\r\nContent-Length: 500000000\r\n\r\n');
  }
  for (let sent = 0; sent < 70; sent++) for (const relay of relays) relay.send('origin', megabyte, megabyte.length);
  const refused = relays.filter(({ transactions }) => transactions[0]?.outcome.failure === 'GATEWAY_OVERLOADED');
  expect(refused).toHaveLength(1);
  for (const relay of relays) relay.end('origin');
  const after = inspectedRelay(held('body', moonbeam));
  after.send('client', get);
  after.send('origin', responseOf('', good));
  expect(after.wire.to('client')).toContain('200 OK');
});
