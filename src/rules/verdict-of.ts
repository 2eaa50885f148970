import { allow, type Match, type Verdict } from '../core/verdict.ts';

/** What matches of one moment demand: the first that blocks or resets, in the order of the rules; else nothing. */
export function verdictOf(matches: readonly Match[]): Verdict {
  for (const { action, rule } of matches) {
    if (action === 'block' || action === 'reset') return { kind: action, rule };
  }
  return allow;
}
