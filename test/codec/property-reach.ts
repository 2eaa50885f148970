import { dirname, join, normalize } from 'node:path';
import { readProjectFile } from '../architecture/repository.ts';

/** A module as far as calls can be told from its text: which names stand in what is declared, and where names come from. */
interface Module {
  /** Text of each declaration by its name, of whatever depth. */
  readonly declared: ReadonlyMap<string, string>;
  /** Where an imported or passed-on name comes from. */
  readonly imported: ReadonlyMap<string, { readonly file: string; readonly name: string }>;
}

const modules = new Map<string, Module>();

/** Exported names, as `file name`, that run when property tests do: called in them, or by what they call. */
export function reachedByProperties(testFiles: readonly string[]): ReadonlySet<string> {
  const reached = new Set<string>();
  const visit = (file: string, name: string): void => {
    if (reached.has(`${file} ${name}`)) return;
    reached.add(`${file} ${name}`);
    const { declared, imported } = moduleOf(file);
    const source = imported.get(name);
    if (source !== undefined) return visit(source.file, source.name);
    for (const next of identifiersOf(declared.get(name) ?? '')) if (next !== name) follow(file, next);
  };
  const follow = (file: string, name: string): void => {
    const { declared, imported } = moduleOf(file);
    if (declared.has(name) || imported.has(name)) visit(file, name);
  };
  for (const file of testFiles) {
    for (const text of propertiesOf(readProjectFile(file))) for (const name of identifiersOf(text)) follow(file, name);
  }
  return reached;
}

/** The tests that assert a property, each with the heads of what stands around it: tables of cases name readers there. */
function propertiesOf(text: string): readonly string[] {
  const lines = text.split('\n');
  return lines.flatMap((line, index) => {
    if (!/\bfc\.assert\(/.test(line)) return [];
    const heads: number[] = [];
    let depth = indentOf(line);
    for (let at = index; at >= 0; at--) {
      const head = lines[at] ?? '';
      if (head.trim() === '' || indentOf(head) >= depth || /^\s*[)\]}]/.test(head)) continue;
      depth = indentOf(head);
      heads.push(at);
    }
    const start = heads.find((at) => /^\s*(?:it|test)\b/.test(lines[at] ?? '')) ?? index;
    return [[...heads.map((at) => lines[at] ?? ''), blockAt(lines, start)].join('\n')];
  });
}

function moduleOf(file: string): Module {
  const known = modules.get(file);
  if (known !== undefined) return known;
  const text = readProjectFile(file);
  const module = { declared: declarationsOf(text), imported: importsOf(file, text) };
  modules.set(file, module);
  return module;
}

function declarationsOf(text: string): ReadonlyMap<string, string> {
  const declared = new Map<string, string>();
  const lines = text.split('\n');
  for (const [index, line] of lines.entries()) {
    const match = /^\s*(?:export )?(?:async )?(?:function\*?|const|let|class) (?:(\w+)|[{[]([^=]*)[}\]] =)/.exec(line);
    if (match === null) continue;
    const names = match[1] === undefined ? (match[2] ?? '').split(',').map(localName) : [match[1]];
    for (const name of names) declared.set(name, `${declared.get(name) ?? ''}\n${blockAt(lines, index)}`);
  }
  return declared;
}

/** In `a: b = c` and `...b`, the name that is made is b. */
function localName(part: string): string {
  return /(\w+)\s*(?:=.*)?$/.exec(part.trim())?.[1] ?? '';
}

/** A line and all that is indented below it, with the bracket that closes it. */
function blockAt(lines: readonly string[], start: number): string {
  const indent = indentOf(lines[start] ?? '');
  let end = start + 1;
  const isInside = (line: string) => line.trim() === '' || indentOf(line) > indent || /^\s*[)\]}]/.test(line);
  while (end < lines.length && isInside(lines[end] ?? '') && indentOf(lines[end] ?? '') >= indent) end++;
  return lines.slice(start, end).join('\n');
}

function indentOf(line: string): number {
  return line.trim() === '' ? Number.POSITIVE_INFINITY : line.length - line.trimStart().length;
}

function importsOf(file: string, text: string): Module['imported'] {
  const imported = new Map<string, { readonly file: string; readonly name: string }>();
  for (const [, names = '', path = ''] of text.matchAll(/^(?:import|export) \{([^}]*)\} from '(\.[^']+)';$/gm)) {
    for (const part of names.split(',')) {
      const [, name = '', local = name] = /^\s*(\w+)(?: as (\w+))?\s*$/.exec(part) ?? [];
      // Types run nowhere.
      if (name !== '') imported.set(local, { file: normalize(join(dirname(file), path)), name });
    }
  }
  return imported;
}

/** Words that may be names: none of comments and quoted text. */
function identifiersOf(text: string): ReadonlySet<string> {
  const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$|'(?:[^'\\\n]|\\.)*'/gm, ' ');
  return new Set(code.match(/[A-Za-z_$][\w$]*/g) ?? []);
}
