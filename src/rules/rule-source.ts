import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml';

/** Something wrong with a rule file. Lines count from 1. */
export interface RuleProblem {
  readonly line: number;
  readonly message: string;
}

/** The values of a YAML mapping by key. */
export interface RuleMap {
  readonly node: Node;
  readonly keys: readonly string[];
  has(key: string): boolean;
  get(key: string): Node | null;
}

/** A rule file that knows the line of each of its values, and collects what is wrong with it. */
export class RuleSource {
  readonly fileName: string;
  readonly problems: RuleProblem[] = [];
  /** The document; undefined when the text is no YAML or empty. */
  readonly contents: Node | undefined;
  readonly #lines = new LineCounter();

  private constructor(fileName: string, text: string) {
    this.fileName = fileName;
    const document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, version: '1.2' });
    for (const { message, pos } of [...document.errors, ...document.warnings]) {
      this.reportLine(this.#lines.linePos(pos[0]).line, plainMessage(message));
    }
    const broken = document.errors.some(({ code }) => code !== 'DUPLICATE_KEY');
    this.contents = broken ? undefined : (document.contents ?? undefined);
  }

  /** Parses the text; whatever the parser cannot bear is a problem as well. */
  static parse(text: string, fileName: string): RuleSource {
    try {
      return new RuleSource(fileName, text);
    } catch (error) {
      // The parser recurses: a text of thousands of brackets exhausts the stack.
      const source = new RuleSource(fileName, '');
      source.reportLine(1, `not readable as YAML: ${error instanceof Error ? error.message : 'unknown fault'}`);
      return source;
    }
  }

  /** Notes a problem at a value. */
  report(node: Node | null | undefined, message: string): undefined {
    this.reportLine(this.lineOf(node), message);
  }

  reportLine(line: number, message: string): void {
    this.problems.push({ line: Math.max(line, 1), message });
  }

  lineOf(node: Node | null | undefined): number {
    return Math.max(1, this.#lines.linePos(node?.range?.[0] ?? 0).line);
  }

  /** A mapping that has only known keys. */
  map(node: Node | null, what: string, known: readonly string[]): RuleMap | undefined {
    if (!isMap(node)) return this.#wrongType(node, `${what} is a mapping of keys to values`);
    const map = node as YAMLMap<Node, Node | null>;
    const values = new Map<string, Node | null>();
    for (const { key, value } of map.items) {
      const name = isScalar(key) ? String(key.value) : '';
      if (known.includes(name)) values.set(name, value);
      else this.report(key, `unknown key "${name}" in ${what}; known are ${known.join(', ')}`);
    }
    return { node, keys: [...values.keys()], has: (key) => values.has(key), get: (key) => values.get(key) ?? null };
  }

  /** A text that is not empty. `owner` is blamed when it is missing. */
  text(node: Node | null, name: string, owner?: Node): string | undefined {
    if (node === null) return this.report(owner, `${name} is missing`);
    const value = this.#scalar(node);
    if (typeof value === 'string' && value !== '') return value;
    return this.#wrongType(node, `${name}: a text is needed`);
  }

  /** One text or a list of them. */
  texts(node: Node | null, name: string): readonly string[] | undefined {
    return this.list(node, name, (item) => this.text(item, name, node ?? undefined));
  }

  /** One value or a list of them, each read by `read`. */
  list<T>(node: Node | null, name: string, read: (item: Node | null) => T | undefined): readonly T[] | undefined {
    if (!isSeq(node)) {
      const value = read(node);
      return value === undefined ? undefined : [value];
    }
    if (node.items.length === 0 && name !== 'tags') return this.report(node, `${name}: the list is empty`);
    const values = node.items.map((item) => read(item as Node | null));
    const right = values.filter((value) => value !== undefined);
    return right.length === values.length ? right : undefined;
  }

  /** A finite number that is not negative. */
  number(node: Node | null, name: string): number | undefined {
    const value = this.#scalar(node);
    if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
    return this.#wrongType(node, `${name}: a number that is not negative is needed`);
  }

  /** A whole number from 1 on. */
  count(node: Node | null, name: string): number | undefined {
    const value = this.#scalar(node);
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1) return value;
    return this.#wrongType(node, `${name}: a whole number from 1 on is needed`);
  }

  boolean(node: Node | null, name: string): boolean | undefined {
    const value = this.#scalar(node);
    return typeof value === 'boolean' ? value : this.#wrongType(node, `${name}: true or false is needed`);
  }

  /** A text or a number. */
  textOrNumber(node: Node | null, name: string): string | number | undefined {
    const value = this.#scalar(node);
    if (typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value))) return value;
    return this.#wrongType(node, `${name}: a text or a number is needed`);
  }

  oneOf<T extends string>(node: Node | null, name: string, choices: readonly T[], owner: Node): T | undefined {
    if (node === null) return this.report(owner, `${name} is missing: one of ${choices.join(', ')}`);
    const value = this.#scalar(node);
    return choices.find((choice) => choice === value) ?? this.#wrongType(node, `${name}: one of ${choices.join(', ')}`);
  }

  #scalar(node: Node | null): unknown {
    return isScalar(node) ? (node as Scalar).value : undefined;
  }

  #wrongType(node: Node | null, message: string): undefined {
    // Aliases would let a small file stand for a huge one; rules need none.
    return this.report(node, isAlias(node) ? 'a text that starts with "*" must be quoted: "*.example"' : message);
  }
}

function plainMessage(message: string): string {
  const first = message.split('\n')[0] ?? message;
  if (/^Alias|unresolved alias/i.test(first)) return 'a text that starts with "*" must be quoted: "*.example"';
  if (first === 'Map keys must be unique') return 'this key stands here twice';
  if (/^Tabs are not allowed/.test(first)) return 'a tab may not indent: use spaces';
  if (/^Source contains multiple documents/.test(first)) return 'a second document begins here: a file holds one';
  return first;
}
