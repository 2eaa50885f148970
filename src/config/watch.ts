import { type FSWatcher, globSync, realpathSync, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { isPattern } from './input-files.ts';

/** A running watch. */
export interface ConfigWatch {
  /** Watches other files from now on. A change of a file that was watched before is not lost in between. */
  follow(files: readonly string[]): void;
  close(): void;
}

export interface WatchTimes {
  /** How long what has changed must stay as it is before it is believed: an editor writes in several steps. */
  readonly settleMs: number;
  /** The files are also looked at this often: network file systems and some containers tell no events. */
  readonly pollMs: number;
}

/**
 * Calls `onChange` when one of the files (absolute paths; patterns stand for all that fits) has changed, appeared or
 * gone. Directories are watched, not files, so that a save by renaming and the symbolic links that Kubernetes swaps are
 * seen; whether something really changed is then read from the files' state, so that other files cause no call.
 */
export function watchConfig(
  files: readonly string[],
  onChange: () => void,
  times: WatchTimes = { settleMs: 200, pollMs: 5_000 },
): ConfigWatch {
  let followed = files;
  let seen = statesOf(files);
  let watchers: readonly FSWatcher[] = [];
  let settle: NodeJS.Timeout | undefined;
  /** What the last look found, where that was not what is known. */
  let changed: ReadonlyMap<string, string> | undefined;

  const look = (): void => {
    settle = undefined;
    const states = statesOf(followed);
    if (isDeepStrictEqual(states, seen)) {
      changed = undefined;
      return;
    }
    // By the files themselves, not by silence of the directory: others may be written there without end.
    if (!isDeepStrictEqual(states, changed)) {
      changed = states;
      lookIn(times.settleMs);
      return;
    }
    changed = undefined;
    seen = states;
    rewatch();
    onChange();
  };
  const lookIn = (ms: number): void => {
    settle ??= setTimeout(look, ms).unref();
  };
  const onEvent = (): void => lookIn(times.settleMs / 4);
  // After a change the directories themselves may be others: a swapped link leads elsewhere.
  const rewatch = (): void => {
    for (const watcher of watchers) watcher.close();
    watchers = directoriesOf(followed).flatMap((directory) => watchDirectory(directory, onEvent));
  };
  rewatch();
  const poll = setInterval(() => lookIn(0), times.pollMs).unref();
  return {
    follow(next) {
      followed = next;
      seen = new Map([...statesOf(next)].map(([path, state]) => [path, seen.get(path) ?? state]));
      rewatch();
      onEvent();
    },
    close() {
      clearTimeout(settle);
      clearInterval(poll);
      for (const watcher of watchers) watcher.close();
      watchers = [];
    },
  };
}

/** What cannot be watched (no more inotify watches, a directory that is gone) is left to polling. */
function watchDirectory(directory: string, onEvent: () => void): readonly FSWatcher[] {
  try {
    const watcher = watch(directory, { persistent: false }, onEvent);
    watcher.on('error', () => watcher.close());
    return [watcher];
  } catch {
    return [];
  }
}

/** Where a change of the files would show: beside each path, and beside the file that its links lead to. */
function directoriesOf(files: readonly string[]): readonly string[] {
  const targets = files.flatMap((file) => expand(file)).map(realPath);
  return [...new Set([...files.map(fixedDirectory), ...targets.map((path) => dirname(path))])];
}

/** By path, what changes with the content of a file: which inode it is, when it was written, how long it is. */
function statesOf(files: readonly string[]): Map<string, string> {
  return new Map(
    files.flatMap((file) => {
      const paths = expand(file);
      const states = paths.map((path) => [path, stateOf(path)] as const);
      return isPattern(file) ? [[file, paths.join('\n')] as const, ...states] : states;
    }),
  );
}

function stateOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? 'gone' : `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs}`;
}

function expand(file: string): readonly string[] {
  return isPattern(file) && statSync(file, { throwIfNoEntry: false }) === undefined ? globSync(file).sort() : [file];
}

/** The deepest directory of a path that holds no pattern. */
function fixedDirectory(path: string): string {
  let directory = dirname(path);
  while (isPattern(directory)) directory = dirname(directory);
  return directory;
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
