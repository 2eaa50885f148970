import { stripTypeScriptTypes } from 'node:module';
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { projectFiles, readProjectFile, root, typescriptFiles, withoutProse } from './repository.ts';

const product = ['src', 'bin', 'bench', 'docs'].flatMap(typescriptFiles);
const tests = typescriptFiles('test');
const everything = [...product, ...tests];

/** A catalogue is one table; cutting it up would hide what is in it. */
const catalogues = new Set(['src/core/failures.ts']);
interface LockedPackage {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const bannedWord = /(?:Manager|Helper|Util)s?(?![a-z])/;

describe('types', () => {
  test('nothing is `any`, and no `!` claims what the checker cannot see', () => {
    expect(everything.flatMap((file) => typeEscapes(readProjectFile(file)).map((line) => `${file}:${line}`))).toEqual(
      [],
    );
  });

  test('the search finds each kind of escape, and no word in a comment or string', () => {
    const source = [
      'let a: any;',
      'const b = c!.d;',
      'let e!: string;',
      'function f(g: unknown[]): any[] { return g as any[]; }',
      'interface H {',
      '  /** in any case! */',
      "  readonly i: 'any';",
      '  readonly any: string;',
      '}',
      'const j = !k && l !== m; // any n!',
    ].join('\n');
    expect(typeEscapes(source)).toEqual([1, 2, 3, 4]);
  });
});

describe('files', () => {
  test('have at most 300 lines, tests 500', () => {
    const long = [...product.map((file) => [file, 300] as const), ...tests.map((file) => [file, 500] as const)]
      .filter(([file]) => !catalogues.has(file))
      .map(([file, most]) => [file, readProjectFile(file).trimEnd().split('\n').length, most] as const)
      .filter(([, lines, most]) => lines > most)
      .map(([file, lines]) => `${file} has ${lines} lines`);
    expect(long).toEqual([]);
  });

  test('are named in kebab-case', () => {
    const names = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.(?:test|config|d))*\.[cm]?[tj]s$/;
    const scripts = projectFiles().filter((file) => /\.[cm]?[tj]s$/.test(file));
    expect(scripts.filter((file) => !names.test(basename(file)))).toEqual([]);
  });

  test('and what they declare are not named Manager, Helper or Util, nor plainly data or info', () => {
    const declared = /\b(?:const|let|function|class|interface|type)\s+([A-Za-z_$][\w$]*)/g;
    const named = product.flatMap((file) =>
      [...withoutProse(readProjectFile(file)).matchAll(declared)].map(([, name]) => `${file}: ${name}`),
    );
    const banned = [...everything, ...named].filter(
      (name) => bannedWord.test(name) || /(?:^|[/-])(?:manager|helper|util|info)s?\b|: (?:data|info)$/.test(name),
    );
    expect(banned).toEqual([]);
  });
});

describe('the repository', () => {
  test('names no absolute path of the machine that it was written on', () => {
    const folders = ['work', 'home', 'Users', 'root'].join('|');
    const machinePath = new RegExp(`(?<![\\w.~}-])/(?:${folders})/[\\w.-]+`);
    const found = textFiles().flatMap((file) => {
      const text = readProjectFile(file);
      const path = text.includes(`${root}/`) ? root : machinePath.exec(text)?.[0];
      return path === undefined ? [] : [`${file}: ${path}`];
    });
    expect(found).toEqual([]);
  });

  test('locks packages by version and hash, to no registry', () => {
    expect(readProjectFile('package-lock.json')).not.toContain('"resolved"');
  });

  test('locks every package that a locked package may want, on any platform, or npm ci refuses', () => {
    const { packages } = JSON.parse(readProjectFile('package-lock.json')) as {
      packages: Record<string, LockedPackage>;
    };
    const locked = new Set(Object.keys(packages).map((path) => path.split('node_modules/').at(-1)));
    const wanted = Object.values(packages).flatMap((entry) => [
      ...Object.keys(entry.dependencies ?? {}),
      ...Object.keys(entry.optionalDependencies ?? {}),
    ]);
    expect(wanted.filter((name) => !locked.has(name))).toEqual([]);
  });

  test('holds no private key and no certificate', () => {
    const begin = ['-----BEGIN', ''].join(' ');
    const block = new RegExp(`^\\s*${begin}(?:[A-Z ]*PRIVATE KEY|CERTIFICATE)-----\\s*\\n\\s*[A-Za-z0-9+/]{60}`, 'm');
    expect(textFiles().filter((file) => block.test(readProjectFile(file)))).toEqual([]);
  });
});

/** Lines (from 1) where a type holds `any`, or a `!` is erased with the types: what type stripping takes out is a type. */
function typeEscapes(source: string): readonly number[] {
  const stripped = stripTypeScriptTypes(source, { mode: 'strip' });
  expect(stripped.length).toBe(source.length);
  const code = withoutProse(source);
  const escapes = [...code.matchAll(/\bany\b(?!\??\s*:)|!/g)].filter(
    ({ index, 0: word }) => stripped.slice(index, index + word.length).trim() === '',
  );
  return [...new Set(escapes.map(({ index }) => lineAt(source, index)))];
}

function lineAt(source: string, index: number): number {
  return source.slice(0, index).split('\n').length;
}

function textFiles(): readonly string[] {
  return projectFiles().filter((file) => !/\.(?:png|jpe?g|gif|ico|woff2?|pcap(?:ng)?|zst|gz|der|p12)$/.test(file));
}
