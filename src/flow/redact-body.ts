import { KeptWindow } from '../codec/kept-window.ts';
import type { RuleRef } from '../core/verdict.ts';
import type { RedactionScan } from '../rules/redaction.ts';
import { Masking } from './masking.ts';

const asterisk = 0x2a;

/**
 * Masks parts of a body in place, byte by byte, so that no length and no framing changes. The relay keeps the last bytes
 * back meanwhile: a place that spans chunks is masked in all of them before the first is forwarded.
 */
export class BodyRedactor {
  readonly #scan: RedactionScan;
  readonly #masking: Masking;
  readonly #window = new KeptWindow();
  /** Up to here the relay may have forwarded. */
  #free = 0;

  constructor(scan: RedactionScan, onMask: (from: number, to: number) => void) {
    this.#scan = scan;
    this.#masking = new Masking(scan, ({ from, to }) => {
      onMask(from, to);
      this.#window.fill(asterisk, from, to);
      return from >= this.#free;
    });
  }

  /** A rule whose place begins in bytes that were forwarded already. */
  get late(): RuleRef | undefined {
    return this.#masking.late;
  }

  /** How many of the last bytes the relay has to keep: a place may have begun in them. */
  get keptBytes(): number {
    return this.#window.end - this.#free;
  }

  push(chunk: Buffer): void {
    this.#window.push(chunk);
    this.#masking.push(chunk);
    this.#free = Math.max(this.#free, this.#window.end - this.#scan.pendingBytes);
    this.#window.forget(this.#free);
  }

  /** Masks what only the end of the body shows. */
  end(): void {
    this.#masking.end();
    this.#window.forgetAll();
  }

  notes(message: 'request' | 'response'): readonly string[] {
    return this.#masking.notes(message);
  }
}
