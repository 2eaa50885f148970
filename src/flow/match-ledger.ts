import type { AlarmFacts, FlowFacts, Recorder } from '../core/record.ts';
import { allow, type Match, type RuleRef, type Verdict } from '../core/verdict.ts';
import { count } from '../metrics/counters.ts';
import { verdictOf } from '../rules/verdict-of.ts';

export interface LedgerOptions {
  readonly flow: FlowFacts;
  readonly recorder: Recorder;
  /** What alarms tell of the transaction. */
  readonly transaction: Omit<AlarmFacts, 'timeMs' | 'match'>;
  /** Whether a match asks for a change, which the record of the transaction tells and no alarm. */
  readonly takesChange?: (match: Match) => boolean;
}

/** What the record of a transaction tells of its matches. */
export interface LedgerFacts {
  readonly verdict: 'allow' | 'block' | 'reset';
  readonly rule: RuleRef | undefined;
  readonly ruleIds: readonly string[];
  readonly matches: number;
  readonly alarms: number;
}

/** The matches of one transaction: alarms are written before their verdict acts, and the first that ends it is remembered. */
export class MatchLedger {
  readonly #options: LedgerOptions;
  /** Rules that have become true and were not judged yet. */
  #pending: Match[] = [];
  #verdict: Verdict = allow;
  #rule: RuleRef | undefined;
  #ruleIds: string[] = [];
  #alarms = 0;

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  note(matches: readonly Match[]): void {
    if (matches.length > 0) this.#pending.push(...matches);
  }

  /** Judges what was noted since the last time. */
  judge(): Verdict {
    const matches = this.#pending;
    if (matches.length === 0) return allow;
    this.#pending = [];
    for (const match of matches) {
      this.#ruleIds.push(match.rule.id);
      this.#rule ??= match.rule;
      if (match.action === 'allow' || this.#options.takesChange?.(match) === true) continue;
      this.alarm(match);
    }
    return this.settle(verdictOf(matches));
  }

  /** Records an alarm; returns once it is on disk: only then may its verdict act. */
  alarm(match: Match): void {
    const { flow, recorder, transaction } = this.#options;
    flow.alarms += 1;
    this.#alarms += 1;
    count(`daylight_alarms_total{severity="${match.severity}"}`);
    recorder.alarm(flow, { timeMs: Date.now(), match, ...transaction });
  }

  /** Takes a verdict for the record, whoever made it. */
  settle(verdict: Verdict): Verdict {
    if (verdict.kind === 'allow') return verdict;
    this.#verdict = verdict;
    if (verdict.kind !== 'refuse') this.#rule = verdict.rule;
    return verdict;
  }

  get facts(): LedgerFacts {
    return {
      verdict: this.#verdict.kind === 'refuse' ? 'block' : this.#verdict.kind,
      rule: this.#rule,
      ruleIds: this.#ruleIds,
      matches: this.#ruleIds.length,
      alarms: this.#alarms,
    };
  }
}
