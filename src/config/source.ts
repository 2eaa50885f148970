import { type Document, isCollection, isScalar, LineCounter, type Node, parseDocument, visit } from 'yaml';
import type { Problem } from './problem.ts';

/** Keys and indexes that lead to a value. */
export type Path = readonly (string | number)[];

const mostAliases = 1_000;

/** A YAML text that knows where each of its values stands, and collects what is wrong with it. */
export class Source {
  readonly file: string;
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly document: Document.Parsed;
  /** True when the text is no YAML; then there is nothing to read. */
  readonly broken: boolean;
  readonly #lines = new LineCounter();
  /** Where the objects that were read stand, so that later checks can name the place. */
  readonly #paths = new WeakMap<object, Path>();

  constructor(file: string, text: string) {
    this.file = file;
    this.document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, version: '1.2' });
    const told = new Set<string>();
    for (const { message, pos } of [...this.document.errors, ...this.document.warnings]) {
      const problem = this.#problem(pos[0], [], explain(message));
      const text = JSON.stringify(problem);
      // The parser says it once for each bracket when a text ends too early.
      if (!told.has(text)) this.problems.push(problem);
      told.add(text);
    }
    const isNoYaml = this.document.errors.some(({ code }) => code !== 'DUPLICATE_KEY');
    this.broken = isNoYaml || this.#hasTooManyAliases();
  }

  /** Each is looked for in the whole file: without a bound a small file would hold control up for minutes. */
  #hasTooManyAliases(): boolean {
    let aliases = 0;
    visit(this.document, {
      Alias: (_key, alias) => {
        aliases += 1;
        if (aliases <= mostAliases) return undefined;
        this.reportAt(alias, [], `more than ${mostAliases} aliases: write out what they stand for`);
        return visit.BREAK;
      },
    });
    return aliases > mostAliases;
  }

  /** Remembers where an object that was read stands. */
  place(value: object, path: Path): void {
    this.#paths.set(value, path);
  }

  /** Notes an error at a node of the document. */
  reportAt(node: Node | null | undefined, path: Path, message: string): void {
    this.problems.push(this.#problem(node?.range?.[0] ?? this.#offset(path), path, message));
  }

  /** Notes an error about an object that was read, or about what stands below it. */
  report(about: object, below: Path, message: string): void {
    const path = [...(this.#paths.get(about) ?? []), ...below];
    this.problems.push(this.#problem(this.#offset(path), path, message));
  }

  /** Whether nothing is wrong with an object or below it: what was left out as wrong is not missing. */
  isSound(about: object): boolean {
    const path = pathText(this.#paths.get(about) ?? []);
    return !this.problems.some((problem) => problem.path === path || /^[.[]/.test(rest(problem.path, path)));
  }

  /** Notes something that is allowed but probably not meant. */
  warn(about: object, below: Path, message: string): void {
    const path = [...(this.#paths.get(about) ?? []), ...below];
    this.warnings.push(this.#problem(this.#offset(path), path, message));
  }

  #problem(offset: number, path: Path, message: string): Problem {
    const { line, col } = this.#lines.linePos(offset);
    // The counter answers line 0 for an empty text.
    return { file: this.file, line: Math.max(line, 1), column: Math.max(col, 1), path: pathText(path), message };
  }

  /** Offset of a value, or of the nearest value around it that the file has. */
  #offset(path: Path): number {
    for (let length = path.length; length >= 0; length--) {
      const found = length === 0 ? this.document.contents : this.document.getIn(path.slice(0, length), true);
      if ((isScalar(found) || isCollection(found)) && found.range != null) return found.range[0];
    }
    return 0;
  }
}

function rest(path: string, start: string): string {
  return path.startsWith(start) ? path.slice(start.length) : '';
}

/** A path as it is read aloud: `listeners[0].listen`. */
function pathText(path: Path): string {
  return path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`),
    '',
  );
}

/** The parser's words, made plain where operators meet them most. */
function explain(message: string): string {
  const first = message.split('\n')[0] ?? message;
  if (/^Alias|unresolved alias/i.test(first)) return unquotedStar;
  if (first === 'Map keys must be unique') return 'this key stands here twice';
  if (/^Tabs are not allowed/.test(first)) return 'a tab may not indent: use spaces';
  if (/^Source contains multiple documents/.test(first)) return 'a second document begins here: a file holds one';
  if (/^Maximum call stack/.test(first)) return 'nested too deep';
  return first;
}

/** Said where a text starts with "*" and so is read as a YAML alias. */
export const unquotedStar = 'a text that starts with "*" must be quoted: "*.example"';
