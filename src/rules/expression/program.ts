import { type ByteSet, wordBytes } from './byte-set.ts';
import { type Assertion, ExpressionError, type Syntax } from './syntax.ts';

/** One step of a nondeterministic automaton. */
export type Step =
  | { readonly kind: 'bytes'; readonly set: ByteSet; readonly next: number }
  | { readonly kind: 'fork'; readonly next: number; readonly other: number }
  | { readonly kind: 'assertion'; readonly at: Assertion; readonly next: number }
  | { readonly kind: 'match' };

/** An expression as a nondeterministic automaton over classes of bytes that it treats alike. */
export interface Program {
  readonly steps: readonly Step[];
  readonly start: number;
  /** Class of each byte. */
  readonly classOf: Uint8Array;
  readonly classes: number;
  /** A byte of each class. */
  readonly examples: Uint8Array;
}

/** Bounds the cost of one byte in the worst case, some 10 microseconds; `[a-z]{36,251}` fits. */
const mostSteps = 600;

/** Builds the automaton of an expression (Thompson's construction). Throws ExpressionError when it is too large. */
export function buildProgram(syntax: Syntax): Program {
  const builder = new Builder();
  const start = builder.add(syntax, builder.push({ kind: 'match' }));
  return { steps: builder.steps, start, ...classify(builder.steps) };
}

/** The expression that matches every text read backwards. */
export function reversed(syntax: Syntax): Syntax {
  switch (syntax.kind) {
    case 'bytes':
      return syntax;
    case 'sequence':
      return { kind: 'sequence', parts: syntax.parts.map(reversed).reverse() };
    case 'choice':
      return { kind: 'choice', parts: syntax.parts.map(reversed) };
    case 'repeat':
      return { ...syntax, part: reversed(syntax.part) };
    case 'assertion':
      return { kind: 'assertion', at: syntax.at === 'start' ? 'end' : syntax.at === 'end' ? 'start' : syntax.at };
  }
}

/** Length of the shortest text that an expression matches. */
export function shortestMatch(syntax: Syntax): number {
  switch (syntax.kind) {
    case 'bytes':
      return 1;
    case 'sequence':
      return syntax.parts.reduce((sum, part) => sum + shortestMatch(part), 0);
    case 'choice':
      return Math.min(...syntax.parts.map(shortestMatch));
    case 'repeat':
      return syntax.least * shortestMatch(syntax.part);
    case 'assertion':
      return 0;
  }
}

class Builder {
  readonly steps: Step[] = [];

  push(step: Step): number {
    if (this.steps.length >= mostSteps) throw new ExpressionError('the expression is too large');
    return this.steps.push(step) - 1;
  }

  /** Adds the steps of a part that go on at `next`; returns where they start. */
  add(syntax: Syntax, next: number): number {
    switch (syntax.kind) {
      case 'bytes':
        return this.push({ kind: 'bytes', set: syntax.set, next });
      case 'assertion':
        return this.push({ kind: 'assertion', at: syntax.at, next });
      case 'sequence':
        return syntax.parts.reduceRight((after, part) => this.add(part, after), next);
      case 'choice':
        return syntax.parts
          .map((part) => this.add(part, next))
          .reduceRight((other, entry) => this.push({ kind: 'fork', next: entry, other }));
      case 'repeat':
        return this.#repeat(syntax.part, syntax.least, syntax.most, next);
    }
  }

  #repeat(part: Syntax, least: number, most: number, next: number): number {
    let entry = next;
    if (most === Number.POSITIVE_INFINITY) entry = this.#loop(part, next);
    else for (let count = least; count < most; count++) entry = this.#optional(part, entry, next);
    for (let count = 0; count < least; count++) entry = this.add(part, entry);
    return entry;
  }

  #loop(part: Syntax, next: number): number {
    const fork = this.push({ kind: 'match' });
    this.steps[fork] = { kind: 'fork', next: this.add(part, fork), other: next };
    return fork;
  }

  #optional(part: Syntax, after: number, skip: number): number {
    return this.push({ kind: 'fork', next: this.add(part, after), other: skip });
  }
}

/** Bytes that no set tells apart share a class, which keeps the rows of the deterministic automaton short. */
function classify(steps: readonly Step[]): Pick<Program, 'classOf' | 'classes' | 'examples'> {
  const sets = new Set<ByteSet>([wordBytes]);
  for (const step of steps) if (step.kind === 'bytes') sets.add(step.set);
  const classOf = new Uint8Array(256);
  let examples: number[] = [0];
  for (const set of sets) {
    const split = new Map<number, number>();
    const refined: number[] = [];
    for (let byte = 0; byte < 256; byte++) {
      const key = (classOf[byte] ?? 0) * 2 + (set[byte] ?? 0);
      let name = split.get(key);
      if (name === undefined) {
        name = refined.push(byte) - 1;
        split.set(key, name);
      }
      classOf[byte] = name;
    }
    examples = refined;
  }
  return { classOf, classes: examples.length, examples: Uint8Array.from(examples) };
}
