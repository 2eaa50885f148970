import { foldByte } from './fold-byte.ts';
import { LiteralFilter, wordsOf } from './literal-filter.ts';

/** Receives the hits of a scan. `end` is the index behind the literal's last byte in the bytes given. */
export interface LiteralSink {
  literal(id: number, end: number): void;
}

/** Below this a chunk is not worth a filter. */
const shortestFiltered = 64;
/** Bytes that may be walked after the filter, before the rest of the chunk is walked without it: so many, and each fourth. */
const walkedAtFirst = 1_024;
const walkedOf = 4;

/**
 * Finds any number of literals in a stream of bytes in one pass (Aho and Corasick 1975), letter case of ASCII ignored:
 * a dense table of states by classes of bytes, so that a byte costs two look-ups however many literals there are. A filter
 * goes before it, so that only the places where a literal may stand are walked; where these are many, the filter is left
 * out, so that no text costs much more than the walk of it.
 */
export class LiteralAutomaton {
  /** State at the start of a stream. */
  static readonly start = 0;

  /** Class of each byte; letters of both cases share one, and so do all bytes that no literal holds. */
  readonly #classOf: Uint8Array;
  /** log2 of the length of a row. */
  readonly #shift: number;
  readonly #table: Uint16Array | Int32Array;
  /** States from here on end literals; they are numbered last, so that one comparison tells. */
  readonly #firstFinal: number;
  readonly #literalsOf: readonly Int32Array[];
  readonly #depths: Uint16Array;
  readonly #filter: LiteralFilter | undefined;

  /** Literal `i` is reported with id `i`. Literals must not be empty. */
  constructor(literals: readonly Uint8Array[]) {
    this.#classOf = classesOf(literals);
    const classes = Math.max(...this.#classOf) + 1;
    this.#shift = Math.ceil(Math.log2(Math.max(classes, 2)));
    const trie = buildTrie(literals, this.#classOf, this.#shift);
    const { table, firstFinal, literalsOf, depths } = linkFailures(trie, classes, this.#shift);
    this.#table = table;
    this.#firstFinal = firstFinal;
    this.#literalsOf = literalsOf;
    this.#depths = depths;
    this.#filter = LiteralFilter.of(literals);
  }

  /** Scans the next bytes of a stream; returns the state to go on with. */
  scan(state: number, bytes: Uint8Array, sink: LiteralSink): number {
    const { length } = bytes;
    const filter = this.#filter;
    if (filter === undefined || length < shortestFiltered) return this.#walk(state, bytes, 0, sink);
    const words = wordsOf(bytes);
    const { reachBytes } = filter;
    let walked = 0;
    let [at, now] = this.#walkToRoot(state, bytes, 0, 0, sink);
    // In the root no literal is begun: those to come begin at or behind `at`.
    while (at < length) {
      const place = filter.next(bytes, words, at);
      const from = Math.max(at, place - reachBytes);
      // So near the end the filter may have met nothing yet of a literal that the next chunk completes.
      if (place + 2 >= length || walked > walkedAtFirst + from / walkedOf) return this.#walk(now, bytes, from, sink);
      [at, now] = this.#walkToRoot(now, bytes, from, place + 2, sink);
      walked += at - from;
    }
    return now;
  }

  /** How many of the last bytes may be the begin of a literal. */
  depthOf(state: number): number {
    return this.#depths[state] ?? 0;
  }

  /** Takes all bytes from an index on; returns the state behind them. */
  #walk(state: number, bytes: Uint8Array, from: number, sink: LiteralSink): number {
    const classOf = this.#classOf;
    const table = this.#table;
    const shift = this.#shift;
    const firstFinal = this.#firstFinal;
    let now = state;
    for (let index = from; index < bytes.length; index++) {
      now = table[(now << shift) | (classOf[bytes[index] ?? 0] ?? 0)] ?? 0;
      if (now >= firstFinal) this.#report(now, index + 1, sink);
    }
    return now;
  }

  /** The same until no literal is begun any more, but to an index at least; returns where that is, and the state. */
  #walkToRoot(state: number, bytes: Uint8Array, from: number, least: number, sink: LiteralSink): [number, number] {
    const { length } = bytes;
    let now = state;
    let index = from;
    while (index < length && (now !== LiteralAutomaton.start || index < least)) {
      now = this.#table[(now << this.#shift) | (this.#classOf[bytes[index++] ?? 0] ?? 0)] ?? 0;
      if (now >= this.#firstFinal) this.#report(now, index, sink);
    }
    return [index, now];
  }

  #report(state: number, end: number, sink: LiteralSink): void {
    const ids = this.#literalsOf[state - this.#firstFinal];
    if (ids === undefined) return;
    for (let index = 0; index < ids.length; index++) sink.literal(ids[index] ?? 0, end);
  }
}

interface Trie {
  /** Rows of children by class; 0 means none, because nothing leads back to the root. */
  readonly rows: Int32Array;
  readonly states: number;
  /** Literals that end at a state. */
  readonly ends: Map<number, number[]>;
}

interface Linked {
  readonly table: Uint16Array | Int32Array;
  readonly firstFinal: number;
  readonly literalsOf: readonly Int32Array[];
  /** By state: length of what leads to it. Literals have 256 bytes at most. */
  readonly depths: Uint16Array;
}

function classesOf(literals: readonly Uint8Array[]): Uint8Array {
  const used = new Set<number>();
  for (const literal of literals) for (const byte of literal) used.add(foldByte(byte));
  const classOf = new Uint8Array(256);
  // 255 classes at most are ever needed: folding leaves 230 bytes, and class 0 is for the rest.
  let next = 1;
  for (const byte of [...used].sort((a, b) => a - b)) classOf[byte] = next++;
  for (let upper = 0x41; upper <= 0x5a; upper++) classOf[upper] = classOf[upper | 0x20] ?? 0;
  return classOf;
}

function buildTrie(literals: readonly Uint8Array[], classOf: Uint8Array, shift: number): Trie {
  const most = literals.reduce((sum, literal) => sum + literal.length, 1);
  const rows = new Int32Array(most << shift);
  const ends = new Map<number, number[]>();
  let states = 1;
  for (const [id, literal] of literals.entries()) {
    let at = 0;
    for (const byte of literal) {
      const cell = (at << shift) | (classOf[byte] ?? 0);
      if (rows[cell] === 0) rows[cell] = states++;
      at = rows[cell] ?? 0;
    }
    const present = ends.get(at);
    if (present === undefined) ends.set(at, [id]);
    else present.push(id);
  }
  return { rows, states, ends };
}

/** Fills the gaps of the trie with where a failed comparison goes on, breadth first. */
function linkFailures({ rows, states, ends }: Trie, classes: number, shift: number): Linked {
  const failure = new Int32Array(states);
  const depths = new Uint16Array(states);
  const order: number[] = [0];
  for (let index = 0; index < order.length; index++) {
    const state = order[index] ?? 0;
    const back = failure[state] ?? 0;
    for (let name = 0; name < classes; name++) {
      const cell = (state << shift) | name;
      const child = rows[cell] ?? 0;
      const fallback = state === 0 ? 0 : (rows[(back << shift) | name] ?? 0);
      if (child === 0) {
        rows[cell] = fallback;
        continue;
      }
      failure[child] = fallback;
      const inherited = ends.get(fallback);
      if (inherited !== undefined) ends.set(child, [...(ends.get(child) ?? []), ...inherited]);
      depths[child] = (depths[state] ?? 0) + 1;
      order.push(child);
    }
  }
  return renumber(rows, order, ends, depths, shift);
}

/** Numbers the states that end literals last. */
function renumber(
  rows: Int32Array,
  order: readonly number[],
  ends: Trie['ends'],
  depths: Uint16Array,
  shift: number,
): Linked {
  const plain = order.filter((state) => !ends.has(state));
  const final = order.filter((state) => ends.has(state));
  const numbers = new Int32Array(order.length);
  for (const [number, state] of [...plain, ...final].entries()) numbers[state] = number;
  const size = order.length << shift;
  const table = order.length <= 0xffff ? new Uint16Array(size) : new Int32Array(size);
  for (const state of order) {
    const to = (numbers[state] ?? 0) << shift;
    for (let name = 0; name < 1 << shift; name++) {
      table[to | name] = numbers[rows[(state << shift) | name] ?? 0] ?? 0;
    }
  }
  return {
    table,
    firstFinal: plain.length,
    literalsOf: final.map((state) => Int32Array.from(ends.get(state) ?? [])),
    depths: Uint16Array.from([...plain, ...final], (state) => depths[state] ?? 0),
  };
}
