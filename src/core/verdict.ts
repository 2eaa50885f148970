import type { FailureCode } from './failures.ts';

/** A rule named in a verdict, record or page. */
export interface RuleRef {
  readonly id: string;
  readonly title: string;
  readonly rev: number;
}

/** What the rules say on plaintext. An alarm does not hold traffic up, so it is not a verdict of its own. */
export type Verdict =
  | { readonly kind: 'allow' }
  | { readonly kind: 'block'; readonly rule: RuleRef }
  | { readonly kind: 'reset'; readonly rule: RuleRef }
  /** Policy or a limit refuses what no rule could judge. */
  | { readonly kind: 'refuse'; readonly code: FailureCode; readonly detail: string };

export const allow: Verdict = { kind: 'allow' };

export type Severity = 'info' | 'low' | 'medium' | 'high' | 'critical';
export type RuleAction = 'allow' | 'alarm' | 'block' | 'reset';

/** A rule that was true. */
export interface Match {
  readonly rule: RuleRef;
  readonly action: RuleAction;
  readonly severity: Severity;
  /** The field that decided, e.g. `http.request.body`. */
  readonly field: string;
  /** Offset of the match in the field, in bytes. */
  readonly offset: number;
  /** Matched bytes, at most 64, secrets masked already. */
  readonly excerpt: string;
  readonly tags: readonly string[];
}
