import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RecordsPolicy } from '../../src/core/policy.ts';
import { openRecorder, type RecorderHandle } from '../../src/records/recorder.ts';
import { ocsfProblems } from '../support/ocsf.ts';
import { policyDocument } from '../support/policy.ts';
import { alarmFacts, flowFacts, startMs, transactionFacts } from '../support/record-facts.ts';

interface Line {
  readonly class_uid: number;
  readonly count?: number;
  readonly metadata: { readonly sequence: number };
}

const problems: string[] = [];
const open: RecorderHandle[] = [];

beforeEach(() => {
  problems.length = 0;
});
/** Before its directory goes: what still waits would make it anew. */
async function closeAll(): Promise<void> {
  for (const recorder of open.splice(0)) await recorder.close();
}
afterEach(closeAll);

function record(directory: string, policy: Partial<RecordsPolicy>): RecorderHandle {
  const recorder = openRecorder({
    directory,
    slot: 0,
    policy: { ...policyDocument().records, ...policy },
    onProblem: (problem) => problems.push(problem),
  });
  open.push(recorder);
  return recorder;
}

function linesOf(path: string): readonly Line[] {
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return lines.map((text) => {
    const line: unknown = JSON.parse(text);
    expect(ocsfProblems(line)).toEqual([]);
    return line as Line;
  });
}

/** Numbers that no line has, of those up to the last. */
function gaps(lines: readonly Line[]): number {
  const sequences = lines.map(({ metadata }) => metadata.sequence);
  expect(sequences).toEqual(sequences.toSorted((one, other) => one - other));
  return (sequences.at(-1) ?? -1) + 1 - sequences.length;
}

const lost = (lines: readonly Line[]): number =>
  lines.reduce((sum, line) => sum + (line.class_uid === 0 ? (line.count ?? 0) : 0), 0);

describe('a device that is always full', () => {
  let directory = '';
  const alarms = (): string => join(directory, 'alarms-0.ndjson');
  const traffic = (): string => join(directory, 'traffic-0.ndjson');

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'daylight-full-'));
    for (const path of [alarms(), traffic()]) symlinkSync('/dev/full', path);
  });
  afterEach(async () => {
    await closeAll();
    rmSync(directory, { recursive: true });
  });

  test('continue: alarms and traffic go on, and wait in memory for a better disk', async () => {
    const recorder = record(directory, { onFailure: 'continue' });
    recorder.alarm(flowFacts(), alarmFacts());
    recorder.httpTransaction(flowFacts(), transactionFacts());
    await recorder.flush();
    expect(recorder.isWritable()).toBe(true);
    expect(problems).toHaveLength(2);
    expect(problems[0]).toMatch(
      /^alarms-0\.ndjson cannot be written \(ENOSPC: .*; 0 lines are lost so far; traffic goes on/,
    );
    for (const path of [alarms(), traffic()]) unlinkSync(path);
    recorder.alarm(flowFacts(), alarmFacts());
    await recorder.close();
    // The device was open: only what opens the file anew reaches the new one.
    expect(gaps(linesOf(alarms()))).toBe(0);
  });

  test('continue: what memory cannot hold is counted, told once per interval, and shows as a gap', async () => {
    const recorder = record(directory, { onFailure: 'continue' });
    const body = Buffer.alloc(8_192, 'x');
    const transaction = transactionFacts({ responseExcerpt: body });
    for (let index = 0; index < 2_000; index += 1) recorder.httpTransaction(flowFacts(), transaction);
    await recorder.flush();
    expect(recorder.metrics.dropped).toBeGreaterThan(500);
    expect(problems.length).toBeLessThan(4);
    const left = recorder.metrics.dropped;
    await recorder.close();
    open.length = 0;
    expect(recorder.metrics.dropped).toBe(2_000);
    expect(problems.at(-1)).toBe(`the gateway ends and ${2_000 - left} records could not be written`);
  });

  test('stop: an alarm that cannot be written throws, and no new flow may begin', () => {
    const recorder = record(directory, { onFailure: 'stop' });
    expect(recorder.isWritable()).toBe(true);
    expect(() => recorder.alarm(flowFacts(), alarmFacts())).toThrowError('GATEWAY_RECORDS_UNWRITABLE');
    expect(recorder.isWritable()).toBe(false);
    expect(() => recorder.httpTransaction(flowFacts(), transactionFacts())).toThrowError('GATEWAY_RECORDS_UNWRITABLE');
    expect(() => recorder.flowEnd(flowFacts(), startMs)).toThrowError('GATEWAY_RECORDS_UNWRITABLE');
    expect(problems[0]).toMatch(/flows are refused/);
  });

  test('stop: traffic that cannot be written stops too', async () => {
    const recorder = record(directory, { onFailure: 'stop' });
    recorder.httpTransaction(flowFacts(), transactionFacts());
    await recorder.flush();
    expect(recorder.isWritable()).toBe(false);
    expect(() => recorder.flowEnd(flowFacts(), startMs)).toThrowError('GATEWAY_RECORDS_UNWRITABLE');
  });
});

describe('a directory that cannot be made', () => {
  let parent = '';
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'daylight-nodir-'));
    writeFileSync(join(parent, 'records'), 'a file is in the way');
  });
  afterEach(async () => {
    await closeAll();
    rmSync(parent, { recursive: true });
  });

  test('is told, and tried again until it can', async () => {
    const recorder = record(join(parent, 'records'), { onFailure: 'stop' });
    expect(recorder.isWritable()).toBe(false);
    expect(problems).toHaveLength(2);
    unlinkSync(join(parent, 'records'));
    await expect.poll(() => recorder.isWritable(), { timeout: 5_000 }).toBe(true);
    recorder.flowEnd(flowFacts(), startMs);
    await recorder.flush();
    expect(linesOf(join(parent, 'records', 'traffic-0.ndjson'))).toHaveLength(1);
    expect(problems.at(-1)).toMatch(/is written again after \d+ s; 0 lines are lost/);
  });
});

const mountable = canMount();
if (!mountable) console.warn('SKIPPED: a real full disk needs root and mount(8)');

describe.skipIf(!mountable)('a disk of one megabyte', () => {
  const mountPoint = mkdtempSync(join(tmpdir(), 'daylight-tmpfs-'));
  const directory = join(mountPoint, 'records');
  const ballast = join(mountPoint, 'ballast');

  beforeAll(() => execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', mountPoint]));
  beforeEach(() => {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory);
    writeFileSync(ballast, Buffer.alloc(700_000));
  });
  afterAll(() => {
    execFileSync('umount', [mountPoint]);
    rmSync(mountPoint, { recursive: true });
  });

  test('traffic: what the disk did not take is written when there is room, whole and in order', async () => {
    const recorder = record(directory, { onFailure: 'continue' });
    for (let depth = 0; depth < 400; depth += 1) recorder.httpTransaction(flowFacts(), transactionFacts({ depth }));
    await recorder.flush();
    expect(problems[0]).toMatch(/^traffic-0\.ndjson cannot be written \(ENOSPC/);
    execFileSync('mount', ['-o', 'remount,size=8m', mountPoint]);
    recorder.flowEnd(flowFacts(), startMs);
    await recorder.flush();
    const lines = linesOf(join(directory, 'traffic-0.ndjson'));
    expect(lines).toHaveLength(401);
    expect(gaps(lines)).toBe(0);
    expect(problems.at(-1)).toMatch(/is written again after \d+ s; 0 lines are lost$/);
    execFileSync('mount', ['-o', 'remount,size=8m', mountPoint]);
  });

  test('traffic: no half line is left at the end, and what is not in the file is counted', async () => {
    execFileSync('mount', ['-o', 'remount,size=1m', mountPoint]);
    const recorder = record(directory, { onFailure: 'continue' });
    for (let depth = 0; depth < 400; depth += 1) recorder.httpTransaction(flowFacts(), transactionFacts({ depth }));
    await recorder.close();
    open.length = 0;
    const text = readFileSync(join(directory, 'traffic-0.ndjson'), 'utf8');
    expect(text.at(-1)).toBe('\n');
    const left = 400 - linesOf(join(directory, 'traffic-0.ndjson')).length;
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(400);
    expect(problems.at(-1)).toBe(`the gateway ends and ${left} records could not be written`);
  });

  test('traffic: a gap in the numbers is as wide as the loss that is recorded', async () => {
    execFileSync('mount', ['-o', 'remount,size=8m', mountPoint]);
    writeFileSync(ballast, Buffer.alloc(7_900_000));
    const recorder = record(directory, { onFailure: 'continue' });
    const transaction = transactionFacts({ responseExcerpt: Buffer.alloc(8_192, 'x') });
    for (let index = 0; index < 1_500; index += 1) recorder.httpTransaction(flowFacts(), transaction);
    await recorder.flush();
    expect(recorder.metrics.dropped).toBeGreaterThan(100);
    rmSync(ballast);
    execFileSync('mount', ['-o', 'remount,size=32m', mountPoint]);
    await recorder.flush();
    await recorder.flush();
    const lines = linesOf(join(directory, 'traffic-0.ndjson'));
    expect(lost(lines)).toBe(recorder.metrics.dropped);
    expect(gaps(lines)).toBe(recorder.metrics.dropped);
  });

  test.each(['continue', 'stop'] as const)(
    'alarms, %s: no half line is left, and the loss is on record',
    async (onFailure) => {
      execFileSync('mount', ['-o', 'remount,size=1m', mountPoint]);
      const recorder = record(directory, { onFailure });
      let refused = 0;
      for (let index = 0; index < 200; index += 1) {
        try {
          recorder.alarm(flowFacts(), alarmFacts());
        } catch {
          refused += 1;
        }
      }
      const full = linesOf(join(directory, 'alarms-0.ndjson'));
      expect(full.length).toBeGreaterThan(20);
      expect(full.length).toBeLessThan(200);
      expect(refused).toBe(onFailure === 'stop' ? 200 - full.length : 0);
      rmSync(ballast);
      await recorder.flush();
      expect(recorder.isWritable()).toBe(true);
      const lines = linesOf(join(directory, 'alarms-0.ndjson'));
      expect(lines.filter(({ class_uid }) => class_uid === 2004)).toHaveLength(200 - refused);
      expect(lost(lines)).toBe(refused);
      expect(gaps(lines)).toBe(refused);
    },
  );
});

function canMount(): boolean {
  const probe = mkdtempSync(join(tmpdir(), 'daylight-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', probe], { stdio: 'ignore' });
    execFileSync('umount', [probe], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
}
