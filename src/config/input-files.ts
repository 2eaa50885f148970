import { globSync, lstatSync, readFileSync, type Stats, statSync } from 'node:fs';
import { resolve } from 'node:path';

/** A file's text, or why it cannot be had. */
export type FileText =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'unreadable'; readonly message: string };

/** Reads the files that a configuration names, relative to one directory, and remembers what to watch. */
export class InputFiles {
  readonly #directory: string;
  readonly #watched = new Set<string>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Absolute paths of the files read and of the patterns expanded. */
  get watched(): readonly string[] {
    return [...this.#watched];
  }

  /** The absolute path of a path as it is written in the configuration. */
  resolve(path: string): string {
    return resolve(this.#directory, path);
  }

  /** Watches a file that another part reads. */
  watch(path: string): void {
    this.#watched.add(this.resolve(path));
  }

  /** Why a file that holds a key is no secret; undefined when it is one, or is not there. */
  secrecyFault(path: string): string | undefined {
    const found = lstatSync(this.resolve(path), { throwIfNoEntry: false });
    if (found === undefined) return undefined;
    if (found.isSymbolicLink()) return 'is a symbolic link';
    const user = process.geteuid?.() ?? found.uid;
    if (found.uid !== user) return `belongs to user ${found.uid}, the gateway runs as ${user}`;
    return wideMode(found);
  }

  /** Who else may read a file, wherever it lies: a mounted secret is a link, and often readable by all. */
  exposure(path: string): string | undefined {
    try {
      const found = statSync(this.resolve(path));
      return found.isFile() ? wideMode(found) : undefined;
    } catch {
      // Whoever reads it says why it cannot be read.
      return undefined;
    }
  }

  read(path: string): FileText {
    const absolute = this.resolve(path);
    this.watch(path);
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(absolute));
      return { kind: 'text', text };
    } catch (error) {
      return { kind: 'unreadable', message: reasonOf(error) };
    }
  }

  /** Paths that fit a pattern, sorted, as the pattern writes them. */
  expand(pattern: string): readonly string[] {
    this.watch(pattern);
    const found = globSync(pattern, { cwd: this.#directory });
    return found.filter((path) => statSync(this.resolve(path), { throwIfNoEntry: false })?.isFile()).sort();
  }
}

function wideMode({ mode }: Stats): string | undefined {
  const octal = (mode & 0o7777).toString(8).padStart(4, '0');
  return (mode & 0o077) === 0 ? undefined : `has mode ${octal}, wider than 0600`;
}

/** Whether a path stands for a set of files. */
export function isPattern(path: string): boolean {
  return /[*?[\]{}]/.test(path);
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist: a part of the path is a file',
  EISDIR: 'is a directory',
  EACCES: 'may not be read',
  EPERM: 'may not be read',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'is not UTF-8 text',
};

function reasonOf(error: unknown): string {
  const { code = '' } = error as NodeJS.ErrnoException;
  return reasons[code] ?? `cannot be read (${code || String(error)})`;
}
