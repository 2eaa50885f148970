import type { BodyFraming } from '../core/http.ts';
import { BodyEdges, type BodyEvent, type IsOpen } from './body-edges.ts';
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
  /** Made when first asked for. */
  #madeEdges: BodyEdges | undefined;
  #scan: BodyScan | undefined;
  #missingBytes = Number.POSITIVE_INFINITY;
  #size = 0;
  #needed: boolean;

  constructor(plan: BodyPlan, isOpen: IsOpen) {
    this.#plan = plan;
    this.#isOpen = isOpen;
    this.#needed = plan.leaves.some(isOpen);
  }

  /** Whether bytes of this body that are yet to come could decide a rule. */
  get needed(): boolean {
    return this.#needed;
  }

  get windowBytes(): number {
    return this.#scan?.windowBytes ?? 0;
  }

  get #edges(): BodyEdges {
    this.#madeEdges ??= new BodyEdges(this.#plan, this.#isOpen);
    return this.#madeEdges;
  }

  /** The head says how long the body will be. Events are in the order of the bytes that decide, also below. */
  announce(framing: BodyFraming): readonly BodyEvent[] {
    if (!this.#needed) return nothing;
    if (framing.kind === 'none') return this.end();
    if (framing.kind !== 'length') return nothing;
    this.#missingBytes = framing.bytes;
    return framing.bytes === 0 ? this.end() : this.#edges.announce(framing.bytes);
  }

  /** What is pushed is not the body as it was announced: its length is not known any more. */
  recoded(): void {
    this.#missingBytes = Number.POSITIVE_INFINITY;
  }

  push(chunk: Buffer): readonly BodyEvent[] {
    if (!this.#needed) return nothing;
    this.#size += chunk.length;
    this.#missingBytes -= chunk.length;
    const edges = this.#edges.push(chunk);
    if (this.#plan.searches.length > 0) this.#scan ??= new BodyScan(this.#plan, this.#isOpen);
    const events = inOrder(edges, this.#scan?.push(chunk) ?? nothing);
    return this.#missingBytes > 0 ? events : [...events, ...this.end()];
  }

  /** Decides every test that is open. */
  end(): readonly BodyEvent[] {
    if (!this.#needed) return nothing;
    this.#needed = false;
    const events = [...(this.#scan?.end() ?? nothing)].sort(byMoment);
    for (const { leaf } of this.#plan.searches) {
      if (!this.#isOpen(leaf) || events.some((event) => event.leaf === leaf)) continue;
      events.push({ leaf, holds: false, offset: 0, readTo: this.#size, excerpt: '' });
    }
    return events.length === 0 ? this.#edges.end() : [...events, ...this.#edges.end()];
  }

  /** Tests were decided, or do not matter any more. */
  refresh(): void {
    if (!this.#needed) return;
    this.#needed = this.#plan.leaves.some(this.#isOpen);
    if (this.#needed) this.#scan?.refresh();
  }
}

function inOrder(a: readonly BodyEvent[], b: readonly BodyEvent[]): readonly BodyEvent[] {
  return a.length + b.length < 2 ? (a.length > 0 ? a : b) : [...a, ...b].sort(byMoment);
}

function byMoment(a: BodyEvent, b: BodyEvent): number {
  return a.readTo - b.readTo;
}
