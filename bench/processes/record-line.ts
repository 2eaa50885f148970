import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FlowFacts, HttpTransactionFacts } from '../../src/core/record.ts';
import { maskSensitive } from '../../src/core/sensitive.ts';
import { connectionPart, endpointParts, gatewayParts, proxyParts } from '../../src/records/flow-parts.ts';
import { httpRecordLine } from '../../src/records/http-record.ts';
import { flowMetadata, recordMetadata } from '../../src/records/metadata.ts';
import { outcomeOf } from '../../src/records/outcome.ts';
import { openRecorder } from '../../src/records/recorder.ts';
import { headerMaskOf, maskHeaderValue, maskText } from '../../src/records/redact.ts';
import { tlsText } from '../../src/records/tls-parts.ts';
import { flowFacts, startMs, transactionFacts, writer } from '../../test/support/record-facts.ts';

/** Microseconds for the record of one exchange with a body of 1 KB: `node bench/processes/record-line.ts`. */

const flow = flowFacts();
const transaction = transactionFacts();
const tlsOfFlow = JSON.parse(`{${tlsText(flow, false)}}`) as object;
const directory = mkdtempSync(join(tmpdir(), 'daylight-bench-'));
const recorder = openRecorder({
  directory,
  slot: 0,
  policy: {
    directory,
    rotateBytes: 0,
    rotateSeconds: 0,
    keep: 0,
    bodyExcerptBytes: 2_048,
    onFailure: 'continue',
    alarmDurability: 'write',
  },
  onProblem: (problem) => process.stderr.write(`${problem}\n`),
});

let sequence = 0;
const stamp = () => ({ sequence: sequence++, loggedMs: startMs });
process.stdout.write(`line of ${Buffer.byteLength(httpRecordLine(writer, flow, transaction, stamp()))} bytes\n`);
measure('line (build, redact, serialise)', () => httpRecordLine(writer, flow, transaction, stamp()));
measure('the same by objects and JSON.stringify', () => plainLine(flow, transaction));
measure('first line of a flow', () => httpRecordLine(writer, { ...flow }, transaction, stamp()));
await measureRecorder();
rmSync(directory, { recursive: true });

function measure(name: string, work: () => unknown): void {
  for (let index = 0; index < 20_000; index += 1) work();
  const rounds = Array.from({ length: 20 }, () => {
    const start = process.hrtime.bigint();
    for (let index = 0; index < 5_000; index += 1) work();
    return Number(process.hrtime.bigint() - start) / 5_000_000;
  });
  report(name, rounds);
}

/** CPU time of the whole process, the thread that writes included. */
async function measureRecorder(): Promise<void> {
  const rounds: number[] = [];
  for (let round = 0; round < 20; round += 1) {
    const start = process.cpuUsage();
    for (let index = 0; index < 1_000; index += 1) recorder.httpTransaction(flow, transaction);
    await recorder.flush();
    const { user, system } = process.cpuUsage(start);
    rounds.push((user + system) / 1_000);
  }
  await recorder.close();
  report('recorded and written to disk, CPU', rounds);
}

function report(name: string, rounds: readonly number[]): void {
  const sorted = rounds.toSorted((one, other) => one - other);
  const [least = 0, median = 0] = [sorted[0], sorted[Math.floor(sorted.length / 2)]];
  process.stdout.write(`${name.padEnd(42)} ${least.toFixed(2)} us least, ${median.toFixed(2)} us median\n`);
}

/** What a line costs when nothing is kept from one to the next. */
function plainLine(
  facts: FlowFacts,
  { request, response, outcome, startMs: from, endMs, txId }: HttpTransactionFacts,
): string {
  const headers = (fields: typeof request.headers) =>
    fields.map(([name, value]) => ({ name, value: maskHeaderValue(headerMaskOf(name), value) }));
  return JSON.stringify({
    time: endMs,
    class_uid: 4002,
    category_uid: 4,
    activity_id: 3,
    type_uid: 400_203,
    ...outcomeOf({ verdict: 'allow', complete: true, failure: undefined, detail: '', alarms: 0 }),
    start_time: from,
    end_time: endMs,
    duration: endMs - from,
    metadata: {
      ...flowMetadata(writer, facts, 'traffic', ['network_proxy', 'security_control']),
      ...recordMetadata(txId, stamp()),
    },
    ...endpointParts(facts),
    connection_info: connectionPart(facts),
    ...proxyParts(facts, writer.node),
    ...tlsOfFlow,
    traffic: { bytes_out: outcome.requestWireBytes, bytes_in: outcome.responseWireBytes },
    http_request: {
      uid: txId,
      http_method: request.method,
      url: { hostname: request.host, path: maskText(request.target) },
      http_headers: headers(request.headers),
    },
    http_response: { code: response?.status, http_headers: headers(response?.headers ?? []) },
    unmapped: {
      gateway: {
        ...gatewayParts(facts),
        response_body: { text: maskSensitive(transaction.responseExcerpt?.toString() ?? '') },
      },
    },
  });
}
