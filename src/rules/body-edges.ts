import type { BodyPlan, EdgeTest } from './body-plan.ts';
import { bodyExcerpt } from './excerpt.ts';
import { foldByte } from './fold-byte.ts';

import type { Finding } from './tally.ts';

/** A test of a body that is decided. */
export interface BodyEvent extends Finding {
  readonly leaf: number;
  readonly holds: boolean;
}

/** Tells whether a leaf is still to be decided. */
export type IsOpen = (leaf: number) => boolean;

type SizeTest = Extract<EdgeTest, { kind: 'size' }>;
type StartTest = Extract<EdgeTest, { kind: 'start' }>;

const nothing: readonly BodyEvent[] = [];
const noBytes: Buffer = Buffer.alloc(0);
const untrue = { holds: false, offset: 0, readTo: 0, excerpt: '' };

/** Decides the tests of how a body starts (file magic) and how long it is. */
export class BodyEdges {
  readonly #plan: BodyPlan;
  readonly #isOpen: IsOpen;
  /** The first bytes, as many as a test may ask for. */
  #start = noBytes;
  #size = 0;

  constructor(plan: BodyPlan, isOpen: IsOpen) {
    this.#plan = plan;
    this.#isOpen = isOpen;
  }

  /** The whole length is known before the first byte. */
  announce(bytes: number): readonly BodyEvent[] {
    return this.#events((test) => (test.kind === 'size' ? { ...untrue, holds: fits(test, bytes) } : undefined));
  }

  push(chunk: Buffer): readonly BodyEvent[] {
    const { longestStart } = this.#plan;
    const before = this.#size;
    this.#size += chunk.length;
    // The usual first chunk holds all that is asked for: no copy then.
    if (before === 0 && chunk.length >= longestStart) this.#start = chunk.subarray(0, longestStart);
    else if (before < longestStart)
      this.#start = Buffer.concat([this.#start, chunk.subarray(0, longestStart - before)]);
    const events = this.#events((test) =>
      test.kind === 'size' ? sizeOutcome(test, this.#size) : startOutcome(test, this.#start),
    );
    if (this.#size >= longestStart) this.#start = noBytes;
    return events;
  }

  /** The body has ended: what is open is decided by its length. */
  end(): readonly BodyEvent[] {
    const readTo = this.#size;
    return this.#events((test) => ({ ...untrue, readTo, holds: test.kind === 'size' && fits(test, readTo) }));
  }

  #events(outcomeOf: (test: EdgeTest) => Outcome | undefined): readonly BodyEvent[] {
    let events: BodyEvent[] | undefined;
    for (const test of this.#plan.edges) {
      const outcome = this.#isOpen(test.leaf) ? outcomeOf(test) : undefined;
      if (outcome === undefined) continue;
      events ??= [];
      events.push({ ...outcome, leaf: test.leaf });
    }
    return events ?? nothing;
  }
}

type Outcome = Omit<BodyEvent, 'leaf'>;

function fits({ least, most }: SizeTest, size: number): boolean {
  return size >= least && size <= most;
}

function sizeOutcome({ least, most }: SizeTest, size: number): Outcome | undefined {
  if (size > most) return { ...untrue, readTo: most + 1 };
  if (most === Number.POSITIVE_INFINITY && size >= least) return { ...untrue, holds: true, readTo: least };
  return undefined;
}

/** True with the first start that is complete, false as soon as none is possible any more. */
function startOutcome({ starts, text }: StartTest, seen: Buffer): Outcome | undefined {
  let refutedAt = 0;
  let complete: Uint8Array | undefined;
  for (const start of starts) {
    const differsAt = firstDifference(start, seen, text === 'nocase');
    if (differsAt < Math.min(start.length, seen.length)) refutedAt = Math.max(refutedAt, differsAt + 1);
    else if (start.length > seen.length) refutedAt = Number.POSITIVE_INFINITY;
    else if (complete === undefined || start.length < complete.length) complete = start;
  }
  if (complete !== undefined) {
    const matched = seen.subarray(0, complete.length);
    const excerpt = text === 'hex' ? matched.toString('hex', 0, 32) : bodyExcerpt(matched.toString('latin1'));
    return { holds: true, offset: 0, readTo: complete.length, excerpt };
  }
  return refutedAt <= seen.length ? { ...untrue, readTo: refutedAt } : undefined;
}

function firstDifference(start: Uint8Array, seen: Uint8Array, nocase: boolean): number {
  const shared = Math.min(start.length, seen.length);
  for (let index = 0; index < shared; index++) {
    const a = start[index] ?? 0;
    const b = seen[index] ?? 0;
    if (a !== b && !(nocase && foldByte(a) === foldByte(b))) return index;
  }
  return shared;
}
