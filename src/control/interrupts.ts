import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';

const signals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];

/**
 * The signals that reach this process while it cares for another program: before that program runs they end the wait
 * for it, so that what was begun can be cleared away, and from then on they are the program's.
 */
export class Interrupts implements Disposable {
  readonly #abort = new AbortController();
  #program: ChildProcess | undefined;
  #received: NodeJS.Signals | undefined;

  constructor() {
    for (const signal of signals) process.on(signal, this.#onSignal);
  }

  /** Aborts with the first signal that no program has taken. */
  get abort(): AbortSignal {
    return this.#abort.signal;
  }

  /** Exit code of a wait that a signal ended, as a shell tells it. */
  get exitCode(): number | undefined {
    return this.#received === undefined ? undefined : exitCodeOfSignal(this.#received);
  }

  /** Hands signals to a program from now on. */
  passTo(program: ChildProcess): void {
    this.#program = program;
  }

  [Symbol.dispose](): void {
    for (const signal of signals) process.off(signal, this.#onSignal);
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    if (this.#program === undefined) {
      this.#received ??= signal;
      this.#abort.abort();
      return;
    }
    // A terminal sends its interrupt to the program as well; it shall see it once.
    const fromTerminal = process.stdin.isTTY && (signal === 'SIGINT' || signal === 'SIGQUIT');
    if (!fromTerminal) this.#program.kill(signal);
  };
}

/** The exit code by which shells tell that a signal ended a program. */
export function exitCodeOfSignal(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
