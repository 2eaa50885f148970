import { limits } from '../core/limits.ts';
import type { FieldTest } from '../core/rule-document.ts';
import type { RuleRef } from '../core/verdict.ts';
import { type BodyPlan, planBody } from './body-plan.ts';
import { BodyScan } from './body-scan.ts';
import { Tally } from './tally.ts';

/** A part of a body that a rule masks. */
export interface MaskedRange {
  readonly from: number;
  readonly to: number;
  readonly rule: RuleRef;
}

/** Masking by rules: the tests of the bodies of one direction. */
export interface RedactionPlan {
  readonly body: BodyPlan;
  /** By leaf: the rule that the test belongs to. */
  readonly rules: ReadonlyMap<number, RuleRef>;
}

/** Compiles the redact rules of one direction; undefined when there are none. */
export function planRedaction(
  tests: readonly { readonly leaf: number; readonly test: FieldTest; readonly rule: RuleRef }[],
): RedactionPlan | undefined {
  if (tests.length === 0) return undefined;
  return { body: planBody(tests), rules: new Map(tests.map(({ leaf, rule }) => [leaf, rule])) };
}

/**
 * Finds every place in one body that is to be masked, as its chunks pass. A place is found at the latest when
 * `limits.redactedBytes` bytes behind its start have passed.
 */
export class RedactionScan {
  readonly #scan: BodyScan;
  #found: MaskedRange[] = [];

  /** `isActive` tells of a leaf whether the other conditions of its rule hold. */
  constructor(plan: RedactionPlan, isActive: (leaf: number) => boolean) {
    this.#scan = new BodyScan(plan.body, isActive, ({ leaf }) => {
      const rule = plan.rules.get(leaf);
      return new RangeTally((from, to) => {
        if (rule !== undefined) this.#found.push({ from, to, rule });
      });
    });
  }

  push(chunk: Buffer): readonly MaskedRange[] {
    this.#scan.push(chunk);
    return this.#take();
  }

  /** How many of the last bytes may belong to a place that is not known yet. */
  get pendingBytes(): number {
    return Math.min(this.#scan.pendingBytes, limits.redactedBytes);
  }

  end(): readonly MaskedRange[] {
    this.#scan.end();
    return this.#take();
  }

  #take(): readonly MaskedRange[] {
    const found = this.#found;
    if (found.length > 0) this.#found = [];
    return found;
  }
}

/** Takes every finding, however many and however often. */
class RangeTally extends Tally {
  readonly #tell: (from: number, to: number) => void;

  constructor(tell: (from: number, to: number) => void) {
    super(1);
    this.#tell = tell;
  }

  override get takesLongest(): boolean {
    return true;
  }

  override wants(): boolean {
    return true;
  }

  override add(_key: string, from: number, to: number): void {
    this.#tell(from, to);
  }

  override settle(): undefined {}
}
