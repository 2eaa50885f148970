import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { AlarmFacts, HttpTransactionFacts } from '../../src/core/record.ts';
import { inspectHttp } from '../../src/flow/inspect-http.ts';
import { rulesOf } from '../rules/exchange.ts';
import { policyDocument } from '../support/policy.ts';
import { flowFacts } from '../support/record-facts.ts';
import { data, get, type Http2Recording, headers, openHttp2 } from './relay/http2-recording.ts';

interface Inspected extends Http2Recording {
  readonly alarms: AlarmFacts[];
  readonly transactions: HttpTransactionFacts[];
}

/** An HTTP/2 relay whose exchanges are inspected with real rules. */
function inspectedHttp2(rules: string): Inspected {
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
    http: policyDocument().http,
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

  test('is masked within a frame', () => {
    const { client, origin, taken, transactions } = inspectedHttp2(rule('redact'));
    client(headers(1, get, true));
    origin(headers(1, [':status=200']), data(1, 'Project Moonbeam!'), data(1, ' Moonbeam', true));
    expect(taken('client')).toEqual(['headers 1 :status=200', 'data 1 Project ********!', 'data 1 END  ********']);
    expect(transactions[0]?.changes).toEqual(['response body masked: 2 (rule r)']);
  });

  test('is cut where what is to be masked began in a frame that was forwarded', () => {
    const { client, origin, taken, transactions } = inspectedHttp2(rule('redact'));
    client(headers(1, get, true));
    origin(headers(1, [':status=200']), data(1, 'Project Moon'), data(1, 'beam', true));
    const lines = taken('client');
    expect(lines.slice(0, 2)).toEqual(['headers 1 :status=200', 'data 1 Project Moon']);
    expect(lines.join('\n')).not.toContain('beam');
    expect(transactions[0]).toMatchObject({ verdict: 'block', rule: { id: 'r' } });
  });

  test('is not held, and the record says so', () => {
    const { client, origin, taken, transactions } = inspectedHttp2(rule('block', 'hold: body,'));
    client(headers(1, get, true));
    origin(headers(1, [':status=200', 'alt-svc=h3=":443"']), data(1, 'All is well', true));
    expect(taken('client')).toEqual(['headers 1 :status=200', 'data 1 END All is well']);
    expect(transactions[0]).toMatchObject({
      notHeld: ['response: not possible in this protocol'],
      changes: ['response header removed: alt-svc'],
    });
  });
});
