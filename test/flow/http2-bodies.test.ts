import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { AlarmFacts, HttpTransactionFacts } from '../../src/core/record.ts';
import { inspectHttp } from '../../src/flow/inspect-http.ts';
import { rulesOf } from '../rules/exchange.ts';
import { waitUntil } from '../support/gateway.ts';
import { policyDocument } from '../support/policy.ts';
import { flowFacts } from '../support/record-facts.ts';
import { data, frame, get, type Http2Recording, headers, number, openHttp2, post } from './relay/http2-recording.ts';

const update = (streamId: number, bytes: number): Buffer => frame(8, 0, streamId, number(bytes));

interface Inspected extends Http2Recording {
  readonly alarms: AlarmFacts[];
  readonly transactions: HttpTransactionFacts[];
}

/** An HTTP/2 relay whose exchanges are inspected with real rules. */
function inspectedHttp2(rules: string, hold = policyDocument().http.hold): Inspected {
  const alarms: AlarmFacts[] = [];
  const transactions: HttpTransactionFacts[] = [];
  const inspector = inspectHttp({
    flow: flowFacts(),
    rules: rulesOf(rules),
    recorder: {
      flowEnd: () => {},
      alarm: (_flow, alarm) => alarms.push(alarm),
      httpTransaction: (_flow, transaction) => transactions.push(transaction),
      messages: () => {},
      mail: () => {},
      transfer: () => {},
    },
    bodyExcerptBytes: 512,
    http: { ...policyDocument().http, hold },
  });
  return { ...openHttp2({ exchange: (depth, host) => inspector.exchange(depth, host) }), alarms, transactions };
}

const rule = (action: string, more = ''): string =>
  `- { id: r, title: t, action: ${action}, ${more} when: { field: http.response.body, contains: Moonbeam } }`;

describe('a body in HTTP/2', () => {
  test('is decoded and judged before its frame is forwarded', () => {
    const { client, origin, taken, alarms } = inspectedHttp2(rule('block'));
    const coded = gzipSync('Project Moonbeam');
    client(headers(1, get, true));
    origin(headers(1, [':status=200', 'content-encoding=gzip']), data(1, coded.toString('latin1').slice(0, 12)));
    origin(data(1, Buffer.from(coded.subarray(12)), true));
    expect(alarms).toHaveLength(1);
    expect(taken('client').join('\n')).toContain('rstStream 1');
  });

  test('is masked wherever its frames cut it, and keeps its length', () => {
    const body = `${'All is well. '.repeat(300)}Project Moonbeam!`;
    for (const cut of [13, 1_000, 3_900, 3_911, 3_916, body.length]) {
      const { client, origin, taken, transactions } = inspectedHttp2(rule('redact'));
      client(headers(1, get, true));
      origin(headers(1, [':status=200', `content-length=${body.length}`]));
      for (let at = 0; at < body.length; at += cut) {
        origin(data(1, body.slice(at, at + cut), at + cut >= body.length));
      }
      const [head, ...frames] = taken('client');
      expect(head).toContain(`content-length=${body.length}`);
      expect(frames.at(-1)).toMatch(/^data 1 END/);
      expect(bodyOf(frames)).toBe(body.replace('Moonbeam', '********'));
      expect(transactions[0]?.changes).toEqual(['response body masked: 1 (rule r)']);
      expect(transactions[0]?.outcome.complete).toBe(true);
    }
  });

  test('that is coded is masked too, wherever its frames cut it, and keeps its length', async () => {
    const text = `${'All is well. '.repeat(30)}${'Project Moonbeam! '.repeat(2)}Moon, beam, Project.`;
    const coded = gzipSync(text, { level: 1 });
    for (const cut of [1, 13, 50, coded.length]) {
      const { client, origin, taken, transactions } = inspectedHttp2(rule('redact'));
      client(headers(1, get, true));
      origin(headers(1, [':status=200', `content-length=${coded.length}`, 'content-encoding=gzip']));
      for (let at = 0; at < coded.length; at += cut) {
        origin(data(1, Buffer.from(coded.subarray(at, at + cut)), at + cut >= coded.length));
      }
      await waitUntil(
        () => transactions.length > 0,
        () => 'the exchange does not end',
      );
      const [head, ...frames] = taken('client');
      expect(head).toContain(`content-length=${coded.length}`);
      const body = Buffer.from(bodyOf(frames), 'latin1');
      expect(body).toHaveLength(coded.length);
      expect(gunzipSync(body).toString()).toBe(text.replaceAll('Moonbeam', '********'));
      expect(transactions[0]?.changes).toEqual(['response body masked: 2 (rule r)']);
    }
  });

  test('that is masked goes on but for what a place may have begun in', () => {
    const { client, origin, taken } = inspectedHttp2(rule('redact'));
    client(headers(1, get, true));
    origin(headers(1, [':status=200']), data(1, 'All is well.'));
    expect(taken('client')).toEqual(['headers 1 :status=200', 'data 1 All is well.']);
    origin(data(1, 'Project Moon'));
    expect(bodyOf(taken('client'))).toBe('Project ');
    origin(data(1, 'light'));
    expect(bodyOf(taken('client'))).toBe('Moonlight');
    // What waited was given back; after that the origin has the windows that the client gives it.
    expect(taken('origin').filter((line) => line.startsWith('windowUpdate'))).toEqual([
      'windowUpdate 1 4',
      'windowUpdate 0 4',
    ]);
    client(update(1, 29), update(0, 29));
    expect(taken('origin')).toEqual(['windowUpdate 1 25', 'windowUpdate 0 25']);
  });

  test('is held, and answered with the page where the rule is decided late', () => {
    const { client, origin, taken, transactions } = inspectedHttp2(rule('block', 'hold: body,'));
    client(headers(1, get, true));
    origin(headers(1, [':status=200', 'alt-svc=h3=":443"']), data(1, 'All is well'));
    expect(taken('client')).toEqual([]);
    origin(data(1, ', Moonbeam', true));
    const [head, page] = taken('client');
    expect(head).toMatch(/^headers 1 :status=403.*daylight-failure=POLICY_RULE_BLOCK/);
    expect(page).toMatch(/^data 1 END/);
    expect(page).not.toContain('All is well');
    expect(transactions[0]).toMatchObject({
      notHeld: [],
      verdict: 'block',
      changes: ['response header removed: alt-svc'],
    });
  });

  test('that is held goes on with its changed head and its trailers once the rule is false', () => {
    const { client, origin, taken } = inspectedHttp2(rule('block', 'hold: body,'));
    client(headers(1, get, true));
    origin(headers(1, [':status=200', 'alt-svc=h3=":443"', 'a=b']), data(1, 'All is '), data(1, 'well'));
    expect(taken('client')).toEqual([]);
    origin(headers(1, ['grpc-status=0'], true));
    const lines = taken('client');
    expect(lines[0]).toBe('headers 1 :status=200 a=b');
    expect(bodyOf(lines.slice(1, -1))).toBe('All is well');
    expect(lines.at(-1)).toBe('headers 1 END grpc-status=0');
  });

  test('of a request is held with its head: the origin hears nothing of what is blocked', () => {
    const inRequest = rule('block', 'hold: body,').replace('response.body', 'request.body');
    const { client, taken, transactions } = inspectedHttp2(inRequest);
    client(headers(1, post), data(1, 'x'.repeat(10_000)), data(1, 'Moonbeam', true));
    expect(taken('origin')).toEqual([]);
    expect(taken('client').join()).toContain(':status=403');
    expect(transactions[0]).toMatchObject({ verdict: 'block' });
  });

  test.each(['response', 'request'] as const)(
    'of a %s is held at its start alone where a rule asks for no more',
    (message) => {
      const rules = rule('block', 'hold: start,').replace('response.body', `${message}.body`);
      const hold = { startBytes: 100, bodyBytes: 1_000 };
      const sendTo = (part: string, recording: Inspected, isLast = false): void => {
        if (message === 'request') recording.client(data(1, part, isLast));
        else recording.origin(data(1, part, isLast));
      };
      for (const [rest, verdict] of [
        [' Moonbeam', 'block'],
        ['.'.repeat(60), 'allow'],
      ] as const) {
        const recording = inspectedHttp2(rules, hold);
        recording.client(headers(1, message === 'request' ? post : get, message === 'response'));
        if (message === 'response') recording.origin(headers(1, [':status=200']));
        const receiver = message === 'request' ? 'origin' : 'client';
        recording.taken(receiver);
        sendTo('x'.repeat(50), recording);
        expect(recording.taken(receiver).filter((line) => !line.startsWith('windowUpdate'))).toEqual([]);
        sendTo(rest, recording);
        const passed = bodyOf(recording.taken(receiver).filter((line) => line.startsWith('data')));
        if (verdict === 'allow') expect(passed).toBe('x'.repeat(50) + rest);
        else expect(passed).not.toContain('xx');
        if (verdict === 'allow') sendTo('', recording, true);
        if (verdict === 'allow' && message === 'request') recording.origin(headers(1, [':status=204'], true));
        expect(recording.transactions[0]).toMatchObject({ verdict, notHeld: [] });
      }
    },
  );

  test('beyond the limit goes on unheld, is still judged, and its record says so', () => {
    const { client, origin, taken, transactions } = inspectedHttp2(rule('block', 'hold: body,'), {
      startBytes: 10,
      bodyBytes: 20_000,
    });
    client(headers(1, get, true));
    origin(headers(1, [':status=200']), data(1, Buffer.alloc(15_000, 'x')));
    expect(taken('client')).toEqual([]);
    origin(data(1, Buffer.alloc(15_000, 'y')));
    expect(bodyOf(taken('client').slice(1)).length).toBe(30_000);
    origin(data(1, 'Moonbeam'));
    expect(taken('client')).toEqual(['rstStream 1 2']);
    expect(transactions[0]?.notHeld).toEqual(['response: more than 20000 bytes']);
  });
});

describe('fields apart from the heads, in HTTP/2', () => {
  const when = (action: string, field: string, value: string): string =>
    `- { id: r, title: t, action: ${action}, when: { field: ${field}, equals: "${value}" } }`;

  test('the status of gRPC in trailers is seen by rules and is in the record', () => {
    const { client, origin, taken, alarms, transactions } = inspectedHttp2(
      when('alarm', 'http.response.trailer.grpc-status', '13'),
    );
    client(headers(1, post, true));
    origin(headers(1, [':status=200']), data(1, 'x'), headers(1, ['grpc-status=13', 'alt-svc=h3=":443"'], true));
    expect(taken('client').at(-1)).toBe('headers 1 END grpc-status=13');
    expect(alarms).toHaveLength(1);
    expect(transactions[0]).toMatchObject({
      responseTrailers: [
        ['grpc-status', '13'],
        ['alt-svc', 'h3=":443"'],
      ],
      changes: ['response trailer removed: alt-svc'],
    });
  });

  test('trailers that a rule blocks are left behind, of a request as of a response', () => {
    const up = inspectedHttp2(when('block', 'http.request.header.x-note', 'evil'));
    up.client(headers(1, post), data(1, 'x'), headers(1, ['x-note=evil'], true));
    expect(up.taken('origin').at(-1)).toBe('rstStream 1 8');
    const down = inspectedHttp2(when('block', 'http.response.header.x-note', 'evil'));
    down.client(headers(1, post, true));
    down.origin(headers(1, [':status=200']), data(1, 'x'), headers(1, ['x-note=evil'], true));
    expect(down.taken('client').at(-1)).toBe('rstStream 1 2');
  });

  test('an interim response loses what is removed from heads, and may be blocked', () => {
    const passing = inspectedHttp2('');
    passing.client(headers(1, get, true));
    passing.origin(headers(1, [':status=103', 'link=</a.js>', 'alt-svc=h3=":443"']), headers(1, [':status=204'], true));
    expect(passing.taken('client')).toEqual(['headers 1 :status=103 link=</a.js>', 'headers 1 END :status=204']);
    expect(passing.transactions[0]).toMatchObject({ interims: [{ status: 103 }] });
    const blocked = inspectedHttp2(when('block', 'http.response.header.link', '</a.js>'));
    blocked.client(headers(1, get, true));
    blocked.origin(headers(1, [':status=103', 'link=</a.js>']));
    expect(blocked.taken('client')[0]).toMatch(/^headers 1 :status=403/);
  });
});

/** The bodies in lines of DATA frames. */
function bodyOf(lines: readonly string[]): string {
  return lines.map((line) => line.replace(/^data \d+(?: END)? ?/, '')).join('');
}
