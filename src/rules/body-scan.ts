import { CardNumberScanner } from '../core/card-number.ts';
import { limits } from '../core/limits.ts';
import { maskCardNumber } from '../core/sensitive.ts';
import type { BodyEvent, IsOpen } from './body-edges.ts';
import type { BodyPlan, SearchTest } from './body-plan.ts';
import { ByteHistory } from './byte-history.ts';
import { CredentialSearch } from './credential-search.ts';
import { bodyExcerpt } from './excerpt.ts';
import { ExpressionSearch } from './expression-search.ts';
import { LiteralAutomaton, type LiteralSink } from './literal-automaton.ts';
import { Tally } from './tally.ts';

interface Search {
  readonly test: SearchTest;
  readonly tally: Tally;
  readonly expression: ExpressionSearch | undefined;
  readonly credentials: CredentialSearch | undefined;
}

const nothing: readonly BodyEvent[] = [];

const ordinaryTally = (test: SearchTest): Tally => new Tally(test.count);

/** Scans one body for all tests of its direction that are still open. */
export class BodyScan implements LiteralSink {
  readonly #plan: BodyPlan;
  readonly #isOpen: IsOpen;
  readonly #history = new ByteHistory();
  readonly #searches: readonly (Search | undefined)[];
  readonly #cards: CardNumberScanner | undefined;
  #state = LiteralAutomaton.start;
  #scansLiterals: boolean;
  #scansCards: boolean;

  constructor(plan: BodyPlan, isOpen: IsOpen, tallyOf = ordinaryTally) {
    this.#plan = plan;
    this.#isOpen = isOpen;
    this.#searches = plan.searches.map((test) => this.#search(test, tallyOf));
    this.#scansLiterals = this.#hasOpen((kind) => kind !== 'cards');
    this.#scansCards = this.#hasOpen((kind) => kind === 'cards');
    this.#cards = this.#scansCards ? new CardNumberScanner() : undefined;
  }

  /** Bytes that regular expressions and patterns were given. */
  get windowBytes(): number {
    return this.#searches.reduce(
      (sum, search) => sum + (search?.expression?.bytes ?? 0) + (search?.credentials?.bytes ?? 0),
      0,
    );
  }

  /** Takes the next chunk; returns what it decides, in the order of its bytes. */
  push(chunk: Buffer): readonly BodyEvent[] {
    this.#history.open(chunk);
    if (this.#scansCards) this.#scanCards(chunk);
    if (this.#scansLiterals) {
      for (const search of this.#searches) search?.credentials?.advance(false);
      this.#state = this.#plan.automaton.scan(this.#state, chunk, this);
      for (const search of this.#searches) search?.expression?.advance();
    }
    const events = this.#settle();
    this.#history.close(this.#scansLiterals);
    return events;
  }

  /** How many of the last bytes may belong to a place that only further bytes show. */
  get pendingBytes(): number {
    let bytes = this.#scansCards ? (this.#cards?.pendingBytes ?? 0) : 0;
    if (!this.#scansLiterals) return bytes;
    bytes = Math.max(bytes, this.#plan.automaton.depthOf(this.#state));
    for (const search of this.#searches) {
      // A match begins at most so far before a literal of it, and before its own end.
      if (search?.expression !== undefined)
        bytes = Math.max(bytes, limits.ruleWindowBytes, this.#history.end - search.expression.waitsFrom);
      if (search?.credentials !== undefined) bytes = Math.max(bytes, this.#history.end - search.credentials.waitsFrom);
    }
    return bytes;
  }

  /** Ends the body: what was not found is not there. */
  end(): readonly BodyEvent[] {
    if (this.#scansCards) this.#tallyCards(this.#cards?.end() ?? []);
    for (const search of this.#searches) {
      search?.credentials?.advance(true);
      search?.expression?.end();
    }
    return this.#settle();
  }

  /** Leaves were decided or do not matter any more: what needs no scan any more is left out. */
  refresh(): void {
    this.#scansLiterals = this.#scansLiterals && this.#hasOpen((kind) => kind !== 'cards');
    this.#scansCards = this.#scansCards && this.#hasOpen((kind) => kind === 'cards');
  }

  literal(id: number, end: number): void {
    for (const { test, literal, exact, pattern } of this.#plan.uses[id] ?? []) {
      const search = this.#searches[test];
      const to = this.#history.start + end;
      const from = to - literal.length;
      if (search === undefined || !search.tally.wants(from) || !this.#isOpen(search.test.leaf)) continue;
      if (exact && !this.#history.slice(from, to).equals(literal)) continue;
      if (pattern !== undefined) search.credentials?.literal(pattern, from);
      else if (search.expression !== undefined) search.expression.literal(from, to);
      else
        search.tally.add(String(id), from, to, to, () => bodyExcerpt(this.#history.slice(from, to).toString('latin1')));
    }
  }

  #search(test: SearchTest, tallyOf: (test: SearchTest) => Tally): Search | undefined {
    if (!this.#isOpen(test.leaf)) return undefined;
    const tally = tallyOf(test);
    return {
      test,
      tally,
      expression: test.kind === 'expression' ? new ExpressionSearch(test.expression, this.#history, tally) : undefined,
      credentials: test.kind === 'credentials' ? new CredentialSearch(this.#history, tally) : undefined,
    };
  }

  #hasOpen(wanted: (kind: SearchTest['kind']) => boolean): boolean {
    return this.#searches.some(
      (search) => search !== undefined && wanted(search.test.kind) && this.#isOpen(search.test.leaf),
    );
  }

  #scanCards(chunk: Buffer): void {
    this.#tallyCards(this.#cards?.push(chunk) ?? []);
  }

  #tallyCards(cards: ReturnType<CardNumberScanner['push']>): void {
    if (cards.length === 0) return;
    for (const search of this.#searches) {
      if (search?.test.kind !== 'cards' || !this.#isOpen(search.test.leaf)) continue;
      for (const { digits, offset, bytes, readTo } of cards) {
        if (!search.tally.wants(readTo - 1)) break;
        search.tally.add(digits, offset, offset + bytes, readTo, () => maskCardNumber(digits));
      }
    }
  }

  #settle(): readonly BodyEvent[] {
    let events: BodyEvent[] | undefined;
    for (const search of this.#searches) {
      const finding = search?.tally.settle();
      if (search === undefined || finding === undefined) continue;
      events ??= [];
      events.push({ ...finding, leaf: search.test.leaf, holds: true });
    }
    return events ?? nothing;
  }
}
