import { KeptWindow } from '../codec/kept-window.ts';
import { limits } from '../core/limits.ts';
import type { RuleRef } from '../core/verdict.ts';
import type { RedactionScan } from '../rules/redaction.ts';
import { Masking } from './masking.ts';

const asterisk = 0x2a;

/**
 * Masks parts of a body in place, byte by byte, so that no length and no framing changes. The relay keeps the last bytes
 * back meanwhile: a place that spans chunks is masked in all of them before the first is forwarded.
 */
export class BodyRedactor {
  readonly #masking: Masking;
  readonly #window = new KeptWindow();

  constructor(scan: RedactionScan, onMask: (from: number, to: number) => void) {
    this.#masking = new Masking(scan, ({ from, to }) => {
      onMask(from, to);
      this.#window.fill(asterisk, from, to);
      return from >= this.#window.start;
    });
  }

  /** A rule whose place begins in bytes that were forwarded already. */
  get late(): RuleRef | undefined {
    return this.#masking.late;
  }

  push(chunk: Buffer): void {
    this.#window.push(chunk);
    this.#masking.push(chunk);
    this.#window.forget(this.#window.end - limits.redactedBytes);
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
