import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { findLogs, type LoggedFile, type LogSeries } from './log-files.ts';
import { type StoredLine, storedLine } from './log-reader.ts';
import type { LogName } from './metadata.ts';

interface Tail {
  readonly descriptor: number;
  readonly inode: number;
  offset: number;
}

/** More than the longest line. */
const readBytes = 262_144;

/** Reads what is added to logs, through rotations and new relays. */
export class LogFollower {
  readonly #directory: string;
  readonly #logs: readonly LogName[];
  readonly #tails = new Map<string, Tail>();

  /** Starts behind what `seen` holds. */
  constructor(directory: string, logs: readonly LogName[], seen: readonly LogSeries[]) {
    this.#directory = directory;
    this.#logs = logs;
    for (const { key, files } of seen) {
      const last = files.at(-1);
      const tail = last === undefined ? undefined : this.#openWherever(last);
      if (tail !== undefined) this.#tails.set(key, tail);
    }
  }

  /** Lines that were added since the last look, in the order of their time. */
  look(): readonly StoredLine[] {
    const lines = findLogs(this.#directory, this.#logs).flatMap((series) => this.#lookAt(series));
    return lines.sort((one, other) => one.timeMs - other.timeMs);
  }

  /** Closes all files. */
  close(): void {
    for (const { descriptor } of this.#tails.values()) closeSync(descriptor);
    this.#tails.clear();
  }

  #lookAt({ key, files }: LogSeries): readonly StoredLine[] {
    let tail = this.#tails.get(key);
    const lines = tail === undefined ? [] : newLines(tail);
    const present = files.findIndex(({ inode }) => inode === tail?.inode);
    // A file that is gone was removed as too old, or somebody removed all: what is left is newer.
    for (const file of files.slice(present + 1)) {
      // Once more: the file may have been added to before it was set aside.
      if (tail !== undefined) lines.push(...newLines(tail));
      const next = open(file, 0);
      // Rotated since the directory was looked at: the next look finds it under its new name.
      if (next === undefined) break;
      tail = this.#replace(key, next);
      lines.push(...newLines(tail));
    }
    return lines;
  }

  /** Opens a file behind what was seen of it, under another name when it was rotated meanwhile. */
  #openWherever(seen: LoggedFile): Tail | undefined {
    for (let attempt = 0, file: LoggedFile | undefined = seen; file !== undefined && attempt < 20; attempt += 1) {
      const tail = open(file, seen.bytes);
      if (tail !== undefined) return tail;
      const present = findLogs(this.#directory, this.#logs).flatMap(({ files }) => files);
      file = present.find(({ inode }) => inode === seen.inode);
    }
    return undefined;
  }

  #replace(key: string, tail: Tail): Tail {
    const before = this.#tails.get(key);
    this.#tails.set(key, tail);
    if (before !== undefined) closeSync(before.descriptor);
    return tail;
  }
}

/** Opens a file that was seen; undefined when its name means another one by now, or none. */
function open({ path, inode }: LoggedFile, offset: number): Tail | undefined {
  try {
    const descriptor = openSync(path, 'r');
    if (fstatSync(descriptor).ino === inode) return { descriptor, inode, offset };
    closeSync(descriptor);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  return undefined;
}

/** Whole lines behind the offset, which is moved behind them. */
function newLines(tail: Tail): StoredLine[] {
  const lines: StoredLine[] = [];
  const buffer = Buffer.allocUnsafe(readBytes);
  for (;;) {
    const length = readSync(tail.descriptor, buffer, 0, readBytes, tail.offset);
    const end = buffer.subarray(0, length).lastIndexOf(0x0a) + 1;
    const texts = buffer.toString('utf8', 0, end).split('\n');
    lines.push(...texts.flatMap((text) => storedLine(text) ?? []));
    // A piece without an end of a line is a line that is being written, or one that is none of ours.
    tail.offset += end === 0 && length === readBytes ? length : end;
    if (length < readBytes) return lines;
  }
}
