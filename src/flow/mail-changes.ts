import { foldedField, maskedField } from '../codec/mail-field-mask.ts';
import type { Header } from '../core/http.ts';
import type { HeaderPolicy } from '../core/policy.ts';
import type { HeadChanges, Match } from '../core/verdict.ts';
import type { CompiledRules, HeadRedaction } from '../rules/compile.ts';
import { headChanges, type NotedChanges, type RuleChange } from './head-changes.ts';

/** What rules may ask of heads. */
type HeadRules = Pick<CompiledRules, 'headers' | 'headRedactions'>;

const noRules: HeadRules = { headers: new Map(), headRedactions: new Map() };

/** What policy and rules change in the head of one mail, and what of it came too late. */
export class MailChanges {
  readonly #policy: HeaderPolicy;
  readonly #headRules: HeadRules;
  readonly #rules: RuleChange[] = [];
  readonly #redactions: HeadRedaction[] = [];
  readonly #late: string[] = [];
  #headers: readonly Header[] | undefined;
  /** By name in lower case: the lines of each field that something of was masked. */
  #masked = new Map<string, readonly Header[]>();
  #asked: NotedChanges | undefined;
  #isClosed = false;

  constructor(policy: HeaderPolicy, headRules: HeadRules = noRules) {
    this.#policy = policy;
    this.#headRules = headRules;
  }

  /** Whether any mail may be changed: then its head has to wait until it is whole. */
  get mayBeAsked(): boolean {
    const { headers, headRedactions } = this.#headRules;
    return this.#policy.remove.length + this.#policy.set.length + headers.size + headRedactions.size > 0;
  }

  /** Known once the head is. */
  get asked(): HeadChanges | undefined {
    return this.#asked?.changes;
  }

  head(headers: readonly Header[]): void {
    this.#headers = headers;
    this.#ask();
  }

  /** Takes the match of a rule that changes a head; false for one that is an alarm too. */
  take({ rule }: Match): boolean {
    const redaction = this.#headRules.headRedactions.get(rule.id);
    if (redaction !== undefined) {
      // Decided by envelope and head, which goes on after that.
      this.#redactions.push(redaction);
      this.#ask();
      return false;
    }
    const header = this.#headRules.headers.get(rule.id);
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

  /** The head as it is recorded: without what rules mask. */
  shown(headers: readonly Header[]): readonly Header[] {
    if (this.#masked.size === 0) return headers;
    const left = new Map([...this.#masked].map(([name, lines]) => [name, [...lines]]));
    return headers.map((header) => left.get(header[0].toLowerCase())?.shift() ?? header);
  }

  /** All changes in the words of the record; `masked` are those of the parts. */
  notes(masked: readonly string[]): readonly string[] {
    const made = this.#isClosed ? [...(this.#asked?.notes ?? []), ...masked] : [];
    const isSigned = this.#headers?.some(([name]) => name.toLowerCase() === 'dkim-signature') === true;
    const broken = made.length > 0 && isSigned ? ['a DKIM signature may not fit any more'] : [];
    return [...made, ...this.#late, ...broken];
  }

  #ask(): void {
    const headers = this.#headers;
    if (headers === undefined) return;
    this.#asked = headChanges('mail', headers, this.#policy, this.#rules);
    if (this.#redactions.length > 0) this.#mask(headers);
  }

  /** What is masked is set anew, all lines of its field. */
  #mask(headers: readonly Header[]): void {
    const { changes = { remove: [], set: [] }, notes = [] } = this.#asked ?? {};
    const others = new Set([...changes.remove, ...changes.set.map(([name]) => name.toLowerCase())]);
    const noted: string[] = [];
    const masked = new Map<string, readonly Header[]>();
    for (const { name, find, ruleId } of this.#redactions) {
      const lines = masked.get(name) ?? headers.filter(([present]) => present.toLowerCase() === name);
      const after = lines.map(([present, value]): Header => [present, maskedField(value, find) ?? value]);
      if (after.every(([, value], index) => value === lines[index]?.[1])) continue;
      masked.set(name, after);
      // What is removed or set does not arrive as it was sent anyway.
      if (!others.has(name)) noted.push(`mail header masked: ${name} (rule ${ruleId})`);
    }
    this.#masked = masked;
    const set = [...masked].flatMap(([name, lines]) => (others.has(name) ? [] : lines));
    if (set.length === 0) return;
    this.#asked = {
      changes: {
        ...changes,
        set: [...changes.set, ...set.map(([name, value]) => [name, foldedField(name, value)] as const)],
      },
      notes: [...notes, ...noted],
    };
  }
}
