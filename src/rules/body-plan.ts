import { type CredentialPattern, credentialPatterns } from '../core/credential.ts';
import type { FieldTest } from '../core/rule-document.ts';
import { Expression } from './expression/expression.ts';
import { foldByte } from './fold-byte.ts';
import { listOf } from './list-of.ts';
import { LiteralAutomaton } from './literal-automaton.ts';

/** A test of what a body holds, with the number of its leaf among all tests. */
export type SearchTest =
  | { readonly kind: 'literals'; readonly leaf: number; readonly count: number }
  | { readonly kind: 'credentials'; readonly leaf: number; readonly count: number }
  | { readonly kind: 'cards'; readonly leaf: number; readonly count: number }
  | { readonly kind: 'expression'; readonly leaf: number; readonly count: number; readonly expression: Expression };

/** A test of how a body starts or how long it is. */
export type EdgeTest =
  | {
      readonly kind: 'start';
      readonly leaf: number;
      readonly starts: readonly Uint8Array[];
      readonly text: 'exact' | 'nocase' | 'hex';
    }
  | { readonly kind: 'size'; readonly leaf: number; readonly least: number; readonly most: number };

/** What a hit of a literal means for a test. */
export interface LiteralUse {
  /** Index of the test among the searches of the plan. */
  readonly test: number;
  readonly literal: Uint8Array;
  /** The automaton ignores case, this use does not. */
  readonly exact: boolean;
  readonly pattern: CredentialPattern | undefined;
}

/** All tests of the bodies of one direction, compiled together. */
export interface BodyPlan {
  readonly leaves: readonly number[];
  readonly searches: readonly SearchTest[];
  readonly edges: readonly EdgeTest[];
  readonly automaton: LiteralAutomaton;
  /** By id of the literal. */
  readonly uses: readonly (readonly LiteralUse[])[];
  /** Length of the longest start that a test asks for. */
  readonly longestStart: number;
}

/** Compiles the tests of the bodies of one direction. */
export function planBody(fields: readonly { readonly leaf: number; readonly test: FieldTest }[]): BodyPlan {
  const table = new LiteralTable();
  const searches: SearchTest[] = [];
  const edges: EdgeTest[] = [];
  for (const { leaf, test } of fields) {
    const edge = planEdge(leaf, test);
    if (edge === undefined) searches.push(planSearch(leaf, test, searches.length, table));
    else edges.push(edge);
  }
  return {
    leaves: fields.map(({ leaf }) => leaf),
    searches,
    edges,
    automaton: new LiteralAutomaton(table.literals),
    uses: table.uses,
    longestStart: Math.max(
      0,
      ...edges.flatMap((edge) => (edge.kind === 'start' ? edge.starts : [])).map((start) => start.length),
    ),
  };
}

function planEdge(leaf: number, test: FieldTest): EdgeTest | undefined {
  const { prefix, startsWithHex, exists, greaterThan, lessThan } = test;
  if (prefix !== undefined) {
    const starts = listOf(prefix).map((text) => Buffer.from(text));
    return { kind: 'start', leaf, starts, text: test.nocase === true ? 'nocase' : 'exact' };
  }
  if (startsWithHex !== undefined) {
    const starts = listOf(startsWithHex).map((hex) => Buffer.from(hex, 'hex'));
    return { kind: 'start', leaf, starts, text: 'hex' };
  }
  if (exists !== undefined) return sizeTest(leaf, exists ? 1 : 0, exists ? Number.POSITIVE_INFINITY : 0);
  if (greaterThan !== undefined) return sizeTest(leaf, Math.floor(greaterThan) + 1, Number.POSITIVE_INFINITY);
  if (lessThan !== undefined) return sizeTest(leaf, 0, Math.ceil(lessThan) - 1);
  return undefined;
}

function sizeTest(leaf: number, least: number, most: number): EdgeTest {
  return { kind: 'size', leaf, least, most };
}

function planSearch(leaf: number, test: FieldTest, index: number, table: LiteralTable): SearchTest {
  const count = test.count ?? 1;
  const nocase = test.nocase === true;
  if (test.contains !== undefined) {
    for (const text of listOf(test.contains)) table.add(Buffer.from(text), { test: index, exact: !nocase });
    return { kind: 'literals', leaf, count };
  }
  if (test.regex !== undefined) {
    for (const text of listOf(test.near)) table.add(Buffer.from(text), { test: index, exact: !nocase });
    return { kind: 'expression', leaf, count, expression: new Expression(test.regex, nocase) };
  }
  if (test.detector === 'card_number') return { kind: 'cards', leaf, count };
  if (test.detector === undefined) throw new RangeError(`no operator for ${test.field}`);
  for (const pattern of credentialPatterns) {
    if (pattern.kind !== test.detector) continue;
    for (const text of pattern.literals) table.add(Buffer.from(text), { test: index, exact: false, pattern });
  }
  return { kind: 'credentials', leaf, count };
}

/** Equal literals of several tests share an id, so that the automaton reports each place once. */
class LiteralTable {
  readonly literals: Uint8Array[] = [];
  readonly uses: LiteralUse[][] = [];
  readonly #ids = new Map<string, number>();

  add(literal: Uint8Array, use: { test: number; exact: boolean; pattern?: CredentialPattern }): void {
    const folded = literal.map(foldByte);
    const key = Buffer.from(folded).toString('latin1');
    let id = this.#ids.get(key);
    if (id === undefined) {
      id = this.literals.push(folded) - 1;
      this.#ids.set(key, id);
      this.uses.push([]);
    }
    this.uses[id]?.push({ test: use.test, exact: use.exact, literal, pattern: use.pattern });
  }
}
