import { limits } from '../core/limits.ts';

/** Records of one log that could not be written. */
export interface Loss {
  readonly lines: number;
  /** Milliseconds since the epoch: when writing began to fail, or the first line was lost. */
  readonly sinceMs: number;
  readonly reason: string;
}

export interface TroubleOptions {
  /** What the reports are about. */
  readonly name: string;
  /** What becomes of traffic meanwhile. */
  readonly consequence: string;
  readonly now: () => number;
  readonly onProblem: (problem: string) => void;
  /** Called for each line that is lost. */
  readonly onLoss: () => void;
}

/** Keeps account of a log that cannot be written: tells it at once and then once per interval, counts what is lost. */
export class Trouble {
  readonly #options: TroubleOptions;
  #isPresent = false;
  #sinceMs = 0;
  #toldMs = Number.NEGATIVE_INFINITY;
  #reason = '';
  #lines = 0;

  constructor(options: TroubleOptions) {
    this.#options = options;
  }

  /** Whether the last attempt to write failed. */
  get isPresent(): boolean {
    return this.#isPresent;
  }

  /** An attempt to write failed. */
  failed(error: unknown): void {
    this.#begin(error instanceof Error ? error.message : String(error));
    this.#isPresent = true;
    this.#tell();
  }

  /** A line will never be written. */
  lose(reason: string): void {
    this.#begin(this.#isPresent ? this.#reason : reason);
    this.#lines += 1;
    this.#options.onLoss();
    this.#tell();
  }

  /** An attempt to write succeeded. */
  succeeded(): void {
    if (!this.#isPresent) return;
    this.#isPresent = false;
    this.#toldMs = Number.NEGATIVE_INFINITY;
    const { name, now, onProblem } = this.#options;
    const seconds = Math.round((now() - this.#sinceMs) / 1_000);
    onProblem(`${name} is written again after ${seconds} s; ${count(this.#lines)} lost`);
  }

  /** What is lost and not yet on record; `take` it once the line that tells of it is sure to be written. */
  get loss(): Loss | undefined {
    return this.#lines === 0 ? undefined : { lines: this.#lines, sinceMs: this.#sinceMs, reason: this.#reason };
  }

  /** The loss is on record. */
  take(): void {
    this.#lines = 0;
  }

  #begin(reason: string): void {
    if (!this.#isPresent && this.#lines === 0) this.#sinceMs = this.#options.now();
    this.#reason = reason;
  }

  #tell(): void {
    const { name, consequence, now, onProblem } = this.#options;
    if (now() - this.#toldMs < limits.recordProblemIntervalMs) return;
    this.#toldMs = now();
    onProblem(`${name} cannot be written (${this.#reason}); ${count(this.#lines)} lost so far; ${consequence}`);
  }
}

function count(lines: number): string {
  return `${lines} ${lines === 1 ? 'line is' : 'lines are'}`;
}
