/** What one folder of `src` may import. */
export interface Layer {
  readonly name: string;
  readonly description: string;
  readonly allowed: ReadonlySet<string>;
  /** Described as pure: does no I/O and reads no clock. */
  readonly pure: boolean;
}

interface Row {
  readonly name: string;
  readonly description: string;
  readonly imports: string;
}

/** Reads the layer table of docs/ARCHITECTURE.md: the first code block under the heading `Layout`. */
export function readLayerTable(page: string): ReadonlyMap<string, Layer> {
  const block = /^## [^\n]*Layout\n[\s\S]*?^```[a-z]*\n([\s\S]*?)^```/m.exec(page)?.[1];
  if (block === undefined) throw new Error('docs/ARCHITECTURE.md has no code block under a heading "Layout"');
  const rows = joinContinuations(block.split('\n')).flatMap(parseRow);
  return new Map(rows.map((row, index) => [row.name, toLayer(row, rows.slice(0, index), rows)]));
}

/** A line that starts with a blank goes on with the row above it. */
function joinContinuations(lines: readonly string[]): string[] {
  const rows: string[] = [];
  for (const line of lines) {
    const last = rows.at(-1);
    if (/^\s+\S/.test(line) && last !== undefined) rows[rows.length - 1] = `${last} ${line.trim()}`;
    else rows.push(line.trimEnd());
  }
  return rows;
}

function parseRow(line: string): Row[] {
  const name = /^src\/([a-z0-9-]+)\/\s/.exec(line)?.[1];
  if (name === undefined) return [];
  const columns = line.split(/\s{2,}/);
  const imports = columns.at(-1);
  if (columns.length < 3 || imports === undefined) {
    throw new Error(`The row of src/${name}/ names no allowed layers after two spaces`);
  }
  return [{ name, description: columns.slice(1, -1).join(' '), imports }];
}

function toLayer(row: Row, above: readonly Row[], all: readonly Row[]): Layer {
  return {
    name: row.name,
    description: row.description,
    allowed: new Set([row.name, ...allowedNames(row.imports, above, all)]),
    pure: /\bpure\b/.test(row.description),
  };
}

function allowedNames(imports: string, above: readonly Row[], all: readonly Row[]): readonly string[] {
  if (imports === 'imports nothing' || imports === '-') return [];
  if (imports === 'all above') return above.map(({ name }) => name);
  const except = /^all but (.+)$/.exec(imports)?.[1]?.split(/\s+/);
  const named = except === undefined ? imports.split(/\s+/) : except;
  const unknown = named.filter((name) => all.every((row) => row.name !== name));
  if (unknown.length > 0) throw new Error(`"${imports}" names layers that have no row: ${unknown.join(', ')}`);
  return except === undefined ? named : all.map(({ name }) => name).filter((name) => !except.includes(name));
}
