import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { limits } from '../core/limits.ts';
import type { LogName } from './metadata.ts';

/** One file of a log as it was when it was looked at. */
export interface LoggedFile {
  readonly path: string;
  readonly inode: number;
  /** Bytes up to the end of the last whole line. */
  readonly bytes: number;
  readonly modifiedMs: number;
}

/** The files of one log of one relay, oldest first; the last one is being written unless its name has a time. */
export interface LogSeries {
  readonly key: string;
  readonly files: readonly LoggedFile[];
}

const fileName = /^((traffic|alarms)-\d+)(?:\.(\d{8}T\d{9}Z))?\.ndjson$/;

interface Name {
  readonly name: string;
  readonly key: string;
  /** Time of the rotation; sorts last where there is none. */
  readonly time: string;
}

/** Looks at the directory until it stayed the same meanwhile, at most so often. */
const looks = 20;

/** Finds the files of the given logs. Throws the error of the system when the directory cannot be read. */
export function findLogs(directory: string, logs: readonly LogName[]): readonly LogSeries[] {
  let names = namesIn(directory, logs);
  for (let look = 1; ; look += 1) {
    const series = seriesOf(directory, names);
    const after = namesIn(directory, logs);
    // A rotation in between would hide a file: its old name is another file now, and its new name was not there yet.
    if (look === looks || after.map(({ name }) => name).join() === names.map(({ name }) => name).join()) return series;
    names = after;
  }
}

function namesIn(directory: string, logs: readonly LogName[]): readonly Name[] {
  return readdirSync(directory)
    .flatMap((name) => {
      const [, key, log, time = '~'] = fileName.exec(name) ?? [];
      return key !== undefined && logs.some((wanted) => wanted === log) ? [{ name, key, time }] : [];
    })
    .sort((one, other) => (one.time < other.time ? -1 : Number(one.time > other.time)));
}

function seriesOf(directory: string, names: readonly Name[]): readonly LogSeries[] {
  const keys = [...new Set(names.map(({ key }) => key))].sort();
  return keys.map((key) => ({
    key,
    files: names.flatMap((file) => (file.key === key ? lookAt(join(directory, file.name)) : [])),
  }));
}

function lookAt(path: string): readonly LoggedFile[] {
  try {
    const { ino, size, mtimeMs } = statSync(path);
    return [{ path, inode: ino, bytes: endOfLines(path, size), modifiedMs: mtimeMs }];
  } catch (error) {
    // Rotated or removed since the directory was read.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** A line that is being written has no end yet. */
function endOfLines(path: string, size: number): number {
  if (size === 0) return 0;
  const descriptor = openSync(path, 'r');
  try {
    const window = Buffer.alloc(Math.min(size, 2 * limits.recordLineBytes));
    const length = readSync(descriptor, window, 0, window.length, size - window.length);
    return size - window.length + window.lastIndexOf(0x0a, length - 1) + 1;
  } finally {
    closeSync(descriptor);
  }
}
