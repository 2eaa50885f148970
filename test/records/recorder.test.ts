import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RecordsPolicy } from '../../src/core/policy.ts';
import { openRecorder, type RecorderHandle } from '../../src/records/recorder.ts';
import { ocsfProblems } from '../support/ocsf.ts';
import { policyDocument } from '../support/policy.ts';
import { alarmFacts, flowFacts, startMs, transactionFacts } from '../support/record-facts.ts';

interface Line {
  readonly class_uid: number;
  readonly time: number;
  readonly metadata: {
    readonly uid: string;
    readonly sequence: number;
    readonly correlation_uid: string;
    readonly log_source: string;
  };
}

let directory = '';
const open: RecorderHandle[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'daylight-records-'));
});
afterEach(async () => {
  for (const recorder of open.splice(0)) await recorder.close();
  rmSync(directory, { recursive: true });
});

function record(policy: Partial<RecordsPolicy> = {}, slot = 0): RecorderHandle {
  const recorder = openRecorder({
    directory,
    slot,
    policy: { ...policyDocument().records, ...policy },
    now: () => startMs + 100,
    onProblem: (problem) => {
      throw new Error(problem);
    },
  });
  open.push(recorder);
  return recorder;
}

/** Every line of the files whose name matches, in the order of names; each must be valid. */
function linesOf(pattern: RegExp): readonly Line[] {
  return readdirSync(directory)
    .filter((name) => pattern.test(name))
    .sort()
    .flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n').slice(0, -1))
    .map((text) => {
      const line: unknown = JSON.parse(text);
      expect(ocsfProblems(line)).toEqual([]);
      return line as Line;
    });
}

const count = (length: number): number[] => Array.from({ length }, (_, index) => index);

describe('the traffic log', () => {
  test('holds every line in order, numbered from 0 without a gap', async () => {
    const recorder = record();
    for (const depth of count(500)) recorder.httpTransaction(flowFacts(), transactionFacts({ depth }));
    recorder.flowEnd(flowFacts(), startMs + 80);
    await recorder.flush();
    const lines = linesOf(/^traffic-0\.ndjson$/);
    expect(lines.map(({ metadata }) => metadata.sequence)).toEqual(count(501));
    expect(lines.at(-1)?.class_uid).toBe(4001);
    expect(recorder.metrics).toMatchObject({ traffic: 501, alarms: 0, dropped: 0 });
    expect(recorder.metrics.bytes).toBe(readFileSync(join(directory, 'traffic-0.ndjson')).length);
  });

  test('is written without being asked, soon', async () => {
    const recorder = record();
    recorder.flowEnd(flowFacts(), startMs);
    expect(linesOf(/^traffic/)).toHaveLength(0);
    await expect.poll(() => linesOf(/^traffic/).length, { timeout: 2_000 }).toBe(1);
  });

  test('loses nothing at the end, also what comes while it is written', async () => {
    const recorder = record();
    for (const depth of count(200)) recorder.httpTransaction(flowFacts(), transactionFacts({ depth }));
    const closed = recorder.close();
    recorder.flowEnd(flowFacts(), startMs);
    await closed;
    expect(linesOf(/^traffic/)).toHaveLength(201);
  });

  test('is rotated between lines, and nothing is lost or doubled', async () => {
    const recorder = record({ rotateBytes: 200_000 });
    for (const batch of count(20)) {
      for (const depth of count(20))
        recorder.httpTransaction(flowFacts(), transactionFacts({ depth: batch * 20 + depth }));
      await recorder.flush();
    }
    expect(readdirSync(directory).filter((name) => name.startsWith('traffic-0.2')).length).toBeGreaterThan(3);
    expect(linesOf(/^traffic-0\.2/).length + linesOf(/^traffic-0\.ndjson$/).length).toBe(400);
    const sequences = linesOf(/^traffic/).map(({ metadata }) => metadata.sequence);
    expect(sequences.toSorted((one, other) => one - other)).toEqual(count(400));
  });

  test('of another relay is another file; after a restart the same one goes on', async () => {
    for (const slot of [0, 1, 0]) {
      const recorder = record({}, slot);
      recorder.flowEnd(flowFacts(), startMs);
      await recorder.close();
    }
    const lines = linesOf(/^traffic-0/);
    expect(lines.map(({ metadata }) => metadata.sequence)).toEqual([0, 0]);
    expect(new Set(lines.map(({ metadata }) => metadata.log_source)).size).toBe(2);
    expect(linesOf(/^traffic-1/)).toHaveLength(1);
  });
});

describe('the alarm log', () => {
  test.each(['write', 'sync'] as const)('has the alarm before the call returns (%s)', (alarmDurability) => {
    const recorder = record({ alarmDurability });
    for (const index of count(3)) {
      recorder.alarm(flowFacts(), alarmFacts());
      const lines = linesOf(/^alarms-0/);
      expect(lines.map(({ metadata }) => metadata.sequence)).toEqual(count(index + 1));
    }
    expect(recorder.metrics.alarms).toBe(3);
  });

  test('joins traffic: flow by correlation_uid, transaction by its uid', async () => {
    const recorder = record();
    const transaction = transactionFacts();
    recorder.alarm(flowFacts(), alarmFacts({ txId: transaction.txId }));
    recorder.httpTransaction(flowFacts(), transaction);
    recorder.flowEnd(flowFacts(), startMs + 90);
    await recorder.flush();
    const [alarm] = linesOf(/^alarms/) as unknown as [
      { finding_info: { related_events: { uid: string }[] }; metadata: { correlation_uid: string } },
    ];
    const traffic = linesOf(/^traffic/);
    expect(traffic.map(({ metadata }) => metadata.correlation_uid)).toEqual(
      traffic.map(() => alarm.metadata.correlation_uid),
    );
    expect(traffic.map(({ metadata }) => metadata.uid)).toEqual(
      alarm.finding_info.related_events.map(({ uid }) => uid),
    );
  });

  test('is rotated too', () => {
    const recorder = record({ rotateBytes: 10_000 });
    for (let index = 0; index < 12; index += 1) recorder.alarm(flowFacts(), alarmFacts());
    expect(linesOf(/^alarms-0\.2/).length + linesOf(/^alarms-0\.ndjson/).length).toBe(12);
    expect(readdirSync(directory).filter((name) => name.startsWith('alarms-0.2')).length).toBeGreaterThan(1);
  });
});

test('a process that just ends has its records written', async () => {
  const script = `
    const { openRecorder } = await import(${JSON.stringify(new URL('../../src/records/recorder.ts', import.meta.url).href)});
    const { flowFacts } = await import(${JSON.stringify(new URL('../support/record-facts.ts', import.meta.url).href)});
    const recorder = openRecorder({ directory: process.argv[1], slot: 3, onProblem: console.error,
      policy: { rotateBytes: 0, rotateSeconds: 0, keep: 0, onFailure: 'continue', alarmDurability: 'write' } });
    for (let index = 0; index < 100; index += 1) recorder.flowEnd(flowFacts(), Date.now());`;
  const { execFileSync } = await import('node:child_process');
  execFileSync(process.execPath, ['--input-type=module', '--eval', script, directory], { stdio: 'pipe' });
  expect(linesOf(/^traffic-3/)).toHaveLength(100);
});
