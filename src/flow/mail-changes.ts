import type { Header } from '../core/http.ts';
import type { HeaderPolicy } from '../core/policy.ts';
import type { HeadChanges, Match } from '../core/verdict.ts';
import type { RuleHeader } from '../rules/compile.ts';
import { headChanges, type NotedChanges, type RuleChange } from './head-changes.ts';

const noHeaders: ReadonlyMap<string, RuleHeader> = new Map();

/** What policy and rules change in the head of one mail, and what of it came too late. */
export class MailChanges {
  readonly #policy: HeaderPolicy;
  readonly #ruleHeaders: ReadonlyMap<string, RuleHeader>;
  readonly #rules: RuleChange[] = [];
  readonly #late: string[] = [];
  #headers: readonly Header[] | undefined;
  #asked: NotedChanges | undefined;
  #isClosed = false;

  constructor(policy: HeaderPolicy, ruleHeaders: ReadonlyMap<string, RuleHeader> = noHeaders) {
    this.#policy = policy;
    this.#ruleHeaders = ruleHeaders;
  }

  /** Whether any mail may be changed: then its head has to wait until it is whole. */
  get mayBeAsked(): boolean {
    return this.#policy.remove.length + this.#policy.set.length + this.#ruleHeaders.size > 0;
  }

  /** Known once the head is. */
  get asked(): HeadChanges | undefined {
    return this.#asked?.changes;
  }

  head(headers: readonly Header[]): void {
    this.#headers = headers;
    this.#ask();
  }

  /** Takes the match of a rule that changes a head; false for any other. */
  take({ rule }: Match): boolean {
    const header = this.#ruleHeaders.get(rule.id);
    if (header === undefined) return false;
    if (this.#isClosed) this.#late.push(`mail header too late to change: ${header.name} (rule ${rule.id})`);
    else {
      this.#rules.push({ ruleId: rule.id, header });
      this.#ask();
    }
    return true;
  }

  /** The head goes on. */
  close(): void {
    this.#isClosed = true;
  }

  /** All changes in the words of the record; `masked` are those of the parts. */
  notes(masked: readonly string[]): readonly string[] {
    const made = this.#isClosed ? [...(this.#asked?.notes ?? []), ...masked] : [];
    const isSigned = this.#headers?.some(([name]) => name.toLowerCase() === 'dkim-signature') === true;
    const broken = made.length > 0 && isSigned ? ['a DKIM signature may not fit any more'] : [];
    return [...made, ...this.#late, ...broken];
  }

  #ask(): void {
    if (this.#headers !== undefined) this.#asked = headChanges('mail', this.#headers, this.#policy, this.#rules);
  }
}
