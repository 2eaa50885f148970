import { randomBytes } from 'node:crypto';
import {
  brotliCompressSync,
  brotliDecompressSync,
  deflateRawSync,
  deflateSync,
  gunzipSync,
  gzipSync,
  inflateRawSync,
  inflateSync,
  zstdCompressSync,
  zstdDecompressSync,
} from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { limits } from '../../src/core/limits.ts';
import { waitUntil } from '../support/gateway.ts';
import { policyDocument } from '../support/policy.ts';
import { get, type InspectedRelay, inspectedRelay, postOf, responseOf } from './inspected-relay.ts';

const rule = (field: string): string =>
  `- { id: r, title: t, severity: low, action: redact, when: { field: ${field}, detector: card_number } }\n`;

/** A statement with many numbers, as they make it worth masking. */
const statement = Array.from(
  { length: 12 },
  (_, n) => `<tr><td>${(n * 7_919) % 1_009}</td><td>${cardNumber(n)}</td></tr>\n`,
).join('');
const masked = statement.replace(/\d{16}/g, '*'.repeat(16));
const count = 12;

/** With its check digit (Luhn). */
function cardNumber(n: number): string {
  const digits = `4${String(10_000_019 * (n + 3)).padStart(14, '5')}`.slice(0, 15);
  let sum = 0;
  for (const [at, digit] of [...digits].entries()) {
    const doubled = Number(digit) * (at % 2 === 0 ? 2 : 1);
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return digits + ((10 - (sum % 10)) % 10);
}

/** Waits for the end of the exchange, which a body that is coded anew delays. */
const over = (relay: InspectedRelay): Promise<void> =>
  waitUntil(
    () => relay.transactions.length > 0,
    () => 'the exchange does not end',
  );

type Code = (bytes: Buffer | string) => Buffer;
const coders: readonly (readonly [label: string, code: Code, decode: (bytes: Buffer) => Buffer])[] = [
  ['gzip', (bytes) => gzipSync(bytes), (bytes) => gunzipSync(bytes)],
  ['deflate', (bytes) => deflateSync(bytes), (bytes) => inflateSync(bytes)],
  ['deflate', (bytes) => deflateRawSync(bytes), (bytes) => inflateRawSync(bytes)],
  ['br', (bytes) => brotliCompressSync(bytes, { params: { 1: 5 } }), (bytes) => brotliDecompressSync(bytes)],
  ['zstd', (bytes) => zstdCompressSync(bytes), (bytes) => zstdDecompressSync(bytes)],
  ['deflate, gzip', (bytes) => gzipSync(deflateSync(bytes, { level: 1 })), (bytes) => inflateSync(gunzipSync(bytes))],
];

describe.each(coders)('a body in %s', (label, code, decode) => {
  const fields = `Content-Encoding: ${label}\r\nX: y\r\n`;

  test.each([1, 13, 65_536])('is masked, with its coding and its length, in pieces of %i', async (pieceBytes) => {
    const coded = code(statement);
    const incoming = inspectedRelay(rule('http.response.body'));
    incoming.send('client', get);
    incoming.send('origin', responseOf(fields, coded), pieceBytes);
    await over(incoming);
    const response = incoming.wire.bytesTo('client');
    expect(response.length).toBe(responseOf(fields, coded).length);
    const head = responseOf(fields, coded).subarray(0, -coded.length);
    expect(response.subarray(0, head.length)).toEqual(head);
    expect(decode(response.subarray(head.length)).toString()).toBe(masked);
    expect(incoming.transactions[0]).toMatchObject({
      verdict: 'allow',
      alarms: 1,
      changes: [`response body masked: ${count} (rule r)`],
      outcome: { complete: true },
    });
    expect(incoming.transactions[0]?.responseExcerpt?.toString()).toBe(masked.slice(0, 512));

    const outgoing = inspectedRelay(rule('http.request.body'));
    outgoing.send('client', postOf(fields, coded), pieceBytes);
    await waitUntil(
      () => outgoing.wire.to('origin') !== '',
      () => 'no request',
    );
    const request = outgoing.wire.bytesTo('origin');
    expect(request.length).toBe(postOf(fields, coded).length);
    expect(decode(request.subarray(-coded.length)).toString()).toBe(masked);
  });

  test('passes byte for byte where there is nothing to mask', () => {
    const relay = inspectedRelay(rule('http.response.body'));
    const response = responseOf(fields, code(masked));
    relay.send('client', get);
    relay.send('origin', response, 17);
    expect(relay.wire.bytesTo('client')).toEqual(response);
    expect(relay.transactions[0]).toMatchObject({ changes: [], notHeld: [] });
  });
});

test('the chunks of a coded body keep their framing', async () => {
  const coded = gzipSync(statement);
  const chunked = (body: Buffer): Buffer => {
    const parts: Buffer[] = [
      Buffer.from('HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n'),
    ];
    for (let at = 0; at < body.length; at += 29) {
      const part = body.subarray(at, at + 29);
      parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'));
    }
    return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
  };
  for (const pieceBytes of [1, 7, 65_536]) {
    const relay = inspectedRelay(rule('http.response.body'));
    relay.send('client', get);
    relay.send('origin', chunked(coded), pieceBytes);
    await over(relay);
    const sent = relay.wire.bytesTo('client');
    expect(sent.length).toBe(chunked(coded).length);
    const body: Buffer[] = [];
    for (let at = sent.indexOf('\r\n\r\n') + 4; ; ) {
      const lineEnd = sent.indexOf('\r\n', at);
      const size = Number.parseInt(sent.toString('latin1', at, lineEnd), 16);
      if (size === 0) break;
      body.push(sent.subarray(lineEnd + 2, lineEnd + 2 + size));
      at = lineEnd + 4 + size;
    }
    expect(gunzipSync(Buffer.concat(body)).toString()).toBe(masked);
  }
});

test('trailers behind a coded body lose what policy removes, and pipelined responses wait their turn', async () => {
  const none = { remove: [], set: [] };
  const headers = { request: none, response: { remove: ['x-secret'], set: [] } };
  const relay = inspectedRelay(rule('http.response.body'), {}, { headers });
  const coded = gzipSync(statement);
  relay.send('client', get);
  relay.send('client', get);
  relay.send(
    'origin',
    Buffer.concat([
      Buffer.from('HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n'),
      Buffer.from(`${coded.length.toString(16)}\r\n`),
      coded,
      Buffer.from('\r\n0\r\nX-Secret: s\r\nX-Kept: k\r\n\r\n'),
      responseOf('', Buffer.from('the second')),
    ]),
    1_000,
  );
  expect(relay.wire.to('client')).toBe('');
  await waitUntil(
    () => relay.transactions.length === 2,
    () => 'no second response',
  );
  const sent = relay.wire.bytesTo('client');
  const body = sent.subarray(sent.indexOf('\r\n', sent.indexOf('\r\n\r\n') + 4) + 2).subarray(0, coded.length);
  expect(gunzipSync(body).toString()).toBe(masked);
  expect(sent.toString('latin1')).toContain('\r\n0\r\nX-Kept: k\r\n\r\nHTTP/1.1 200 OK');
  expect(sent.toString('latin1')).toMatch(/the second$/);
});

test('a client that leaves while a body is coded anew ends the exchange, once', async () => {
  const relay = inspectedRelay(rule('http.response.body'));
  relay.send('client', get);
  relay.send('origin', responseOf('Content-Encoding: gzip\r\n', gzipSync(statement)));
  relay.cut();
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(relay.transactions).toHaveLength(1);
  expect(relay.transactions[0]?.outcome).toMatchObject({ failure: 'CLIENT_GONE', complete: false });
  expect(relay.wire.to('client')).toBe('');
});

describe('a match blocks', () => {
  /** What the client gets of a response, which begins with a page unless a part of it was there before. */
  async function answered(fields: string, body: Buffer, pieceBytes?: number) {
    const relay = inspectedRelay(rule('http.response.body'));
    relay.send('client', get);
    relay.send('origin', responseOf(fields, body), pieceBytes);
    await over(relay);
    expect(relay.transactions[0]).toMatchObject({ verdict: 'block', rule: { id: 'r' }, changes: [] });
    return relay.wire.to('client');
  }

  test.each<[string, string, Buffer]>([
    [
      'in another encoding',
      'Content-Type: text/plain; charset=utf-16le\r\n',
      gzipSync(Buffer.from(statement, 'utf16le')),
    ],
    ['with a byte order mark', '', gzipSync(`\ufeff${statement}`)],
    ['with bytes behind its end', '', Buffer.concat([gzipSync(statement), Buffer.from('more')])],
    ['that is cut', '', gzipSync(statement).subarray(0, -9)],
    ['of events, which waits for no end', 'Content-Type: text/event-stream\r\n', gzipSync(statement)],
    ['in many small pieces', '', gzipSync(Buffer.from(statement + noise(9_000)))],
  ])('in a coded body %s', async (_, fields, body) => {
    const pieceBytes = body.length > limits.recodedPieces ? 1 : 65_536;
    expect(await answered(`${fields}Content-Encoding: gzip\r\n`, body, pieceBytes)).not.toContain('behind');
  });

  test('in one that is too long, of which a part has gone on by then', async () => {
    const body = gzipSync(Buffer.from(`${noise(limits.recodedBytes + 200_000)}${statement}`));
    const sent = await answered('Content-Encoding: gzip\r\n', body, 16_384);
    expect(sent).toMatch(/^HTTP\/1\.1 200/);
    expect(sent.length).toBeLessThan(body.length);
  });

  test('with the page alone, where what is missing cannot be filled', async () => {
    const body = deflateSync('card 4111111111111111');
    const sent = await answered('Content-Encoding: deflate\r\n', body);
    expect(sent).toMatch(/^HTTP\/1\.1 403/);
    expect(sent).not.toContain(body.toString('latin1'));
  });
});

/** Letters that hardly compress (xorshift). */
function noise(bytes: number): string {
  let seed = 2_463_534_242;
  return Array.from({ length: bytes }, () => {
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    return String.fromCharCode(0x41 + ((seed >>> 3) % 50));
  }).join('');
}

test('what was found in a coded body does not go on unmasked when the body is too long to wait', async () => {
  const coded = gzipSync(statement + randomBytes(6_000).toString('base64'), { level: 1 });
  const hold = { ...policyDocument().http.hold, bodyBytes: 3_000 };
  const incoming = inspectedRelay(rule('http.response.body'), {}, { hold });
  incoming.send('client', get);
  incoming.send('origin', responseOf('Content-Encoding: gzip\r\n', coded), 1_000);
  await over(incoming);
  expect(incoming.transactions[0]).toMatchObject({ verdict: 'block' });
  expect(incoming.wire.bytesTo('client').includes(coded.subarray(0, 200))).toBe(false);
});
