import type { BodyPlan } from './body-plan.ts';
import type { CompiledRule } from './compile.ts';
import { closed, fails, holds, type Truth, truthOf, unknown } from './condition.ts';
import { MessageBody } from './message-body.ts';

/** Where the evaluation of a transaction begins: computed once for all of a policy. */
export interface StartState {
  /** By leaf; copied for each transaction. */
  readonly truths: readonly (Truth | typeof closed)[];
  /** Rules that are not decided. */
  readonly open: readonly CompiledRule[];
}

/** What is decided by a request having no body; undefined where a rule holds by that alone, which is for its transaction to report. */
export function bodylessState(start: StartState, body: BodyPlan): StartState | undefined {
  const truths = [...start.truths];
  const events = new MessageBody(body, (leaf) => truths[leaf] === unknown).announce({ kind: 'none' });
  for (const { leaf, holds: isTrue } of events) truths[leaf] = isTrue ? holds : fails;
  // Where a test holds, its evidence is for the transaction to remember.
  if (events.some((event) => event.holds)) return undefined;
  const known = (leaf: number): Truth => (truths[leaf] === fails ? fails : unknown);
  const outcomes = new Map(start.open.map((rule) => [rule, truthOf(rule.condition, known)]));
  if ([...outcomes.values()].includes(holds)) return undefined;
  const open = start.open.filter((rule) => outcomes.get(rule) === unknown);
  for (const [{ leaves }, truth] of outcomes) {
    if (truth === fails) for (const leaf of leaves) if (truths[leaf] === unknown) truths[leaf] = closed;
  }
  return { truths, open };
}
