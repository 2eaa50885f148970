import { hash } from 'node:crypto';
import { compileHostPatterns } from '../codec/host.ts';
import { type LeafRejection, type LearnedBypass, type LearnedScope, scopeKey } from '../core/learned-bypass.ts';
import { limits } from '../core/limits.ts';
import type { LearnedBypassPolicy } from '../core/policy.ts';

type Evidence = Pick<LeafRejection, 'timeMs' | 'sign' | 'detail' | 'client' | 'flowId'>;

/** What is known of one scope, from the first rejection to the end of its bypass. */
export interface LearnedEntry extends LearnedScope {
  /** Short name for commands; the same scope has the same id for ever. */
  readonly id: string;
  /** `watched`: too little evidence yet; `pending`: enough, but nobody has decided; `active`: flows pass unread. */
  state: 'watched' | 'pending' | 'active';
  by: LearnedBypass['by'];
  /** End of the bypass, or time at which the evidence is forgotten. */
  untilMs: number;
  firstMs: number;
  /** All rejections ever, of which the last few are kept. */
  rejections: number;
  evidence: readonly Evidence[];
}

/** What the outside is told of: a state that was reached, for the log. */
export interface LearnedChange {
  readonly entry: LearnedEntry;
  readonly what: 'learned' | 'awaits approval' | 'approved' | 'removed' | 'expired';
}

export interface LearnedBypassesOptions {
  readonly entries?: readonly LearnedEntry[];
  readonly now?: () => number;
  readonly onChange?: (change: LearnedChange) => void;
}

/** The learned bypasses of the gateway: relays send evidence, policy or an operator decides, time takes them away. */
export class LearnedBypasses {
  readonly #entries: Map<string, LearnedEntry>;
  readonly #now: () => number;
  readonly #onChange: (change: LearnedChange) => void;

  constructor({ entries = [], now = Date.now, onChange = () => {} }: LearnedBypassesOptions = {}) {
    this.#entries = new Map(entries.slice(0, limits.learnedBypasses).map((entry) => [scopeKey(entry), entry]));
    this.#now = now;
    this.#onChange = onChange;
  }

  get entries(): readonly LearnedEntry[] {
    return [...this.#entries.values()];
  }

  /** What relays act on. */
  inForce(nowMs = this.#now()): readonly LearnedBypass[] {
    return this.entries
      .filter(({ state, untilMs }) => state === 'active' && untilMs > nowMs)
      .map(({ group, host, port, untilMs, by, rejections, evidence }) => {
        const last = evidence.at(-1);
        const sign = last === undefined ? '' : `, last ${last.detail === '' ? last.sign : `alert ${last.detail}`}`;
        return { group, host, port, untilMs, by, evidence: `${rejections} rejections${sign}` };
      });
  }

  /** Takes a rejection in. Only what comes within the time of policy is evidence. */
  reject(rejection: LeafRejection, policy: LearnedBypassPolicy): void {
    if (compileHostPatterns(policy.never)(rejection.host)) return;
    const now = this.#now();
    const entry = this.#entries.get(scopeKey(rejection)) ?? this.#watch(rejection, now);
    if (entry === undefined || entry.state === 'active') return;
    const { timeMs, sign, detail, client, flowId } = rejection;
    const kept = Math.max(limits.learnedEvidence, policy.rejections);
    const recent = entry.evidence.filter((each) => now - each.timeMs < policy.withinMs);
    entry.evidence = [...recent, { timeMs, sign, detail, client, flowId }].slice(-kept);
    entry.rejections += 1;
    entry.untilMs = Math.max(entry.untilMs, now + policy.withinMs);
    if (entry.state === 'watched' && entry.evidence.length >= policy.rejections) this.#decide(entry, policy, now);
  }

  /** Lets a pending scope pass for some time. Undefined when there is none of this id, or policy forbids it. */
  approve(id: string, forMs: number, policy: LearnedBypassPolicy): LearnedEntry | undefined {
    const entry = this.entries.find((each) => each.id === id);
    if (entry === undefined || policy.action === 'refuse' || compileHostPatterns(policy.never)(entry.host)) {
      return undefined;
    }
    this.#activate(entry, 'operator', forMs);
    this.#onChange({ entry, what: 'approved' });
    return entry;
  }

  /** Forgets a scope: inspected from the next flow on, and learned anew only by new evidence. */
  remove(id: string): LearnedEntry | undefined {
    const entry = this.entries.find((each) => each.id === id);
    if (entry === undefined) return undefined;
    this.#entries.delete(scopeKey(entry));
    this.#onChange({ entry, what: 'removed' });
    return entry;
  }

  /** Takes away what is over. True when something was. */
  expire(): boolean {
    const now = this.#now();
    const over = this.entries.filter(({ untilMs }) => untilMs <= now);
    for (const entry of over) {
      this.#entries.delete(scopeKey(entry));
      if (entry.state !== 'watched') this.#onChange({ entry, what: 'expired' });
    }
    return over.length > 0;
  }

  #decide(entry: LearnedEntry, policy: LearnedBypassPolicy, now: number): void {
    if (policy.action === 'bypass') {
      this.#activate(entry, 'policy', policy.forMs);
      return this.#onChange({ entry, what: 'learned' });
    }
    entry.state = 'pending';
    entry.untilMs = now + policy.forMs;
    this.#onChange({ entry, what: 'awaits approval' });
  }

  #activate(entry: LearnedEntry, by: LearnedBypass['by'], forMs: number): void {
    entry.state = 'active';
    entry.by = by;
    entry.untilMs = this.#now() + forMs;
  }

  /** Room is made at the cost of the group that has most, so that a client that rejects everything crowds out itself. */
  #watch({ group, host, port }: LeafRejection, now: number): LearnedEntry | undefined {
    const groups = Map.groupBy(this.#entries.values(), (entry) => entry.group);
    const own = groups.get(group) ?? [];
    const largest = [...groups.values()].reduce((most, each) => (each.length > most.length ? each : most), own);
    const crowded =
      own.length >= limits.learnedPerGroup ? own : this.#entries.size >= limits.learnedBypasses ? largest : undefined;
    if (crowded !== undefined) {
      const oldest =
        crowded.find(({ state }) => state === 'watched') ?? crowded.find(({ state }) => state === 'pending');
      if (oldest === undefined) return undefined;
      this.#entries.delete(scopeKey(oldest));
    }
    const id = hash('sha256', scopeKey({ group, host, port }), 'hex').slice(0, 12);
    const entry: LearnedEntry = {
      id,
      group,
      host,
      port,
      state: 'watched',
      by: 'policy',
      untilMs: now,
      firstMs: now,
      rejections: 0,
      evidence: [],
    };
    this.#entries.set(scopeKey(entry), entry);
    return entry;
  }
}
