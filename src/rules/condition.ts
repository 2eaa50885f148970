import type { RuleCondition } from '../core/rule-document.ts';

/** A condition with its tests replaced by the numbers of their leaves. */
export type Condition =
  | { readonly kind: 'all' | 'any'; readonly parts: readonly Condition[] }
  | { readonly kind: 'not'; readonly part: Condition }
  | { readonly kind: 'leaf'; readonly leaf: number };

/** What is known of a test or a condition: Kleene's three values. */
export const unknown = 0;
export const holds = 1;
export const fails = 2;
/** A leaf of a rule that is decided without it: its value does not matter any more. */
export const closed = 3;
export type Truth = typeof unknown | typeof holds | typeof fails;

/** Compiles a condition; `leafOf` numbers its tests. */
export function compileCondition(
  when: RuleCondition,
  leafOf: (test: Extract<RuleCondition, { field: unknown }>) => number,
): Condition {
  if ('all' in when) return { kind: 'all', parts: when.all.map((part) => compileCondition(part, leafOf)) };
  if ('any' in when) return { kind: 'any', parts: when.any.map((part) => compileCondition(part, leafOf)) };
  if ('not' in when) return { kind: 'not', part: compileCondition(when.not, leafOf) };
  return { kind: 'leaf', leaf: leafOf(when) };
}

/** Decides a condition as early as what is known allows. */
export function truthOf(condition: Condition, leafTruth: (leaf: number) => Truth): Truth {
  switch (condition.kind) {
    case 'leaf':
      return leafTruth(condition.leaf);
    case 'not': {
      const truth = truthOf(condition.part, leafTruth);
      return truth === unknown ? unknown : truth === holds ? fails : holds;
    }
    case 'all':
      return foldTruth(condition.parts, leafTruth, fails, holds);
    case 'any':
      return foldTruth(condition.parts, leafTruth, holds, fails);
  }
}

/** One part of value `decisive` decides; only when all parts have the other value is that the result. */
function foldTruth(
  parts: readonly Condition[],
  leafTruth: (leaf: number) => Truth,
  decisive: Truth,
  other: Truth,
): Truth {
  let open = false;
  for (const part of parts) {
    const truth = truthOf(part, leafTruth);
    if (truth === decisive) return decisive;
    if (truth === unknown) open = true;
  }
  return open ? unknown : other;
}
