import { limits } from '../../core/limits.ts';
import { Automaton, type Neighbour, neighbourOf, type State } from './automaton.ts';
import { buildProgram, reversed, shortestMatch } from './program.ts';
import { ExpressionError, parseExpression } from './syntax.ts';

/** Where a match ends and how much of the text had to be seen to know it. */
export interface MatchEnd {
  readonly end: number;
  /** Offset behind the last byte that was read. */
  readonly readTo: number;
}

/** A place in a text where the search goes on. */
export interface Cursor {
  state: State;
  at: number;
}

/** A match that may go on behind its first end. */
export interface Growth {
  readonly start: number;
  state: State;
  at: number;
  /** The last end so far. */
  end: number;
}

/**
 * A regular expression that runs in time linear in its input, whatever the expression and the input: V8's own can be
 * made to backtrack for minutes by a few dozen hostile bytes. Reports the match that ends first.
 */
export class Expression {
  readonly #forward: Automaton;
  readonly #backward: Automaton;
  /** Reads matches of one start alone. Made for those who ask for the longest. */
  #anchored: Automaton | undefined;
  readonly #syntax: ReturnType<typeof parseExpression>;

  /** Throws ExpressionError. */
  constructor(source: string, nocase: boolean) {
    const syntax = parseExpression(source, nocase);
    if (shortestMatch(syntax) === 0) throw new ExpressionError('the expression matches the empty text');
    this.#syntax = syntax;
    this.#forward = new Automaton(buildProgram(syntax), true);
    this.#backward = new Automaton(buildProgram(reversed(syntax)), false);
  }

  /** A cursor at an offset; `previous` is the byte before it, undefined at the start of the text. */
  cursor(at: number, previous: number | undefined): Cursor {
    return { state: this.#forward.start(previous === undefined ? 'none' : neighbourOf(previous)), at };
  }

  /**
   * Moves the cursor over `bytes`, which stand at `offset` in the text, up to the offset `to`. Stops behind the first
   * match: then the cursor stands where the next search starts.
   */
  advance(cursor: Cursor, bytes: Uint8Array, offset: number, to: number): MatchEnd | undefined {
    const forward = this.#forward;
    let { state } = cursor;
    for (let at = cursor.at; at < to; at++) {
      const byte = bytes[at - offset] ?? 0;
      const next = forward.read(state, byte);
      if (next.matched) {
        return next.matchedBefore
          ? this.#restart(cursor, at, at + 1, state.before)
          : this.#restart(cursor, at + 1, at + 1, next.before);
      }
      state = next;
    }
    cursor.state = state;
    cursor.at = to;
    return undefined;
  }

  /** Whether a match ends at the cursor because the text ends there. */
  matchesAtEnd(cursor: Cursor): boolean {
    return this.#forward.matchesAtEnd(cursor.state);
  }

  /**
   * Start of the longest match that is certain to end at `end` in `bytes`. `after` is what follows the match: `unknown` when the
   * match was certain without it. `first` tells that the text starts with `bytes`.
   */
  startOf(bytes: Uint8Array, end: number, after: Neighbour, first: boolean): number {
    const backward = this.#backward;
    let state = backward.start(after);
    let start = -1;
    for (let at = end - 1; at >= 0 && (state.places.length > 0 || state.waiting.length > 0); at--) {
      state = backward.read(state, bytes[at] ?? 0);
      if (state.matchedBefore) start = at + 1;
      if (state.matchesHere) start = at;
      if (at === 0 && first && backward.matchesAtEnd(state)) start = 0;
    }
    // Not found only when the match is longer than the bytes that are left of it.
    return start === -1 ? 0 : start;
  }

  /** A match from `start` to its first end. */
  growth(start: number, previous: number | undefined, end: number): Growth {
    this.#anchored ??= new Automaton(buildProgram(this.#syntax), false);
    return {
      start,
      end,
      at: start,
      state: this.#anchored.start(previous === undefined ? 'none' : neighbourOf(previous)),
    };
  }

  /** Reads on, as `advance` does, to the last end that the match can have. True when it can have no later one. */
  grow(growth: Growth, bytes: Uint8Array, offset: number, to: number): boolean {
    const anchored = this.#anchored;
    if (anchored === undefined) return true;
    let { state } = growth;
    for (let at = growth.at; at < to; at++) {
      state = anchored.read(state, bytes[at - offset] ?? 0);
      if (state.matchedBefore) growth.end = Math.max(growth.end, at);
      if (state.matchesHere) growth.end = Math.max(growth.end, at + 1);
      if (state.places.length === 0 && state.waiting.length === 0) return true;
    }
    growth.state = state;
    growth.at = to;
    return false;
  }

  /** Ends the text, where the growth stands. */
  growAtEnd(growth: Growth): void {
    if (this.#anchored?.matchesAtEnd(growth.state) === true) growth.end = Math.max(growth.end, growth.at);
  }

  /** All matches in a complete text, each as long as it can be within `limits.redactedBytes`, none overlapping another. */
  *longestMatches(text: Uint8Array): Generator<{ readonly offset: number; readonly length: number }, undefined> {
    let cursor = this.cursor(0, undefined);
    for (;;) {
      const found = this.advance(cursor, text, 0, text.length);
      if (found === undefined) break;
      const after = found.end < found.readTo ? neighbourOf(text[found.end] ?? 0) : 'unknown';
      const { offset } = this.#span(text, found.end, after);
      const growth = this.growth(offset, offset === 0 ? undefined : text[offset - 1], found.end);
      const to = Math.min(text.length, offset + limits.redactedBytes);
      if (!this.grow(growth, text, 0, to) && to === text.length) this.growAtEnd(growth);
      yield { offset, length: growth.end - offset };
      cursor = this.cursor(growth.end, text[growth.end - 1]);
    }
    if (this.matchesAtEnd(cursor)) yield this.#span(text, text.length, 'none');
    return undefined;
  }

  /** All matches in a complete text, none overlapping another. */
  *matches(text: Uint8Array): Generator<{ readonly offset: number; readonly length: number }, undefined> {
    const cursor = this.cursor(0, undefined);
    for (let found = this.advance(cursor, text, 0, text.length); found !== undefined; ) {
      const after = found.end < found.readTo ? neighbourOf(text[found.end] ?? 0) : 'unknown';
      yield this.#span(text, found.end, after);
      found = this.advance(cursor, text, 0, text.length);
    }
    if (this.matchesAtEnd(cursor)) yield this.#span(text, text.length, 'none');
    return undefined;
  }

  #span(text: Uint8Array, end: number, after: Neighbour): { readonly offset: number; readonly length: number } {
    const offset = this.startOf(text, end, after, true);
    return { offset, length: end - offset };
  }

  #restart(cursor: Cursor, end: number, readTo: number, before: Neighbour): MatchEnd {
    cursor.state = this.#forward.start(before);
    cursor.at = end;
    return { end, readTo };
  }
}
