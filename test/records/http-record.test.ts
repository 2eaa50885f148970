import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Header } from '../../src/core/http.ts';
import { limits } from '../../src/core/limits.ts';
import type { FlowFacts, HttpTransactionFacts } from '../../src/core/record.ts';
import { httpRecordLine } from '../../src/records/http-record.ts';
import { ocsfProblems } from '../support/ocsf.ts';
import { flowFacts, requestHead, responseHead, startMs, transactionFacts, writer } from '../support/record-facts.ts';

interface Record4002 {
  readonly metadata: { readonly is_truncated?: boolean; readonly labels: readonly string[]; readonly sequence: number };
  readonly dst_endpoint: { readonly hostname?: string };
  readonly http_request: {
    readonly url: { readonly path?: string; readonly query_string?: string; readonly url_string?: string };
    readonly http_headers: readonly { readonly name: string; readonly value: string }[];
  };
  readonly http_response?: { readonly http_headers: readonly unknown[] };
  readonly unmapped: { readonly gateway: { readonly [name: string]: unknown } };
}

const stamp = { sequence: 0, loggedMs: startMs };

function written(transaction: Partial<HttpTransactionFacts>, flow: FlowFacts = flowFacts()): Record4002 {
  const line = httpRecordLine(writer, flow, transactionFacts(transaction), stamp);
  expect(line).not.toMatch(/[\n\r]/);
  expect(Buffer.byteLength(line)).toBeLessThanOrEqual(limits.recordLineBytes);
  const record: unknown = JSON.parse(line);
  expect(ocsfProblems(record)).toEqual([]);
  return record as Record4002;
}

describe('whatever peers send', () => {
  const latin1 = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });
  const header = fc.tuple(latin1, latin1);
  const body = fc.option(fc.uint8Array({ maxLength: 64 }).map(Buffer.from), { nil: undefined });

  test('the line parses, is one line, and is valid', () => {
    fc.assert(
      fc.property(fc.array(header), latin1, latin1, latin1, body, (headers: Header[], target, host, method, bytes) => {
        written({
          request: requestHead({ headers, target, host, method }),
          response: responseHead({ headers, reason: target }),
          requestExcerpt: bytes,
          responseExcerpt: bytes,
        });
      }),
    );
  });

  test('a head of the greatest size gives a line within its bound, marked', () => {
    const headers: Header[] = Array.from({ length: 256 }, (_, index) => [`X-Long-${index}`, '"\u0001'.repeat(4_000)]);
    const record = written({
      request: requestHead({ headers, target: `/${'%"'.repeat(30_000)}?${'\u00e9'.repeat(5_000)}` }),
      response: responseHead({ headers }),
      requestExcerpt: Buffer.from('"'.repeat(8_192)),
      responseExcerpt: Buffer.from('\u00e9'.repeat(4_096)),
    });
    expect(record.metadata.is_truncated).toBe(true);
  });

  test('a long value is masked first and cut then', () => {
    const value = `${'a'.repeat(limits.recordHeaderValueBytes - 10)} password=hunter2hunter2`;
    const { http_request, metadata } = written({ request: requestHead({ headers: [['X-Long', value]] }) });
    expect(http_request.http_headers[0]?.value).not.toContain('hunter');
    expect(metadata.is_truncated).toBe(true);
  });
});

describe('the URL', () => {
  test.each([
    ['GET', '/a/b?x=1', '/a/b', 'x=1'],
    ['GET', '/a/b', '/a/b', undefined],
    ['GET', '/?a?b', '/', 'a?b'],
    ['GET', 'http://h.example:81/p?q', '/p', 'q'],
    ['GET', 'http://h.example', '/', undefined],
    ['GET', 'http://h.example?q=1', '/', 'q=1'],
    ['OPTIONS', '*', '*', undefined],
  ])('of %s %s', (method, target, path, query) => {
    const { url } = written({ request: requestHead({ method, target }) }).http_request;
    expect([url.path, url.query_string]).toEqual([path, query]);
  });

  test('of CONNECT is its authority', () => {
    const { url } = written({ request: requestHead({ method: 'CONNECT', target: 'h.example:443' }) }).http_request;
    expect(url).toMatchObject({ url_string: 'h.example:443' });
  });
});

describe('the part of the flow', () => {
  test('is written anew when the flow goes to another origin', () => {
    const flow = flowFacts();
    expect(written({}, flow).dst_endpoint.hostname).toBe('shop.example');
    flow.destination = { host: 'other.example', port: 80 };
    flow.decrypted = false;
    flow.decision = { kind: 'bypass', reason: 'bypass: privacy' };
    const record = written({}, flow);
    expect(record.dst_endpoint.hostname).toBe('other.example');
    expect(record.metadata.labels).toEqual(['Bypass']);
  });

  test('is the same for a second transaction', () => {
    const flow = flowFacts();
    const [first, second] = [written({}, flow), written({ depth: 1 }, flow)];
    expect(second).toEqual({ ...first, unmapped: { gateway: { ...first.unmapped.gateway, tx_depth: 1 } } });
  });
});

describe('values that come again', () => {
  test('are the same out of the cache, and secrets are not in it', () => {
    const headers: Header[] = [
      ['Cookie', 'sid=one'],
      ['X-Note', 'token=abc'],
      ['Accept', '*/*'],
    ];
    const lines = [1, 2].map(() => written({ request: requestHead({ headers }) }).http_request.http_headers);
    expect(lines[0]).toEqual(lines[1]);
    expect(lines[0]?.map(({ value }) => value)).toEqual(['sid=****', 'token=****', '*/*']);
  });

  test('do not fill memory: thousands of names and values', () => {
    for (let index = 0; index < 20_000; index += 1) {
      httpRecordLine(
        writer,
        flowFacts(),
        transactionFacts({ request: requestHead({ headers: [[`X-${index}`, `v${index}`.repeat(20)]] }) }),
        stamp,
      );
    }
    expect(written({}).http_request.http_headers).toHaveLength(8);
  });
});

describe('files of a transaction', () => {
  const file = {
    name: 'quarterly numbers \xc3\xbc.xlsx',
    type: 'application/zip',
    declared: 'application/vnd.ms-excel',
    size: 12,
    sha256: 'ab'.repeat(32),
    isWhole: true,
  };

  test('are told of, the first one as an OCSF file', () => {
    const record = written({ requestFiles: [file, { ...file, name: undefined, sha256: undefined, isWhole: false }] });
    expect(record).toMatchObject({
      file: {
        name: 'quarterly numbers ü.xlsx',
        type_id: 1,
        size: 12,
        mime_type: 'application/zip',
        hashes: [{ algorithm_id: 3, value: file.sha256 }],
      },
    });
    expect(record.unmapped.gateway.files).toEqual([
      {
        in: 'request',
        name: 'quarterly numbers ü.xlsx',
        type: 'application/zip',
        declared_type: 'application/vnd.ms-excel',
        size: 12,
        sha256: file.sha256,
        is_whole: true,
      },
      { in: 'request', type: 'application/zip', declared_type: 'application/vnd.ms-excel', size: 12, is_whole: false },
    ]);
  });

  test('fit into a line, however many and long-named they are', () => {
    const files = Array.from({ length: limits.recordFiles }, () => ({ ...file, name: 'ü'.repeat(5_000) }));
    written({ requestFiles: files, responseFiles: files });
  });
});

describe('the excerpt of a coded body', () => {
  test('is the text that was made of it, masked, or says that there is none', () => {
    const headers: Header[] = [['Content-Encoding', 'gzip']];
    const excerpt = Buffer.from('{"password":"hunter2"}');
    const decoded = written({
      response: responseHead({ headers }),
      responseExcerpt: excerpt,
      responseDecodedBytes: 5_000,
    });
    expect(decoded.unmapped.gateway.response_body).toEqual({ text: '{"password":"****"}', is_truncated: true });
    const coded = written({ response: responseHead({ headers }), responseExcerpt: excerpt });
    expect(coded.unmapped.gateway.response_body).toEqual({ omitted: 'content-encoding gzip' });
  });
});
