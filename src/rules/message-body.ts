import type { BodyFraming } from '../core/http.ts';
import { type BodyEvent, endBody, type IsOpen } from './body-edges.ts';
import type { BodyPlan } from './body-plan.ts';
import { BodyScan } from './body-scan.ts';

const nothing: readonly BodyEvent[] = [];

/**
 * The body of one message from announcement to end. It ends as soon as its announced length is complete, so that a rule
 * that only the end decides still acts before the last byte is forwarded.
 */
export class MessageBody {
  readonly #plan: BodyPlan;
  readonly #isOpen: IsOpen;
  #scan: BodyScan | undefined;
  #missingBytes = Number.POSITIVE_INFINITY;
  #needed: boolean;

  constructor(plan: BodyPlan, isOpen: IsOpen) {
    this.#plan = plan;
    this.#isOpen = isOpen;
    this.#needed = plan.tests.length > 0;
  }

  /** Whether bytes of this body that are yet to come could decide a rule. */
  get needed(): boolean {
    return this.#needed;
  }

  get windowBytes(): number {
    return this.#scan?.windowBytes ?? 0;
  }

  /** The head says how long the body will be. */
  announce(framing: BodyFraming): readonly BodyEvent[] {
    if (!this.#needed) return nothing;
    if (framing.kind === 'none') return this.end();
    if (framing.kind !== 'length') return nothing;
    this.#missingBytes = framing.bytes;
    return framing.bytes === 0 ? this.end() : this.#begun().announce(framing.bytes);
  }

  push(chunk: Buffer): readonly BodyEvent[] {
    if (!this.#needed) return nothing;
    const events = this.#begun().push(chunk);
    this.#missingBytes -= chunk.length;
    return this.#missingBytes > 0 ? events : [...events, ...this.end()];
  }

  end(): readonly BodyEvent[] {
    if (!this.#needed) return nothing;
    this.#needed = false;
    return this.#scan?.end() ?? endBody(this.#plan, this.#isOpen, 0);
  }

  /** Tests were decided, or do not matter any more. */
  refresh(): void {
    if (!this.#needed) return;
    this.#needed = this.#plan.tests.some(({ leaf }) => this.#isOpen(leaf));
    if (this.#needed) this.#scan?.refresh();
  }

  #begun(): BodyScan {
    this.#scan ??= new BodyScan(this.#plan, this.#isOpen);
    return this.#scan;
  }
}
