import { readdirSync } from 'node:fs';
import { join, posix } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Layer, readLayerTable } from './layer-table.ts';
import { readProjectFile, root, typescriptFiles, withoutProse } from './repository.ts';

const layers = readLayerTable(readProjectFile('docs/ARCHITECTURE.md'));

const ioModules =
  /^node:(net|tls|dgram|fs|http|https|http2|child_process|worker_threads|cluster|dns|timers|perf_hooks|readline|process|os|inspector)(\/|$)/;
const clocks =
  /\bDate\.now\b|\bnew Date\(\)|\bperformance\.|\bset(?:Timeout|Interval|Immediate)\b|\bprocess\.|\bfetch\(/;

describe('the layer table', () => {
  test('has a row for every folder of src, and a folder for every row', () => {
    const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(folders.map(({ name }) => name).sort()).toEqual([...layers.keys()].sort());
  });

  test('allows no two layers to import each other', () => {
    const mutual = [...layers.values()].flatMap((layer) =>
      [...layer.allowed].filter((name) => name !== layer.name && layers.get(name)?.allowed.has(layer.name)),
    );
    expect(mutual).toEqual([]);
  });
});

describe('every layer', () => {
  test.each([...layers.values()])('src/$name imports only what its row allows', (layer) => {
    expect(typescriptFiles(`src/${layer.name}`).flatMap((file) => forbiddenImports(file, layer))).toEqual([]);
  });

  test.each([...layers.values()].filter(({ pure }) => pure))(
    'src/$name is pure: no I/O module, no clock, no process',
    (layer) => {
      expect(typescriptFiles(`src/${layer.name}`).flatMap(impurities)).toEqual([]);
    },
  );
});

describe('reading imports', () => {
  test('sees every form of import', () => {
    const source = `
      import { a } from '../one/a.ts';
      import type {
        B,
      } from "../two/b.ts";
      import '../three/c.ts';
      export * from '../four/d.ts';
      const e = await import('../five/e.ts');
      type F = import('../six/f.ts').F;`;
    expect(importsOf(source).map((specifier) => specifier.split('/')[1])).toEqual([
      'one',
      'two',
      'three',
      'four',
      'five',
      'six',
    ]);
  });
});

function importsOf(source: string): readonly string[] {
  const forms = /(?:\bfrom|\bimport)\s*\(?\s*(['"])([^'"\n]+)\1/g;
  return [...source.matchAll(forms)].flatMap(([, , specifier]) => specifier ?? []);
}

function forbiddenImports(file: string, layer: Layer): readonly string[] {
  return importsOf(readProjectFile(file))
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => posix.join(posix.dirname(file), specifier))
    .filter((target) => !layer.allowed.has(/^src\/([^/]+)\//.exec(target)?.[1] ?? ''))
    .map((target) => `${file} imports ${target}`);
}

function impurities(file: string): readonly string[] {
  const source = readProjectFile(file);
  const modules = importsOf(source).filter((specifier) => ioModules.test(specifier));
  const clock = clocks.exec(withoutProse(source))?.[0];
  return [...modules, ...(clock === undefined ? [] : [clock])].map((what) => `${file} uses ${what}`);
}
