import type { FailureCode } from './failures.ts';

/** A rule named in a verdict, record or page. */
export interface RuleRef {
  readonly id: string;
  readonly title: string;
  readonly rev: number;
}

/** What is changed in the fields of a head on its way. A name that is set loses the lines that it had. */
export interface HeadChanges {
  /** Names in lower case. */
  readonly remove: readonly string[];
  readonly set: readonly (readonly [name: string, value: string])[];
}

/**
 * What may pass. `keepBytes` asks the relay to keep the end of what it was allowed to forward of this message: as many body
 * bytes (more is right as well), or with Infinity all of it, the head included. It is asked anew with each chunk; without it
 * everything goes, and it always goes with the end of the message. Kept body bytes may still change in place.
 */
export interface AllowVerdict {
  readonly kind: 'allow';
  readonly keepBytes?: number;
  /** Of the end of a message: nothing that is kept goes on before this, which decides in its place. Never rejects. */
  readonly until?: Promise<Verdict>;
  /** Of a head, or of the end of a message with trailers: the relay forwards the fields changed so. */
  readonly changes?: HeadChanges;
}

/** What the rules say on plaintext. An alarm does not hold traffic up, so it is not a verdict of its own. */
export type Verdict =
  | AllowVerdict
  | { readonly kind: 'block'; readonly rule: RuleRef }
  | { readonly kind: 'reset'; readonly rule: RuleRef }
  /** Policy or a limit refuses what no rule could judge. */
  | { readonly kind: 'refuse'; readonly code: FailureCode; readonly detail: string };

export const allow: AllowVerdict = { kind: 'allow' };

/** How much of a message the relay keeps. */
export function keptBytes(verdict: Verdict): number {
  return verdict.kind === 'allow' ? (verdict.keepBytes ?? 0) : 0;
}

export type Severity = 'info' | 'low' | 'medium' | 'high' | 'critical';
export type RuleAction = 'allow' | 'alarm' | 'block' | 'reset' | 'redact' | 'setHeader' | 'removeHeader';

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
