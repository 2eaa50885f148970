import type { Neighbour } from './automaton.ts';
import type { Program } from './program.ts';
import type { Assertion } from './syntax.ts';

/**
 * Follows the steps of a program that read no byte, and collects where it arrives. Its buffers are used again and again,
 * because under attack a walk is made for every byte.
 */
export class StepWalk {
  readonly #steps: Program['steps'];
  readonly #open: Int32Array;
  readonly #places: Int32Array;
  readonly #waiting: Int32Array;
  /** Number of the walk that last visited a step. */
  readonly #visits: Int32Array;
  #walk = 0;
  #placeCount = 0;
  #waitingCount = 0;
  #matched = false;

  constructor(program: Program) {
    this.#steps = program.steps;
    this.#open = new Int32Array(program.steps.length + 2);
    this.#places = new Int32Array(program.steps.length);
    this.#waiting = new Int32Array(program.steps.length);
    this.#visits = new Int32Array(program.steps.length);
  }

  /** Forgets what was reached. */
  begin(): void {
    this.#walk++;
    this.#placeCount = 0;
    this.#waitingCount = 0;
    this.#matched = false;
  }

  /** A match was reached. */
  get matched(): boolean {
    return this.#matched;
  }

  /** Reads a byte at a step that reads one, and goes on behind it. */
  follow(place: number, byte: number, before: Neighbour): void {
    const step = this.#steps[place];
    if (step?.kind === 'bytes' && step.set[byte] === 1) this.enter(step.next, before, 'unknown');
  }

  /** Goes on from a step, with what is known of the bytes around. */
  enter(entry: number, before: Neighbour, after: Neighbour): void {
    const open = this.#open;
    const visits = this.#visits;
    let count = 0;
    let place = entry;
    for (;;) {
      const step = this.#steps[place];
      let next = -1;
      if (step !== undefined && visits[place] !== this.#walk) {
        visits[place] = this.#walk;
        if (step.kind === 'bytes') this.#places[this.#placeCount++] = place;
        else if (step.kind === 'fork') {
          next = step.next;
          open[count++] = step.other;
        } else if (step.kind === 'match') this.#matched = true;
        else if (after === 'unknown' && step.at !== 'start') this.#waiting[this.#waitingCount++] = place;
        else if (holds(step.at, before, after)) next = step.next;
      }
      if (next >= 0) place = next;
      else if (count > 0) place = open[--count] ?? 0;
      else return;
    }
  }

  places(): Int32Array {
    return this.#places.slice(0, this.#placeCount);
  }

  waiting(): Int32Array {
    return this.#waiting.slice(0, this.#waitingCount);
  }

  /** Whether exactly these steps were reached, in this order. */
  reached(places: Int32Array, waiting: Int32Array): boolean {
    return equal(places, this.#places, this.#placeCount) && equal(waiting, this.#waiting, this.#waitingCount);
  }

  /** FNV-1a over the numbers of the steps. */
  hash(flags: number): number {
    let hash = Math.imul(0x811c9dc5 ^ flags, 0x01000193);
    for (let index = 0; index < this.#placeCount; index++) {
      hash = Math.imul(hash ^ (this.#places[index] ?? 0), 0x01000193);
    }
    for (let index = 0; index < this.#waitingCount; index++) {
      hash = Math.imul(hash ^ ~(this.#waiting[index] ?? 0), 0x01000193);
    }
    return hash;
  }
}

function holds(at: Assertion, before: Neighbour, after: Neighbour): boolean {
  if (at === 'start') return before === 'none';
  if (at === 'end') return after === 'none';
  if (before === 'unknown' || after === 'unknown') return false;
  return ((before === 'word') !== (after === 'word')) === (at === 'boundary');
}

function equal(a: Int32Array, b: Int32Array, length: number): boolean {
  if (a.length !== length) return false;
  for (let index = 0; index < length; index++) if (a[index] !== b[index]) return false;
  return true;
}
