import { describe, expect, test } from 'vitest';
import { type FailureCode, failures } from '../../src/core/failures.ts';
import { limits } from '../../src/core/limits.ts';
import type { FlowFacts } from '../../src/core/record.ts';
import { alarmRecordLine } from '../../src/records/alarm-record.ts';
import { flowRecordLine } from '../../src/records/flow-record.ts';
import { httpRecordLine } from '../../src/records/http-record.ts';
import { labelOf } from '../../src/records/label.ts';
import { outcomeOf } from '../../src/records/outcome.ts';
import { ocsfProblems } from '../support/ocsf.ts';
import { alarmFacts, flowFacts, requestHead, startMs, transactionFacts, writer } from '../support/record-facts.ts';

const stamp = { sequence: 0, loggedMs: startMs };
const fine = { verdict: 'allow', complete: true, failure: undefined, detail: '', alarms: 0 } as const;

describe('what became of it', () => {
  test.each([
    ['let through', {}, [1, 1, 1, 1]],
    ['let through with an alarm', { alarms: 1 }, [3, 1, 3, 19]],
    ['cut without a failure', { complete: false }, [1, 2, 1, 1]],
    ['blocked by a rule', { verdict: 'block', failure: 'POLICY_RULE_BLOCK', alarms: 1 }, [3, 2, 2, 2]],
    ['reset by a rule', { verdict: 'reset', failure: 'POLICY_RULE_RESET', alarms: 1 }, [3, 2, 2, 21]],
    ['refused by policy', { failure: 'POLICY_LOOP' }, [2, 2, 2, 2]],
    ['a certificate that failed', { failure: 'ORIGIN_CERT_REVOKED' }, [3, 2, 2, 2]],
    ['an ambiguous request', { failure: 'CLIENT_HTTP_AMBIGUOUS' }, [3, 2, 2, 25]],
    ['a malformed response', { failure: 'ORIGIN_HTTP_MALFORMED' }, [2, 2, 2, 25]],
    ['no password for the proxy', { failure: 'CLIENT_PROXY_AUTH_REQUIRED' }, [2, 2, 2, 26]],
    ['the gateway in trouble', { failure: 'GATEWAY_OVERLOADED' }, [3, 2, 2, 27]],
    ['an origin that is down', { failure: 'ORIGIN_REFUSED' }, [2, 2, 1, 27]],
    ['a client that went away', { failure: 'CLIENT_GONE' }, [1, 2, 1, 27]],
  ] as const)('%s', (_, ending, [severity_id, status_id, action_id, disposition_id]) => {
    expect(outcomeOf({ ...fine, ...ending })).toMatchObject({ severity_id, status_id, action_id, disposition_id });
  });

  test.each([
    [undefined, 2],
    ['CLIENT_GONE', 3],
    ['POLICY_RULE_RESET', 3],
    ['ORIGIN_UNREACHABLE', 4],
    ['ORIGIN_CERT_EXPIRED', 4],
    ['ORIGIN_REFUSED', 5],
    ['POLICY_REFUSED', 5],
  ] as const)('a flow that ends with %s has activity %i', (failure, activity) => {
    const record: unknown = JSON.parse(flowRecordLine(writer, flowFacts({ failure }), startMs, stamp));
    expect(record).toMatchObject({ activity_id: activity, type_uid: 400_100 + activity });
  });

  test.each(Object.keys(failures) as FailureCode[])(
    '%s is told in valid records, with its code and a detail',
    (failure) => {
      const outcome = { ...transactionFacts().outcome, complete: false, failure };
      const lines = [
        httpRecordLine(writer, flowFacts(), transactionFacts({ response: undefined, outcome }), stamp),
        flowRecordLine(writer, flowFacts({ failure, failureDetail: 'password=hunter2' }), startMs, stamp),
      ];
      for (const line of lines) {
        const record = JSON.parse(line) as { status_code: string; status_detail: string };
        expect(ocsfProblems(record)).toEqual([]);
        expect(record.status_code).toBe(failure);
        expect(record.status_detail).toMatch(/^(?:[A-Z].*[.]|password=\*{4})$/);
      }
    },
  );
});

describe('the label', () => {
  const none: Partial<FlowFacts> = {
    decrypted: false,
    clientTls: undefined,
    originTls: undefined,
    fingerprints: undefined,
  };

  test.each([
    ['TLS that was opened', {}, 'Decryption Detection'],
    ['TLS that was bypassed', { ...none, decision: { kind: 'bypass', reason: 'x' } }, 'Bypass'],
    ['TLS that failed after the hello', { decrypted: false, clientTls: undefined }, 'Metadata Detection'],
    ['a destination that was refused', { ...none, protocol: undefined }, 'Metadata Detection'],
    ['SSH', { ...none, protocol: 'ssh' }, 'Metadata Detection'],
    ['an unknown protocol', { ...none, protocol: 'unknown' }, 'Metadata Detection'],
    ['plain HTTP', { ...none, protocol: 'http/1.1' }, 'Plaintext'],
    ['SMTP in the clear', { ...none, protocol: 'smtp' }, 'Plaintext'],
  ] as const)('of %s', (_, changes, label) => {
    expect(labelOf(flowFacts(changes))).toBe(label);
  });
});

test('a flow of which next to nothing is known is valid too', () => {
  const nothing: Partial<FlowFacts> = {
    via: undefined,
    client: { ip: '', port: 0 },
    gateway: { ip: 'fe80::1%eth0', port: 8080 },
    destination: undefined,
    origin: undefined,
    originLocal: undefined,
    asset: undefined,
    decision: undefined,
    protocol: undefined,
    serverName: undefined,
    fingerprints: undefined,
    clientTls: undefined,
    originTls: undefined,
    decrypted: false,
    failure: 'CLIENT_OPENING_TIMEOUT',
  };
  const { communityId, originCommunityId, ...facts } = flowFacts(nothing);
  expect([communityId, originCommunityId]).not.toContain(undefined);
  expect(ocsfProblems(JSON.parse(flowRecordLine(writer, facts, startMs, stamp)))).toEqual([]);
});

test('an alarm on a request of the greatest size gives a line within its bound', () => {
  const request = requestHead({ target: `/${'\u0001'.repeat(60_000)}`, headers: [['X', '"'.repeat(60_000)]] });
  const line = alarmRecordLine(writer, flowFacts(), alarmFacts({ request }), 'ALARM', stamp);
  expect(line.length).toBeLessThanOrEqual(limits.recordLineBytes);
  expect(ocsfProblems(JSON.parse(line))).toEqual([]);
});

test('a certificate with thousands of long names gives a line within its bound', () => {
  const { originTls } = flowFacts();
  const certificate = originTls?.certificate;
  if (originTls === undefined || certificate === undefined) throw new Error('the facts have no certificate');
  const names = Array.from({ length: 1_000 }, () => ({ kind: 'dns' as const, value: '"'.repeat(400) }));
  const leg = {
    ...originTls,
    serverName: '"'.repeat(60_000),
    certificate: { ...certificate, subject: '\u0001'.repeat(60_000), names },
  };
  const line = flowRecordLine(writer, flowFacts({ clientTls: leg, originTls: leg }), startMs, stamp);
  expect(line.length).toBeLessThanOrEqual(limits.recordLineBytes);
  expect(ocsfProblems(JSON.parse(line))).toEqual([]);
});
