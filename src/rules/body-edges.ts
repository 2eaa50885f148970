import type { BodyPlan, BodyTest } from './body-plan.ts';
import { bodyExcerpt } from './excerpt.ts';
import { foldByte } from './literal-automaton.ts';

import type { Finding } from './tally.ts';

/** A test of a body that is decided. */
export interface BodyEvent extends Finding {
  readonly leaf: number;
  readonly holds: boolean;
}

/** Tells whether a leaf is still to be decided. */
export type IsOpen = (leaf: number) => boolean;

type SizeTest = Extract<BodyTest, { kind: 'size' }>;
type StartTest = Extract<BodyTest, { kind: 'start' }>;

const nothing: readonly BodyEvent[] = [];

/** Decides what is open when a body of a known size has ended: what was not found is not there. */
export function endBody(plan: BodyPlan, isOpen: IsOpen, size: number): readonly BodyEvent[] {
  return plan.tests
    .filter(({ leaf }) => isOpen(leaf))
    .map((test) => ({
      leaf: test.leaf,
      holds: test.kind === 'size' && fits(test, size),
      offset: 0,
      readTo: size,
      excerpt: '',
    }));
}

/** Decides the tests of how a body starts (file magic) and how long it is. */
export class BodyEdges {
  readonly #plan: BodyPlan;
  readonly #isOpen: IsOpen;
  /** The first bytes, as many as a test may ask for. */
  #start: Buffer = Buffer.alloc(0);
  #size = 0;

  constructor(plan: BodyPlan, isOpen: IsOpen) {
    this.#plan = plan;
    this.#isOpen = isOpen;
  }

  /** Bytes seen so far. */
  get size(): number {
    return this.#size;
  }

  /** The whole length is known before the first byte. */
  announce(bytes: number): readonly BodyEvent[] {
    return this.#plan.tests.flatMap((test) =>
      test.kind === 'size' && this.#isOpen(test.leaf)
        ? [{ leaf: test.leaf, holds: fits(test, bytes), offset: 0, readTo: 0, excerpt: '' }]
        : [],
    );
  }

  push(chunk: Buffer): readonly BodyEvent[] {
    const before = this.#size;
    this.#size += chunk.length;
    if (before < this.#plan.longestStart) {
      this.#start = Buffer.concat([this.#start, chunk.subarray(0, this.#plan.longestStart - before)]);
    }
    let events: BodyEvent[] | undefined;
    for (const test of this.#plan.tests) {
      if ((test.kind !== 'size' && test.kind !== 'start') || !this.#isOpen(test.leaf)) continue;
      const event = test.kind === 'size' ? sizeEvent(test, this.#size) : startEvent(test, this.#start);
      if (event === undefined) continue;
      events ??= [];
      events.push({ ...event, leaf: test.leaf });
    }
    return events ?? nothing;
  }
}

type Outcome = Omit<BodyEvent, 'leaf'>;

function fits({ least, most }: SizeTest, size: number): boolean {
  return size >= least && size <= most;
}

function sizeEvent({ least, most }: SizeTest, size: number): Outcome | undefined {
  if (size > most) return { holds: false, offset: 0, readTo: most + 1, excerpt: '' };
  if (most === Number.POSITIVE_INFINITY && size >= least) return { holds: true, offset: 0, readTo: least, excerpt: '' };
  return undefined;
}

/** True with the first start that is complete, false as soon as none is possible any more. */
function startEvent({ starts, text }: StartTest, seen: Buffer): Outcome | undefined {
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
  return refutedAt <= seen.length ? { holds: false, offset: 0, readTo: refutedAt, excerpt: '' } : undefined;
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
