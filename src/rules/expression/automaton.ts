import { wordBytes } from './byte-set.ts';
import type { Program } from './program.ts';
import { StepWalk } from './step-walk.ts';

/** What is known of a byte next to a position: nothing, that there is none (an end of the text), or its kind. */
export type Neighbour = 'unknown' | 'none' | 'word' | 'other';

/** A state of the deterministic automaton: where in the program the possible matches stand. */
export interface State {
  /** Steps that read a byte. */
  readonly places: Int32Array;
  /** Assertions that need the next byte to be decided. */
  readonly waiting: Int32Array;
  readonly before: Neighbour;
  /** A match ended before the byte that led here. */
  readonly matchedBefore: boolean;
  /** A match ends here, whatever follows. */
  readonly matchesHere: boolean;
  /** Either of the two: one test in the loop over bytes. */
  readonly matched: boolean;
  /** Successors by class of byte; empty in a state that is not kept. */
  readonly next: (State | undefined)[];
}

/** States kept of one expression: real ones need fewer than 100. */
const mostStates = 1_000;
/** States that were not kept for lack of room, after which all are forgotten, so that an attack leaves no lasting mark. */
const mostPassingStates = 50_000;
const nothingKept: (State | undefined)[] = [];

/**
 * The deterministic automaton of a program, made state by state as the input asks for it: a byte costs one look-up, or at
 * worst one pass over the program. `restarting` lets a match start at every position.
 */
export class Automaton {
  readonly #program: Program;
  readonly #restarting: boolean;
  readonly #walk: StepWalk;
  #states = new Map<number, State[]>();
  #kept = 0;
  #passing = 0;

  constructor(program: Program, restarting: boolean) {
    this.#program = program;
    this.#restarting = restarting;
    this.#walk = new StepWalk(program);
  }

  start(before: Neighbour): State {
    this.#walk.begin();
    this.#walk.enter(this.#program.start, before, 'unknown');
    return this.#state(before, false);
  }

  /** The successor of a state by a byte. */
  read(state: State, byte: number): State {
    const name = this.#program.classOf[byte] ?? 0;
    return state.next[name] ?? this.#successor(state, name);
  }

  /** Whether a match ends where the text ends. */
  matchesAtEnd(state: State): boolean {
    this.#walk.begin();
    for (const place of state.waiting) this.#walk.enter(place, state.before, 'none');
    return this.#walk.matched;
  }

  #successor(state: State, name: number): State {
    const { start, examples } = this.#program;
    const walk = this.#walk;
    const example = examples[name] ?? 0;
    const after = neighbourOf(example);
    let { places } = state;
    let matchedBefore = false;
    if (state.waiting.length > 0) {
      walk.begin();
      for (const place of state.waiting) walk.enter(place, state.before, after);
      matchedBefore = walk.matched;
      places = joined(places, walk.places());
    }
    walk.begin();
    for (let index = 0; index < places.length; index++) walk.follow(places[index] ?? 0, example, after);
    if (this.#restarting) walk.enter(start, after, 'unknown');
    const successor = this.#state(after, matchedBefore);
    // A state that is not kept must not be kept by way of others either.
    if (successor.next !== nothingKept && state.next !== nothingKept) state.next[name] = successor;
    return successor;
  }

  /** The state of what the walk has reached. */
  #state(before: Neighbour, matchedBefore: boolean): State {
    const walk = this.#walk;
    const matchesHere = walk.matched;
    const flags = neighbours.indexOf(before) * 4 + (matchedBefore ? 2 : 0) + (matchesHere ? 1 : 0);
    const hash = walk.hash(flags);
    const bucket = this.#states.get(hash);
    for (const state of bucket ?? []) {
      const same =
        state.before === before && state.matchedBefore === matchedBefore && state.matchesHere === matchesHere;
      if (same && walk.reached(state.places, state.waiting)) return state;
    }
    const keep = this.#hasRoom();
    const state: State = {
      places: walk.places(),
      waiting: walk.waiting(),
      before,
      matchedBefore,
      matchesHere,
      matched: matchedBefore || matchesHere,
      next: keep ? new Array<State | undefined>(this.#program.classes).fill(undefined) : nothingKept,
    };
    if (keep && bucket === undefined) this.#states.set(hash, [state]);
    else if (keep) bucket?.push(state);
    return state;
  }

  #hasRoom(): boolean {
    if (this.#kept < mostStates) {
      this.#kept++;
      return true;
    }
    this.#passing++;
    if (this.#passing >= mostPassingStates) {
      this.#states = new Map();
      this.#kept = 0;
      this.#passing = 0;
    }
    return false;
  }
}

/** The kind of a byte as a neighbour. */
export function neighbourOf(byte: number): Neighbour {
  return wordBytes[byte] === 1 ? 'word' : 'other';
}

const neighbours: readonly Neighbour[] = ['unknown', 'none', 'word', 'other'];

function joined(a: Int32Array, b: Int32Array): Int32Array {
  const both = new Int32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
