import type { Header } from '../core/http.ts';
import type { FieldTest } from '../core/rule-document.ts';
import type { CompiledRule, CompiledRules } from './compile.ts';
import { holds, type Truth, truthOf } from './condition.ts';
import { foundFieldOf, type TransactionHeads, trailerReader } from './field.ts';
import { compileHeadTest, type HeadHit, type HeadTest } from './head-test.ts';

/** A test of trailers, which are known with the end of their message. */
export interface TrailerLeaf {
  readonly leaf: number;
  readonly field: string;
  readonly read: (trailers: readonly Header[]) => readonly string[];
  readonly test: HeadTest;
}

/** Tests of fields that come apart from the head of a message: in its trailers, or in a response before the final one. */
export interface ApartFields {
  readonly trailers: readonly TrailerLeaf[];
  /**
   * Leaves that ask for header fields: one that was false of the head may be true of fields apart from it. A rule that
   * allows or that changes a head is about heads alone.
   */
  readonly headers: readonly number[];
}

/** Collects the tests that fields apart from a head can make true. A leaf is the index of its test. */
export function planApartFields(
  tests: readonly FieldTest[],
  message: 'request' | 'response',
  rules: readonly CompiledRule[],
): ApartFields {
  const trailers = tests.flatMap((test, leaf): TrailerLeaf[] => {
    const { field } = test;
    const found = foundFieldOf(field);
    if (found?.kind !== 'trailer' || found.message !== message) return [];
    return [{ leaf, field, read: trailerReader(field), test: compileHeadTest(test) }];
  });
  const headers = rules
    .filter(({ match: { action } }) => action !== 'allow' && action !== 'setHeader' && action !== 'removeHeader')
    .flatMap(({ leaves }) => leaves.filter((leaf) => tests[leaf]?.field.startsWith(`http.${message}.header`)));
  return { trailers, headers };
}

/** The leaves that hold in `heads`, whose fields are those apart from the head alone. */
export function apartHits(
  { leaves: all }: CompiledRules,
  leaves: readonly number[],
  heads: TransactionHeads,
): ReadonlyMap<number, HeadHit> {
  const hits = new Map<number, HeadHit>();
  for (const leaf of leaves) {
    const head = all[leaf]?.head;
    const values = head?.reader.read(heads) ?? [];
    // That a field is not among them says nothing: it may stand in the head.
    const hit = values.length === 0 ? undefined : head?.test(values);
    if (hit !== undefined) hits.set(leaf, hit);
  }
  return hits;
}

/** The rules that are true when these leaves hold, without those that have matched. */
export function rulesMadeTrue(
  { rules }: CompiledRules,
  hits: ReadonlyMap<number, HeadHit>,
  matched: ReadonlySet<CompiledRule> | undefined,
  leafTruth: (leaf: number) => Truth,
): readonly CompiledRule[] {
  const truth = (leaf: number): Truth => (hits.has(leaf) ? holds : leafTruth(leaf));
  const made: CompiledRule[] = [];
  for (const rule of rules) {
    const { match, condition, leaves } = rule;
    const isMatched = matched?.has(rule) === true;
    if (isMatched && match.action === 'allow') break;
    if (!isMatched && leaves.some((leaf) => hits.has(leaf)) && truthOf(condition, truth) === holds) made.push(rule);
  }
  return made;
}
