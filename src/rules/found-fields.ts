import type { FieldTest } from '../core/rule-document.ts';
import { foundFieldOf } from './field.ts';
import { compileHeadTest, type HeadTest } from './head-test.ts';

/** A test of a field whose values turn up while a body passes. */
export interface FoundLeaf {
  readonly leaf: number;
  readonly field: string;
  readonly test: HeadTest;
  /** One value for which the test does not hold is enough to make it false: the test is that there is none. */
  readonly refutes: boolean;
}

/** What has to be looked for in a body because a rule asks for it. */
export interface WantedFacts {
  /** Parts and fields of forms. */
  readonly forms: boolean;
  readonly files: boolean;
  readonly hashes: boolean;
  /** What archives hold. */
  readonly members: boolean;
}

/** All tests of what is found in bodies. */
export interface FoundFields {
  readonly byField: ReadonlyMap<string, readonly FoundLeaf[]>;
  readonly leaves: Readonly<Record<'request' | 'response', readonly FoundLeaf[]>>;
  readonly wanted: Readonly<Record<'request' | 'response', WantedFacts>>;
}

/** Collects the tests of what is found in bodies; trailers come behind them. A leaf is the index of its test. */
export function planFoundFields(tests: readonly FieldTest[]): FoundFields {
  const all = tests.flatMap((test, leaf): FoundLeaf[] =>
    (foundFieldOf(test.field)?.kind ?? 'trailer') === 'trailer'
      ? []
      : [{ leaf, field: test.field, test: compileHeadTest(test), refutes: test.exists === false }],
  );
  const of = (message: 'request' | 'response') => all.filter(({ field }) => foundFieldOf(field)?.message === message);
  const leaves = { request: of('request'), response: of('response') };
  return {
    byField: Map.groupBy(all, ({ field }) => field),
    leaves,
    wanted: { request: wantedFacts(leaves.request), response: wantedFacts(leaves.response) },
  };
}

function wantedFacts(leaves: readonly FoundLeaf[]): WantedFacts {
  const kinds = new Set(leaves.map(({ field }) => foundFieldOf(field)?.kind));
  const forms = kinds.has('part') || kinds.has('form');
  return {
    forms,
    hashes: kinds.has('sha256'),
    members: kinds.has('member') || kinds.has('member.type') || kinds.has('archive'),
    files: kinds.size > (kinds.has('part') ? 1 : 0) + (kinds.has('form') ? 1 : 0),
  };
}
