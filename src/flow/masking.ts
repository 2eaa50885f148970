import type { ChangedMessage } from '../core/rule-document.ts';
import type { RuleRef } from '../core/verdict.ts';
import type { MaskedRange, RedactionScan } from '../rules/redaction.ts';

/** Masks what redact rules find in one body, as its text passes, and counts it for the record. */
export class Masking {
  readonly #scan: RedactionScan;
  readonly #mask: (range: MaskedRange) => boolean;
  readonly #counts = new Map<string, number>();
  /** A rule that found what cannot be masked any more, or not at all. */
  late: RuleRef | undefined;

  /** `mask` is false where a place cannot be masked. */
  constructor(scan: RedactionScan, mask: (range: MaskedRange) => boolean) {
    this.#scan = scan;
    this.#mask = mask;
  }

  push(text: Buffer): void {
    this.#take(this.#scan.push(text));
  }

  /** Masks what only the end of the body shows. */
  end(): void {
    this.#take(this.#scan.end());
  }

  /** What was changed, in the words of the record. */
  notes(message: ChangedMessage): readonly string[] {
    return [...this.#counts].map(([id, count]) => `${message} body masked: ${count} (rule ${id})`);
  }

  #take(ranges: readonly MaskedRange[]): void {
    for (const range of ranges) {
      if (!this.#mask(range)) this.late ??= range.rule;
      this.#counts.set(range.rule.id, (this.#counts.get(range.rule.id) ?? 0) + 1);
    }
  }
}
