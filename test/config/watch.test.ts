import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ConfigWatch, watchConfig } from '../../src/config/watch.ts';

let directory: string;
let watch: ConfigWatch | undefined;
let changes: number;
const times = { settleMs: 30, pollMs: 60_000 };
const count = (): void => {
  changes += 1;
};

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'daylight-watch-'));
  changes = 0;
});

afterEach(() => {
  watch?.close();
  watch = undefined;
  rmSync(directory, { recursive: true, force: true });
});

const path = (name: string): string => join(directory, name);

async function expectChanges(expected: number): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (changes < expected && performance.now() < deadline) await pause(10);
  await pause(150);
  expect(changes).toBe(expected);
}

describe('watching configuration files', () => {
  test('tells of a file that is written in place, once', async () => {
    writeFileSync(path('a.yaml'), 'one');
    watch = watchConfig([path('a.yaml')], count, times);
    writeFileSync(path('a.yaml'), 'two');
    writeFileSync(path('a.yaml'), 'three, longer');
    await expectChanges(1);
  });

  test('tells of saves by renaming, again and again', async () => {
    writeFileSync(path('a.yaml'), 'one');
    watch = watchConfig([path('a.yaml')], count, times);
    for (const turn of [1, 2, 3]) {
      writeFileSync(path('.a.yaml.new'), `turn ${turn}`);
      renameSync(path('.a.yaml.new'), path('a.yaml'));
      await expectChanges(turn);
    }
  });

  test('tells of symbolic links that are swapped as Kubernetes does', async () => {
    for (const version of ['v1', 'v2', 'v3']) {
      mkdirSync(path(version));
      writeFileSync(join(path(version), 'a.yaml'), version);
    }
    symlinkSync('v1', path('..data'));
    symlinkSync('..data/a.yaml', path('a.yaml'));
    watch = watchConfig([path('a.yaml')], count, times);
    for (const [index, version] of ['v2', 'v3'].entries()) {
      symlinkSync(version, path('..next'));
      renameSync(path('..next'), path('..data'));
      await expectChanges(index + 1);
    }
    writeFileSync(join(path('v3'), 'a.yaml'), 'in place, where the link leads');
    await expectChanges(3);
  });

  test('tells of files that appear, change and go where a pattern fits them', async () => {
    mkdirSync(path('rules'));
    watch = watchConfig([path('rules/*.yaml')], count, times);
    writeFileSync(path('rules/one.yaml'), 'one');
    await expectChanges(1);
    writeFileSync(path('rules/one.yaml'), 'changed');
    await expectChanges(2);
    unlinkSync(path('rules/one.yaml'));
    await expectChanges(3);
  });

  test('is silent about other files of the same directory', async () => {
    writeFileSync(path('a.yaml'), 'one');
    watch = watchConfig([path('a.yaml')], count, times);
    writeFileSync(path('b.yaml'), 'other');
    writeFileSync(path('.a.yaml.swp'), 'editor');
    await expectChanges(0);
  });

  test('tells of a change while other files of the directory are written without end', async () => {
    writeFileSync(path('a.yaml'), 'one');
    watch = watchConfig([path('a.yaml')], count, times);
    let size = 0;
    const busy = setInterval(() => writeFileSync(path('download.bin'), 'x'.repeat(++size)), 5);
    try {
      writeFileSync(path('a.yaml'), 'two, longer');
      await expectChanges(1);
    } finally {
      clearInterval(busy);
    }
  });

  test('waits for a file that is still being written', async () => {
    writeFileSync(path('a.yaml'), 'one');
    watch = watchConfig([path('a.yaml')], count, { settleMs: 200, pollMs: 10 });
    for (const text of ['', 'two', 'two, ', 'two, lo', 'two, longer']) {
      writeFileSync(path('a.yaml'), text);
      await pause(20);
      expect(changes).toBe(0);
    }
    await expectChanges(1);
  });

  test('finds by polling what no event tells, such as a file whose directory appears later', async () => {
    watch = watchConfig([path('later/a.yaml')], count, { settleMs: 10, pollMs: 50 });
    mkdirSync(path('later'));
    writeFileSync(path('later/a.yaml'), 'one');
    await expectChanges(1);
    writeFileSync(path('later/a.yaml'), 'two, longer');
    await expectChanges(2);
  });

  test('follows other files when told, without losing a change that came before', async () => {
    writeFileSync(path('a.yaml'), 'one');
    writeFileSync(path('b.yaml'), 'one');
    watch = watchConfig([path('a.yaml')], count, { settleMs: 20, pollMs: 60_000 });
    writeFileSync(path('a.yaml'), 'changed while a reload runs');
    watch.follow([path('a.yaml'), path('b.yaml')]);
    await expectChanges(1);
    writeFileSync(path('b.yaml'), 'two, longer');
    await expectChanges(2);
  });

  test('is silent after close', async () => {
    writeFileSync(path('a.yaml'), 'one');
    watch = watchConfig([path('a.yaml')], count, times);
    writeFileSync(path('a.yaml'), 'two, longer');
    watch.close();
    await expectChanges(0);
  });
});
