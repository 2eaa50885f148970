import { describe, expect, test } from 'vitest';
import { get, inspectedRelay } from './inspected-relay.ts';
import { lastStatus } from './relay/recording.ts';

const chunkedPost = 'POST / HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n';
const chunkedOk = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </evil.js>; rel=preload\r\nAlt-Svc: h3=":443"\r\n\r\n';
const body = (trailers: string): string => `5\r\nhello\r\n0\r\n${trailers}\r\n`;
const rule = (action: string, when: string): string => `- { id: r, title: t, action: ${action}, when: ${when} }`;
const sizes = [1, 2, 7, 65_536];

describe('trailers of a request', () => {
  test.each(sizes)('that a rule blocks leave the message incomplete, in pieces of %d', (size) => {
    const relay = inspectedRelay(rule('block', '{ field: http.request.header.X-Note, equals: evil }'));
    relay.send('client', chunkedPost + body('X-Note: evil\r\n'), size);
    expect(relay.wire.to('origin')).not.toContain('evil');
    expect(relay.wire.to('origin').endsWith('0\r\n\r\n')).toBe(false);
    expect(lastStatus(relay.wire.to('client'))).toBe(403);
    expect(relay.alarms).toMatchObject([{ match: { field: 'http.request.header.X-Note', excerpt: 'evil' } }]);
    expect(relay.transactions).toMatchObject([{ verdict: 'block', requestTrailers: [['X-Note', 'evil']] }]);
  });

  test.each(sizes)('lose what policy removes from heads, in pieces of %d', (size) => {
    const headers = {
      request: { remove: ['x-secret'], set: [['X-Via', 'a'] as const] },
      response: { remove: [], set: [] },
    };
    const relay = inspectedRelay('', {}, { headers });
    relay.send('client', chunkedPost + body('X-Keep: 1\r\nX-Secret: 2\r\nx-via: 3\r\n') + get, size);
    const passed = relay.wire.to('origin');
    expect(passed).toContain('0\r\nX-Keep: 1\r\n\r\nGET / HTTP/1.1');
    expect(passed).not.toContain('X-Secret');
    expect(passed).not.toContain('x-via');
    relay.send('origin', ok);
    expect(relay.transactions[0]?.changes).toEqual([
      'request header set: X-Via',
      'request trailer removed: x-secret',
      'request trailer removed: x-via',
    ]);
  });

  test.each(sizes)('pass verbatim where nothing is changed, in pieces of %d', (size) => {
    const relay = inspectedRelay('');
    const sent = chunkedPost + body('X-A: 1\r\nX-B:  2\r\n') + get;
    relay.send('client', sent, size);
    expect(relay.wire.to('origin')).toBe(sent);
  });
});

describe('trailers of a response', () => {
  test.each(sizes)('are judged before they are forwarded, and kept for the record, in pieces of %d', (size) => {
    const relay = inspectedRelay(rule('alarm', '{ field: http.response.trailer.X-Sum, regex: "^[0-9]+$" }'));
    relay.send('client', get + get);
    relay.send('origin', chunkedOk + body('X-Sum: 17\r\nAlt-Svc: h3=":443"\r\n') + ok, size);
    expect(relay.wire.to('client')).toBe(chunkedOk + body('X-Sum: 17\r\n') + ok);
    expect(relay.alarms).toHaveLength(1);
    expect(relay.transactions[0]).toMatchObject({
      responseTrailers: [
        ['X-Sum', '17'],
        ['Alt-Svc', 'h3=":443"'],
      ],
      changes: ['response trailer removed: alt-svc'],
    });
  });

  test('of a held message are blocked with a page and no byte of it', () => {
    const relay = inspectedRelay(
      '- { id: r, title: t, action: block, hold: body, when: { field: http.response.trailer.X-Sum, equals: "17" } }',
    );
    relay.send('client', get);
    relay.send('origin', chunkedOk + body('X-Sum: 17\r\n'), 9);
    expect(lastStatus(relay.wire.to('client'))).toBe(403);
    expect(relay.wire.to('client')).not.toContain('hello');
  });
});

describe('an interim response', () => {
  test.each(sizes)('passes without what policy removes, and is kept for the record, in pieces of %d', (size) => {
    const relay = inspectedRelay('');
    relay.send('client', get);
    relay.send('origin', hints + ok, size);
    expect(relay.wire.to('client')).toBe(hints.replace('Alt-Svc: h3=":443"\r\n', '') + ok);
    expect(relay.transactions).toMatchObject([
      { interims: [{ status: 103, isCut: false }], changes: ['response interim header removed: alt-svc'] },
    ]);
  });

  test.each(sizes)('that a rule blocks is not forwarded, in pieces of %d', (size) => {
    const relay = inspectedRelay(rule('block', '{ field: http.response.header.Link, contains: evil.js }'));
    relay.send('client', get);
    relay.send('origin', hints + ok, size);
    expect(relay.wire.to('client')).not.toContain('103');
    expect(lastStatus(relay.wire.to('client'))).toBe(403);
    expect(relay.wire.ending).toBe('close POLICY_RULE_BLOCK');
  });

  test('of many long ones only the first are kept', () => {
    const relay = inspectedRelay('');
    relay.send('client', get);
    const long = `HTTP/1.1 103 Early Hints\r\nLink: ${'x'.repeat(10_000)}\r\n\r\n`;
    relay.send('origin', long.repeat(3) + ok);
    expect(relay.transactions[0]?.interims?.map(({ isCut }) => isCut)).toEqual([false, true, true]);
  });
});
