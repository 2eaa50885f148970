import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LogFile } from '../../src/records/log-file.ts';
import type { RotationPolicy } from '../../src/records/rotation.ts';

let directory = '';
let nowMs = Date.UTC(2026, 0, 15, 9, 30);
const problems: string[] = [];
const files: LogFile[] = [];

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'daylight-log-')), 'records');
  problems.length = 0;
});
afterEach(() => {
  for (const file of files.splice(0)) file.close();
  rmSync(join(directory, '..'), { recursive: true });
});

function logFile(policy: Partial<RotationPolicy> = {}): LogFile {
  const file = new LogFile({
    directory,
    name: 'traffic-0',
    rotateBytes: 1_000_000,
    rotateSeconds: 0,
    keep: 0,
    now: () => nowMs,
    onProblem: (problem) => problems.push(problem),
    ...policy,
  });
  files.push(file);
  return file;
}

const path = (): string => join(directory, 'traffic-0.ndjson');
const content = (): string => readFileSync(path(), 'utf8');
const line = (text: string): Buffer => Buffer.from(`${text}\n`);

describe('opening', () => {
  test('makes directory and file, neither readable by all', () => {
    logFile().open();
    expect(statSync(directory).mode & 0o777).toBe(0o750);
    expect(statSync(path()).mode & 0o777).toBe(0o640);
  });

  test('goes on in a file that is there', async () => {
    const first = logFile();
    first.writeSync(line('{"a":1}'), false);
    first.close();
    const second = logFile();
    await second.write(line('{"a":2}'));
    expect(content()).toBe('{"a":1}\n{"a":2}\n');
    expect(second.tornBytes).toBe(0);
  });

  test.each(['{"a":1}\n{"b', '{"torn', '{"a":1}\n{"b":2}'])('removes the torn end of %j', (before) => {
    logFile().open();
    writeFileSync(path(), before);
    const file = logFile();
    file.writeSync(line('{"c":3}'), false);
    expect(file.tornBytes).toBe(before.length - (before.lastIndexOf('\n') + 1));
    for (const text of content().trimEnd().split('\n')) JSON.parse(text);
    expect(content().endsWith('{"c":3}\n')).toBe(true);
  });

  test('leaves alone what can be no line of a log, and starts on a new one', () => {
    logFile().open();
    writeFileSync(path(), 'x'.repeat(200_000));
    logFile().writeSync(line('{"c":3}'), true);
    expect(content()).toBe(`${'x'.repeat(200_000)}\n{"c":3}\n`);
  });

  test('notices that somebody removed the file', () => {
    const file = logFile();
    file.writeSync(line('{"a":1}'), false);
    rmSync(path());
    file.closeIfRemoved();
    file.writeSync(line('{"b":2}'), false);
    expect(content()).toBe('{"b":2}\n');
  });
});

describe('rotation', () => {
  const rotated = (): string[] => readdirSync(directory).filter((name) => name !== 'traffic-0.ndjson');

  test('sets a file aside that is large enough, under its time', () => {
    const file = logFile({ rotateBytes: 20 });
    for (const text of ['{"a":11111}', '{"b":22222}', '{"c":33333}']) {
      file.rotateIfDue();
      file.writeSync(line(text), false);
    }
    expect(rotated()).toEqual(['traffic-0.20260115T093000000Z.ndjson']);
    expect(content()).toBe('{"c":33333}\n');
  });

  test('sets a file aside that is old enough, and an empty one never', () => {
    const file = logFile({ rotateSeconds: 60 });
    file.open();
    nowMs += 61_000;
    file.rotateIfDue();
    expect(rotated()).toEqual([]);
    file.writeSync(line('{"a":1}'), false);
    file.rotateIfDue();
    expect(rotated()).toHaveLength(1);
  });

  test('counts on when two get the same time, and keeps the newest', () => {
    const file = logFile({ rotateBytes: 1, keep: 2 });
    for (let index = 0; index < 13; index += 1) {
      file.rotateIfDue();
      file.writeSync(line(`{"n":${index}}`), false);
    }
    expect(rotated()).toHaveLength(2);
    expect(
      rotated()
        .map((name) => readFileSync(join(directory, name), 'utf8'))
        .sort(),
    ).toEqual(['{"n":10}\n', '{"n":11}\n']);
  });

  test('removes only its own files', () => {
    const file = logFile({ rotateBytes: 1, keep: 1 });
    file.open();
    for (const name of [
      'traffic-01.20200101T000000000Z.ndjson',
      'traffic-0.old.ndjson',
      'alarms-0.20200101T000000000Z.ndjson',
    ]) {
      appendFileSync(join(directory, name), 'x');
    }
    for (const text of ['1', '2', '3']) {
      file.rotateIfDue();
      file.writeSync(line(text), false);
    }
    expect(rotated()).toHaveLength(4);
  });

  test('that fails is told, and the log goes on', () => {
    const file = logFile({ rotateBytes: 1 });
    file.writeSync(line('1'), false);
    rmSync(path());
    file.rotateIfDue();
    file.writeSync(line('2'), false);
    expect(problems).toEqual([expect.stringContaining('traffic-0.ndjson cannot be rotated: ENOENT')]);
  });
});
