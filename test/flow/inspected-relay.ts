import type { BodiesPolicy } from '../../src/core/bodies-policy.ts';
import type { HttpPolicy } from '../../src/core/policy.ts';
import type { AlarmFacts, HttpTransactionFacts } from '../../src/core/record.ts';
import type { Side } from '../../src/core/side.ts';
import { inspectHttp } from '../../src/flow/inspect-http.ts';
import { createHttp1Relay } from '../../src/flow/relay/http1.ts';
import { rulesOf } from '../rules/exchange.ts';
import { policyDocument } from '../support/policy.ts';
import { flowFacts } from '../support/record-facts.ts';
import { anotherAddress, RecordingWire } from './relay/recording.ts';

export interface InspectedRelay {
  readonly wire: RecordingWire;
  readonly alarms: AlarmFacts[];
  readonly transactions: HttpTransactionFacts[];
  send(from: Side, bytes: Buffer | string, pieceBytes?: number): void;
  end(from: Side): void;
  /** As the pump does it when the client is gone. */
  cut(): void;
}

/** An HTTP/1.1 relay whose exchanges are inspected with real rules, between a recording wire and a recorder in memory. */
export function inspectedRelay(
  rules: string,
  policy: Partial<BodiesPolicy> = {},
  http: Partial<HttpPolicy> = {},
  excerptBytes = 512,
  shareKey = anotherAddress(),
): InspectedRelay {
  const wire = new RecordingWire();
  const alarms: AlarmFacts[] = [];
  const transactions: HttpTransactionFacts[] = [];
  const inspector = inspectHttp({
    flow: flowFacts({ shareKey }),
    rules: rulesOf(rules),
    recorder: {
      flowEnd: () => {},
      messages: () => {},
      mail: () => {},
      transfer: () => {},
      alarm: (_flow, alarm) => alarms.push(alarm),
      httpTransaction: (_flow, transaction) => transactions.push(transaction),
    },
    bodyExcerptBytes: excerptBytes,
    http: { ...policyDocument().http, ...http, bodies: { ...policyDocument().http.bodies, ...policy } },
  });
  const relay = createHttp1Relay({
    wire,
    inspector,
    flowId: 'flow-1',
    shareKey,
    mode: 'origin-form',
    scheme: 'https',
    upgrades: 'allow',
  });
  return {
    wire,
    alarms,
    transactions,
    send(from, bytes, pieceBytes = 65_536) {
      const all = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
      for (let at = 0; at < all.length; at += pieceBytes)
        relay.receive(from, Buffer.from(all.subarray(at, at + pieceBytes)));
    },
    end: (from) => relay.end(from, true),
    cut: () => relay.cut('CLIENT_GONE', ''),
  };
}

export const get = 'GET / HTTP/1.1\r\nHost: shop.example\r\nAccept: text/html\r\n\r\n';

/** A response with Content-Length. */
export function responseOf(fields: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${fields}Content-Length: ${body.length}\r\n\r\n`), body]);
}

/** A request with Content-Length. */
export function postOf(fields: string, body: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(`POST / HTTP/1.1\r\nHost: shop.example\r\n${fields}Content-Length: ${body.length}\r\n\r\n`),
    body,
  ]);
}
