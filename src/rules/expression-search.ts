import { limits } from '../core/limits.ts';
import type { ByteHistory } from './byte-history.ts';
import { bodyExcerpt } from './excerpt.ts';
import { type Neighbour, neighbourOf } from './expression/automaton.ts';
import type { Cursor, Expression, Growth } from './expression/expression.ts';
import type { Tally } from './tally.ts';

/** How far an expression looks before and behind a literal. */
const reachBytes = limits.ruleWindowBytes / 2;
/** Longest match whose start is found; of a longer one the end is shown. */
const longestMatchBytes = limits.ruleWindowBytes;

/**
 * Runs one expression over the neighbourhood of its literals in a body. Neighbourhoods that touch are one, so that no
 * byte is read twice however many literals there are.
 */
export class ExpressionSearch {
  readonly #expression: Expression;
  readonly #history: ByteHistory;
  readonly #tally: Tally;
  #cursor: Cursor | undefined;
  #windowStart = 0;
  #windowEnd = 0;
  /** A match that was found and may be longer. */
  #growth: Growth | undefined;
  #grownTo = 0;
  /** Bytes read so far. */
  bytes = 0;

  constructor(expression: Expression, history: ByteHistory, tally: Tally) {
    this.#expression = expression;
    this.#history = history;
    this.#tally = tally;
  }

  /** Notes that a literal stands from one offset to another. */
  literal(from: number, to: number): void {
    const start = Math.max(0, from - reachBytes);
    if (this.#cursor === undefined || start > this.#windowEnd) {
      this.advance();
      // What a match has grown to is not read again; behind one that grows, the search goes on by itself.
      if (this.#growth === undefined) {
        this.#windowStart = Math.max(start, this.#grownTo);
        this.#begin(this.#windowStart);
      }
    }
    this.#windowEnd = to + reachBytes;
  }

  /** Where a match begins whose end is not known; the end of what there is without one. */
  get waitsFrom(): number {
    return this.#growth?.start ?? this.#history.end;
  }

  /** Reads what is there of the present neighbourhood. */
  advance(): void {
    while (this.#read()) if (!this.#grow()) return;
  }

  /** Reads up to a match that may grow: false when there is none. */
  #read(): boolean {
    if (this.#growth !== undefined) return true;
    const cursor = this.#cursor;
    const to = Math.min(this.#windowEnd, this.#history.end);
    if (cursor === undefined || cursor.at >= to) return false;
    const from = cursor.at;
    const readTo = this.#pieceEnd(from, to);
    const bytes = this.#history.slice(from, readTo);
    this.bytes += bytes.length;
    while (this.#tally.wants(cursor.at)) {
      const found = this.#expression.advance(cursor, bytes, from, readTo);
      if (found === undefined) return readTo < to;
      const after = found.readTo > found.end ? neighbourOf(bytes[found.end - from] ?? 0) : 'unknown';
      this.#found(found.end, found.readTo, after);
      if (this.#growth !== undefined) return true;
    }
    return false;
  }

  /** What reaches into an earlier chunk is copied: each match that may grow would copy all that follows it. */
  #pieceEnd(from: number, to: number): number {
    const { start } = this.#history;
    return this.#tally.takesLongest && from < start ? Math.min(to, start + reachBytes) : to;
  }

  /** Lets the match grow as far as the text goes, or as far as it may be held: false when more of it has to come. */
  #grow(): boolean {
    const growth = this.#growth;
    if (growth === undefined) return true;
    const most = growth.start + limits.redactedBytes;
    const to = Math.min(this.#history.end, most);
    const { at } = growth;
    const isDone = this.#expression.grow(growth, this.#history.slice(at, to), at, to);
    if (!isDone && to < most) return false;
    this.#endGrowth(growth);
    return true;
  }

  #endGrowth({ start, end }: Growth): void {
    this.#growth = undefined;
    this.#grownTo = end;
    // The next match begins behind it.
    this.#windowStart = end;
    this.#begin(end);
    this.#tally.add('', start, end, end, () => '');
  }

  #begin(at: number): void {
    this.#cursor = this.#expression.cursor(at, this.#history.byteBefore(at));
  }

  /** Ends the body. */
  end(): void {
    this.advance();
    while (this.#growth !== undefined) {
      this.#expression.growAtEnd(this.#growth);
      this.#endGrowth(this.#growth);
      this.advance();
    }
    const cursor = this.#cursor;
    if (cursor === undefined || cursor.at !== this.#history.end) return;
    if (this.#expression.matchesAtEnd(cursor)) this.#found(cursor.at, cursor.at, 'none');
    if (this.#growth !== undefined) this.#endGrowth(this.#growth);
  }

  #found(end: number, readTo: number, after: Neighbour): void {
    const first = Math.max(this.#windowStart, end - longestMatchBytes, this.#history.first);
    const bytes = this.#history.slice(first, end);
    const offset = first + this.#expression.startOf(bytes, bytes.length, after, first === 0);
    if (this.#tally.takesLongest) {
      this.#growth = this.#expression.growth(offset, this.#history.byteBefore(offset), end);
      return;
    }
    const matched = bytes.toString('latin1', offset - first);
    this.#tally.add(matched, offset, end, readTo, () => bodyExcerpt(matched));
  }
}
