import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IcapAnswerReader } from '../../src/codec/icap-answer.ts';
import { parseIcapAnswerHead } from '../../src/codec/icap-answer-head.ts';
import {
  icapChunks,
  icapHead,
  lastChunkOfAll,
  scannedRequestHead,
  scannedResponseHead,
} from '../../src/codec/icap-request.ts';
import { icapOptionsOf, SameBody, threatOf } from '../../src/codec/icap-verdict.ts';
import type { RequestHead, ResponseHead } from '../../src/core/http.ts';
import { limits } from '../../src/core/limits.ts';

const httpHead = 'HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\n\r\n';
const blocked =
  `ICAP/1.0 200 OK\r\nISTag: "CI0001"\r\nX-Infection-Found: Type=0; Resolution=2; Threat=Test.Eicar;\r\n` +
  `X-Violations-Found: 1\r\n\t-\r\n\tTest.Eicar\r\nEncapsulated: res-hdr=0, res-body=${httpHead.length}\r\n\r\n` +
  `${httpHead}5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n`;

function read(text: string, pieceBytes: number) {
  const body: Buffer[] = [];
  const reader = new IcapAnswerReader((chunk) => body.push(Buffer.from(chunk)));
  const bytes = Buffer.from(text, 'latin1');
  let taken = 0;
  for (let at = 0; at < bytes.length; at += pieceBytes) taken += reader.push(bytes.subarray(at, at + pieceBytes));
  return { reader, taken, body: Buffer.concat(body).toString() };
}

describe('an answer', () => {
  test.each([1, 2, 3, 7, 100, 10_000])('is read over any cut of its bytes (pieces of %i)', (pieceBytes) => {
    const { reader, body, taken } = read(blocked, pieceBytes);
    expect(reader.fault).toBeUndefined();
    expect(reader.isComplete).toBe(true);
    expect(taken).toBe(blocked.length);
    expect(body).toBe('hello world');
    expect(reader.startLine).toBe('HTTP/1.1 403 Forbidden');
    expect(reader.head).toMatchObject({ status: 200, httpHead: 'res-hdr', isPersistent: true });
    expect(reader.head && threatOf(reader.head)).toBe('Test.Eicar');
  });

  test('is read when it is cut at every byte into two', () => {
    const bytes = Buffer.from(blocked, 'latin1');
    for (let cut = 0; cut <= bytes.length; cut++) {
      const reader = new IcapAnswerReader(() => {});
      reader.push(bytes.subarray(0, cut));
      expect(reader.isComplete).toBe(cut === bytes.length);
      reader.push(bytes.subarray(cut));
      expect(reader.isComplete).toBe(true);
    }
  });

  test('that was tampered with is read the same over any cut of its bytes, or faulted', () => {
    const edit = fc.record({ at: fc.nat(blocked.length), text: fc.string({ unit: 'binary-ascii', maxLength: 12 }) });
    const cut = fc.integer({ min: 1, max: 64 });
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 3 }), cut, (edits, pieceBytes) => {
        let text = blocked;
        for (const { at, text: inserted } of edits) text = text.slice(0, at) + inserted + text.slice(at);
        const [whole, pieces] = [read(text, text.length), read(text, pieceBytes)];
        expect(pieces.reader.isComplete).toBe(whole.reader.isComplete);
        expect(pieces.reader.fault === undefined).toBe(whole.reader.fault === undefined);
        expect(pieces.reader.head).toEqual(whole.reader.head);
        if (whole.reader.isComplete) expect([pieces.body, pieces.taken]).toEqual([whole.body, whole.taken]);
        if (whole.reader.head !== undefined) threatOf(whole.reader.head);
      }),
    );
  });

  test.each([
    ['ICAP/1.0 204 Unmodified\r\nConnection: close\r\n\r\n', 204, false],
    ['ICAP/1.0 204 No modifications\r\nEncapsulated: null-body=0\r\n\r\n', 204, true],
    ['ICAP/1.0 100 Continue\r\n\r\n', 100, true],
    ['ICAP/1.0 500\r\n\r\n', 500, true],
  ])('without a message is complete with its head: %j', (text, status, isPersistent) => {
    const { reader, taken } = read(`${text}more`, 10_000);
    expect(taken).toBe(text.length);
    expect(reader).toMatchObject({ isComplete: true, head: { status, isPersistent } });
  });

  test.each([
    'HTTP/1.1 204 No Content\r\n\r\n',
    'ICAP/1.1 204 x\r\n\r\n',
    'ICAP/1.0 2040 x\r\n\r\n',
    'ICAP/1.0  204 x\r\n\r\n',
    'ICAP/1.0 204 x\n\n',
    'ICAP/1.0 204 x\r\nname : value\r\n\r\n',
    'ICAP/1.0 204 x\r\nno field\r\n\r\n',
    'ICAP/1.0 204 x\r\n folded first\r\n\r\n',
    'ICAP/1.0 204 x\r\na: b\0c\r\n\r\n',
    'ICAP/1.0 101 x\r\n\r\n',
    'ICAP/1.0 100 x\r\nEncapsulated: res-hdr=0, null-body=5\r\n\r\nhello',
    'ICAP/1.0 200 x\r\nEncapsulated: null-body=0\r\nEncapsulated: null-body=0\r\n\r\n',
    ...[
      'res-body=0',
      'null-body=4',
      'res-hdr=0',
      'res-hdr=1, res-body=9',
      'res-hdr=0, res-body=0',
      'res-hdr=0, req-body=9',
      'req-hdr=0, res-hdr=5, res-body=9',
      'res-hdr=0, res-body=-9',
      'res-hdr=0, res-body=09',
      'res-hdr=0, res-body=9, null-body=9',
      'res-hdr=0, res-body=99999999',
      `res-hdr=0, null-body=${limits.scannerHeadBytes + 1}`,
    ].map((list) => `ICAP/1.0 200 x\r\nEncapsulated: ${list}\r\n\r\n`),
    `ICAP/1.0 200 x\r\nEncapsulated: res-hdr=0, res-body=4\r\n\r\n\r\n\r\nx\r\n`,
    `ICAP/1.0 200 x\r\nEncapsulated: res-hdr=0, res-body=4\r\n\r\n\r\n\r\n1\r\nab\r\n`,
    `ICAP/1.0 200 x\r\nEncapsulated: res-hdr=0, res-body=4\r\n\r\n\r\n\r\n-1\r\n`,
    `ICAP/1.0 204 x\r\na: ${'x'.repeat(limits.scannerHeadBytes)}\r\n\r\n`,
  ])('that can be read in two ways or is endless is refused: %j', (text) => {
    for (const pieceBytes of [1, 1_000_000]) {
      const { reader } = read(text, pieceBytes);
      expect(reader.fault).toBeTypeOf('string');
      expect(reader.isComplete).toBe(false);
    }
  });
});

const service = { url: 'icap://127.0.0.1:1344/avscan', authority: '127.0.0.1:1344' };
const request: RequestHead = {
  method: 'POST',
  target: '/up?x=1',
  version: '1.1',
  host: 'shop.example',
  headers: [
    ['Host', 'shop.example'],
    ['Cookie', 'secret'],
    ['Transfer-Encoding', 'chunked'],
    ['Content-Type', 'text/plain'],
  ],
  framing: { kind: 'chunked' },
};
const response: ResponseHead = {
  status: 200,
  reason: 'OK',
  version: '1.1',
  headers: [['Set-Cookie', 'a']],
  framing: { kind: 'chunked' },
};

describe('a request', () => {
  const requestHead = scannedRequestHead(request, 'https');
  const responseHead = scannedResponseHead(response);

  test('shows the heads without secrets and fields of the connection', () => {
    expect(requestHead.toString()).toBe(
      'POST https://shop.example/up?x=1 HTTP/1.1\r\nHost: shop.example\r\nContent-Type: text/plain\r\n\r\n',
    );
    expect(responseHead.toString()).toBe('HTTP/1.1 200 OK\r\n\r\n');
  });

  test('says where its parts begin (RFC 3507 section 4.4.1)', () => {
    const upload = { method: 'REQMOD', requestHead, responseHead: undefined, body: [], bodyBytes: 0 } as const;
    expect(icapHead(service, upload, 10).toString()).toBe(
      `REQMOD ${service.url} ICAP/1.0\r\nHost: 127.0.0.1:1344\r\nAllow: 204\r\nPreview: 10\r\n` +
        `Encapsulated: req-hdr=0, req-body=${requestHead.length}\r\n\r\n${requestHead}`,
    );
    const download = { ...upload, method: 'RESPMOD', responseHead } as const;
    expect(icapHead(service, download, undefined).toString()).toContain(
      `Encapsulated: req-hdr=0, res-hdr=${requestHead.length}, res-body=${requestHead.length + responseHead.length}\r\n`,
    );
  });

  test('cuts a body for a preview at every byte', () => {
    const pieces = [Buffer.from('hello'), Buffer.alloc(0), Buffer.from(' world, '), Buffer.from('it is day')];
    const whole = Buffer.concat(pieces);
    const decode = (chunks: readonly Buffer[]): string =>
      chunks
        .filter((_, index) => index % 3 === 1)
        .map(String)
        .join('');
    for (let cut = 0; cut <= whole.length; cut++) {
      const [first, rest] = [icapChunks(pieces, 0, cut), icapChunks(pieces, cut, whole.length)];
      expect(decode(first)).toBe(whole.toString().slice(0, cut));
      expect(decode(first) + decode(rest)).toBe(whole.toString());
    }
    expect(icapChunks([Buffer.from('x'.repeat(26))], 0, 26)[0]?.toString()).toBe('1a\r\n');
    expect(lastChunkOfAll.toString()).toBe('0; ieof\r\n\r\n');
  });
});

test('a body that comes back is compared over any cut', () => {
  const pieces = [Buffer.from('hel'), Buffer.alloc(0), Buffer.from('lo world')];
  const whole = Buffer.concat(pieces);
  for (let size = 1; size <= whole.length; size++) {
    const same = new SameBody(pieces);
    const other = new SameBody(pieces);
    const changed = Buffer.from(whole);
    changed[whole.length - 1] = 0;
    for (let at = 0; at < whole.length; at += size) {
      expect(same.isSame).toBe(false);
      same.push(whole.subarray(at, at + size));
      other.push(changed.subarray(at, at + size));
    }
    expect([same.isSame, other.isDifferent]).toEqual([true, true]);
    same.push(Buffer.from('x'));
    expect(same.isSame).toBe(false);
  }
});

test('options are read, and what is unreadable counts as not said', () => {
  const head = (fields: string) => {
    const parsed = parseIcapAnswerHead(Buffer.from(`ICAP/1.0 200 OK\r\n${fields}\r\n\r\n`));
    if (typeof parsed === 'string') throw new Error(parsed);
    return icapOptionsOf(parsed);
  };
  expect(head('Methods: REQMOD, respmod\r\nPreview: 1024\r\nMax-Connections: 20\r\nOptions-TTL: 60')).toEqual({
    methods: ['REQMOD', 'RESPMOD'],
    previewBytes: 1024,
    connections: 20,
    ttlSeconds: 60,
  });
  expect(head('Preview: -1\r\nMax-Connections: many\r\nOptions-TTL: 1e9')).toEqual({
    methods: [''],
    previewBytes: undefined,
    connections: undefined,
    ttlSeconds: undefined,
  });
});
