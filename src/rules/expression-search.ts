import { limits } from '../core/limits.ts';
import type { ByteHistory } from './byte-history.ts';
import { bodyExcerpt } from './excerpt.ts';
import { type Neighbour, neighbourOf } from './expression/automaton.ts';
import type { Cursor, Expression } from './expression/expression.ts';
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
      this.#cursor = this.#expression.cursor(start, this.#history.byteBefore(start));
      this.#windowStart = start;
    }
    this.#windowEnd = to + reachBytes;
  }

  /** Reads what is there of the present neighbourhood. */
  advance(): void {
    const cursor = this.#cursor;
    const to = Math.min(this.#windowEnd, this.#history.end);
    if (cursor === undefined || cursor.at >= to) return;
    const from = cursor.at;
    const bytes = this.#history.slice(from, to);
    this.bytes += bytes.length;
    while (this.#tally.wants(cursor.at)) {
      const found = this.#expression.advance(cursor, bytes, from, to);
      if (found === undefined) return;
      const after = found.readTo > found.end ? neighbourOf(bytes[found.end - from] ?? 0) : 'unknown';
      this.#found(found.end, found.readTo, after);
    }
  }

  /** Ends the body. */
  end(): void {
    this.advance();
    const cursor = this.#cursor;
    if (cursor === undefined || cursor.at !== this.#history.end) return;
    if (this.#expression.matchesAtEnd(cursor)) this.#found(cursor.at, cursor.at, 'none');
  }

  #found(end: number, readTo: number, after: Neighbour): void {
    const first = Math.max(this.#windowStart, end - longestMatchBytes);
    const bytes = this.#history.slice(first, end);
    const offset = first + this.#expression.startOf(bytes, bytes.length, after, first === 0);
    const matched = bytes.toString('latin1', offset - first);
    this.#tally.add(matched, offset, end, readTo, () => bodyExcerpt(matched));
  }
}
