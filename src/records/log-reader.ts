import { closeSync, openSync, readSync } from 'node:fs';
import { limits } from '../core/limits.ts';
import type { LoggedFile, LogSeries } from './log-files.ts';

/** One record as it stands in a file. */
export interface StoredLine {
  /** Milliseconds since the epoch. */
  readonly timeMs: number;
  readonly text: string;
}

const readBytes = 262_144;
/** Lines beyond this are none of ours, and are passed over. */
const longestLineBytes = 4 * limits.recordLineBytes;

/** All lines since a time in the order of their time, from all series at once; memory holds one piece of each file. */
export function readForward(series: readonly LogSeries[], sinceMs: number): Generator<StoredLine> {
  return merge(
    series.map((one) => seriesForward(one, sinceMs)),
    (one, other) => one.timeMs <= other.timeMs,
  );
}

/** All lines, the newest first. */
export function readBackward(series: readonly LogSeries[]): Generator<StoredLine> {
  return merge(series.map(seriesBackward), (one, other) => one.timeMs >= other.timeMs);
}

/** A line with its time; undefined when it is no record. */
export function storedLine(text: string): StoredLine | undefined {
  // Every record begins so; parsing each line only to know its time would cost ten times as much.
  const [, time] = /^\{"time":(\d{1,16}),"class_uid":/.exec(text) ?? [];
  return time === undefined ? undefined : { timeMs: Number(time), text };
}

function* seriesForward({ files }: LogSeries, sinceMs: number): Generator<StoredLine> {
  for (const file of files) {
    if (file.modifiedMs < sinceMs) continue;
    for (const text of linesForward(file)) {
      const line = storedLine(text);
      if (line !== undefined && line.timeMs >= sinceMs) yield line;
    }
  }
}

function* seriesBackward({ files }: LogSeries): Generator<StoredLine> {
  for (const file of files.toReversed()) {
    for (const text of linesBackward(file)) {
      const line = storedLine(text);
      if (line !== undefined) yield line;
    }
  }
}

/** Takes from whichever source has the line that comes first. */
function* merge(
  sources: readonly Generator<StoredLine>[],
  isFirst: (one: StoredLine, other: StoredLine) => boolean,
): Generator<StoredLine> {
  const heads = sources.map((source) => source.next());
  for (;;) {
    let best = -1;
    let bestLine: StoredLine | undefined;
    for (const [index, head] of heads.entries()) {
      if (head.done === true || (bestLine !== undefined && isFirst(bestLine, head.value))) continue;
      [best, bestLine] = [index, head.value];
    }
    const source = sources[best];
    if (bestLine === undefined || source === undefined) return;
    yield bestLine;
    heads[best] = source.next();
  }
}

function* linesForward({ path, bytes }: LoggedFile): Generator<string> {
  const descriptor = openSync(path, 'r');
  try {
    let rest: Buffer = Buffer.alloc(0);
    for (let offset = 0; offset < bytes; ) {
      const piece = readAt(descriptor, offset, Math.min(readBytes, bytes - offset));
      if (piece.length === 0) return;
      offset += piece.length;
      const end = piece.lastIndexOf(0x0a) + 1;
      if (end > 0) yield* splitLines(Buffer.concat([rest, piece.subarray(0, end)]));
      rest = end > 0 ? piece.subarray(end) : bounded(Buffer.concat([rest, piece]));
    }
  } finally {
    closeSync(descriptor);
  }
}

function* linesBackward({ path, bytes }: LoggedFile): Generator<string> {
  const descriptor = openSync(path, 'r');
  try {
    let rest: Buffer = Buffer.alloc(0);
    for (let end = bytes; end > 0; ) {
      const length = Math.min(readBytes, end);
      const piece = Buffer.concat([readAt(descriptor, end - length, length), rest]);
      end -= length;
      // What stands before the first line end may have begun in the piece before.
      const start = end === 0 ? 0 : piece.indexOf(0x0a) + 1;
      if (start > 0 || end === 0) yield* splitLines(piece.subarray(start)).toReversed();
      rest = start > 0 ? piece.subarray(0, start) : bounded(piece);
    }
  } finally {
    closeSync(descriptor);
  }
}

function splitLines(bytes: Buffer): string[] {
  return bytes.toString().split('\n').filter(Boolean);
}

function readAt(descriptor: number, offset: number, length: number): Buffer {
  const buffer = Buffer.allocUnsafe(length);
  return buffer.subarray(0, readSync(descriptor, buffer, 0, length, offset));
}

/** The begin or end of a line that is too long is dropped; what is left of it is no record. */
function bounded(bytes: Buffer): Buffer {
  return bytes.length > longestLineBytes ? Buffer.alloc(0) : bytes;
}
