import { isIP } from 'node:net';
import { Ajv } from 'ajv';
import schemas from 'har-schema';
import { describe, expect, it } from 'vitest';
import { harEnd, harEntry, harStart } from '../../src/control/har-entry.ts';
import type { ResponseHead } from '../../src/core/http.ts';
import { flowRecordLine } from '../../src/records/flow-record.ts';
import { httpRecordLine } from '../../src/records/http-record.ts';
import { flowFacts, requestHead, responseHead, startMs, transactionFacts, writer } from '../support/record-facts.ts';

const stamp = { sequence: 0, loggedMs: startMs };
const line = (...changes: Parameters<typeof transactionFacts>): string =>
  httpRecordLine(writer, flowFacts(), transactionFacts(...changes), stamp);

/** All schemas of HAR 1.2, with the formats that they name. */
const ajv = new Ajv({
  strict: false,
  validateSchema: false,
  formats: {
    ipv4: (text: string) => isIP(text) === 4,
    ipv6: (text: string) => isIP(text) === 6,
    'date-time': (text: string) => !Number.isNaN(Date.parse(text)),
    uri: (text: string) => URL.canParse(text),
  },
});
for (const schema of Object.values(schemas))
  ajv.addSchema(Object.fromEntries(Object.entries(schema).filter(([name]) => name !== '$schema')));
const isHar = ajv.getSchema('har.json#');

const lines = [
  line(),
  line({
    request: requestHead({
      method: 'POST',
      target: '/checkout?card=1&empty',
      headers: [['Content-Type', 'text/plain']],
    }),
    requestExcerpt: Buffer.from('card=4111111111111111'),
    response: responseHead({ status: 302, headers: [['Location', '/thanks']] }),
    responseExcerpt: Buffer.from([0x00, 0xff]),
  }),
  line({ request: requestHead({ method: 'PROPFIND', target: '*', host: 'under_score.example' }), response: undefined }),
  flowRecordLine(writer, flowFacts(), startMs, stamp),
];
const entries = lines.flatMap((record) => harEntry(record) ?? []);

describe('a HAR file', () => {
  it('is valid HAR 1.2 and holds the transactions alone', () => {
    const file: unknown = JSON.parse(`${harStart}${entries.join(',')}${harEnd}`);
    expect(entries).toHaveLength(3);
    expect(isHar?.(file), JSON.stringify(isHar?.errors)).toBe(true);
    expect(isHar?.({ log: { version: '1.2', creator: {}, entries: [{}] } })).toBe(false);
  });

  it('shows request and response as the record does, masked', () => {
    expect(JSON.parse(entries[0] ?? '')).toMatchObject({
      startedDateTime: '2026-01-15T09:30:00.031Z',
      time: 27,
      request: { method: 'GET', url: 'https://shop.example/cart/items?page=2&sort=price', httpVersion: 'HTTP/1.1' },
      response: { status: 200, content: { size: 1024, mimeType: 'text/html; charset=utf-8' } },
      serverIPAddress: '203.0.113.80',
    });
    expect(JSON.parse(entries[1] ?? '')).toMatchObject({
      request: {
        method: 'POST',
        queryString: [
          { name: 'card', value: '1' },
          { name: 'empty', value: '' },
        ],
        postData: { mimeType: 'text/plain' },
      },
      response: { redirectURL: '/thanks', content: { text: 'AP8=', encoding: 'base64' } },
    });
    expect(entries.join()).not.toContain('4111111111111111');
    expect(JSON.parse(entries[2] ?? '')).toMatchObject({ request: { method: 'PROPFIND' }, response: { status: 0 } });
  });

  it('tells a response of the origin from what the gateway answered in its place', () => {
    const outcome = { ...transactionFacts().outcome, failure: 'POLICY_RULE_BLOCK', answered: 403 } as const;
    const entry = (response: ResponseHead | undefined): unknown =>
      JSON.parse(harEntry(line({ response, outcome, verdict: 'block' })) ?? '');
    const comment = expect.stringContaining('verdict block, answered 403 by the gateway');
    expect(entry(undefined)).toMatchObject({ response: { status: 403 }, comment });
    expect(entry(responseHead())).toMatchObject({ response: { status: 200 }, comment });
  });

  it('is made of no line that is not a record', () => {
    for (const broken of ['', 'null', '[]', '{"class_uid":4002', '{"class_uid":1}'])
      expect(harEntry(broken)).toBeUndefined();
  });
});
