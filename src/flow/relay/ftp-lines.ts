import { limits } from '../../core/limits.ts';
import type { Wire } from '../../core/relay.ts';
import { SmtpInput } from './smtp-input.ts';

/** The command lines of a client, which may run ahead of the answers within a bound. */
export class FtpLines {
  readonly #input = new SmtpInput();
  readonly #wire: Wire;
  /** One that was taken too early: it waits until a transfer is over. */
  #waiting: Buffer | undefined;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  push(bytes: Buffer): void {
    this.#input.push(bytes);
  }

  take(): Buffer | 'too-long' | undefined {
    const line = this.#waiting ?? this.#input.takeLine(limits.ftpLineBytes);
    this.#waiting = undefined;
    return line;
  }

  putBack(line: Buffer): void {
    this.#waiting = line;
  }

  /** Nothing was sent behind the lines that were taken. */
  get isEmpty(): boolean {
    return this.#input.length === 0 && this.#waiting === undefined;
  }

  clear(): void {
    this.#input.clear();
  }

  /** Stops the client that is too far ahead. */
  bound(): void {
    this.#input.pause(this.#wire, this.#input.length > limits.smtpAheadBytes);
  }
}
