import { type CredentialPattern, credentialLookBehindBytes } from '../core/credential.ts';
import { maskCredential } from '../core/sensitive.ts';
import type { ByteHistory } from './byte-history.ts';
import { maskedExcerpt } from './excerpt.ts';
import type { Tally } from './tally.ts';

interface Candidate {
  readonly pattern: CredentialPattern;
  readonly start: number;
}

/**
 * Decides whether a credential stands where one of its literals was found. A candidate at the end of a chunk waits, for
 * no more bytes than its pattern can reach; so no more than a few dozen ever wait.
 */
export class CredentialSearch {
  readonly #history: ByteHistory;
  readonly #tally: Tally;
  #waiting: Candidate[] = [];
  /** Bytes given to patterns so far, and how often. */
  bytes = 0;
  runs = 0;

  constructor(history: ByteHistory, tally: Tally) {
    this.#history = history;
    this.#tally = tally;
  }

  /** Notes that a literal of a pattern starts at an offset. */
  literal(pattern: CredentialPattern, start: number): void {
    const candidate = { pattern, start };
    if (this.#tally.wants(start) && !this.#decide(candidate, false)) this.#waiting.push(candidate);
  }

  /** Looks again at what waits, when a chunk has come (`ended` false) or the body has ended. */
  advance(ended: boolean): void {
    if (this.#waiting.length === 0) return;
    this.#waiting = this.#waiting.filter((candidate) => !this.#decide(candidate, ended));
  }

  /** Where the first candidate begins that waits; the end of what came without one. */
  get waitsFrom(): number {
    return Math.min(this.#history.end, ...this.#waiting.map(({ start }) => start));
  }

  /** True when more bytes could change nothing. */
  #decide({ pattern, start }: Candidate, ended: boolean): boolean {
    const reach = start + pattern.reachBytes;
    const to = Math.min(reach, this.#history.end);
    const from = Math.max(0, start - credentialLookBehindBytes);
    const window = this.#history.slice(from, to).toString('latin1');
    this.bytes += window.length;
    this.runs++;
    pattern.regex.lastIndex = start - from;
    const text = pattern.regex.exec(window)?.[0];
    const whole = ended || to === reach;
    if (text === undefined) return whole;
    const needed = Math.min(start + text.length + pattern.lookAheadBytes, reach);
    if (needed > to && !whole) return false;
    this.#tally.add(text, start, start + text.length, Math.min(needed, to), () =>
      maskedExcerpt(maskCredential(text, pattern)),
    );
    return true;
  }
}
