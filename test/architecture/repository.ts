import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of this repository. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

const unread = new Set(['.git', 'node_modules', 'var', 'coverage', 'out']);

/** Paths of all files of the project, relative to its root: those that git tracks, or all where there is no git. */
export function projectFiles(): readonly string[] {
  try {
    const listed = execFileSync('git', ['ls-files', '-z', '--cached'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const paths = listed.toString().split('\0').filter(Boolean);
    if (paths.length > 0) return paths.filter((path) => existsSync(join(root, path)));
  } catch {
    // No git, or no checkout: a release archive.
  }
  return walk(root);
}

/** Text of a file of the project. */
export function readProjectFile(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** Paths of all TypeScript files below a folder, relative to the root. Reads the disk, so that a new file counts at once. */
export function typescriptFiles(folder: string): readonly string[] {
  const start = join(root, folder);
  return existsSync(start) ? walk(start).filter((path) => path.endsWith('.ts')) : [];
}

/** Text with comments and strings blanked in place, so that a word in prose is not taken for code. */
export function withoutProse(source: string): string {
  const prose = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g;
  return source.replace(prose, (text) => text.replace(/[^\n]/g, ' '));
}

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (unread.has(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : [relative(root, path).split(sep).join('/')];
  });
}
