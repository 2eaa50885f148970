import type { KeptWindow } from '../codec/kept-window.ts';
import type { PartPlaces } from '../codec/part-places.ts';
import { limits } from '../core/limits.ts';
import type { RuleRef } from '../core/verdict.ts';
import type { MaskedRange, RedactionScan } from '../rules/redaction.ts';
import { Masking } from './masking.ts';

interface MaskedPart {
  /** Text of all parts before it. */
  readonly from: number;
  to: number;
  readonly places: PartPlaces | undefined;
}

/**
 * Masks what rules find in the parts of a mail where it stands encoded: no length changes, neither of the mail nor of a
 * line of it. What cannot be masked (a charset of several bytes a character, base64 that readers cut differently) is told
 * as `late`, and blocks the mail.
 */
export class MailRedactor {
  readonly #masking: Masking;
  readonly #window: KeptWindow;
  #parts: MaskedPart[] = [];
  #text = 0;

  /** `window` holds the bytes of the mail that may still change. */
  constructor(scan: RedactionScan, window: KeptWindow) {
    this.#window = window;
    this.#masking = new Masking(scan, (range) => this.#mask(range));
  }

  get late(): RuleRef | undefined {
    return this.#masking.late;
  }

  get notes(): readonly string[] {
    return this.#masking.notes('mail');
  }

  /** A part begins; `places` is undefined where what it holds cannot be masked. */
  part(places: PartPlaces | undefined): void {
    this.#parts.push({ from: this.#text, to: this.#text, places });
    const needed = this.#text - 2 * limits.redactedBytes;
    const gone = this.#parts.findIndex(({ to }, index) => to >= needed || index === this.#parts.length - 1);
    if (gone > 0) this.#parts.splice(0, gone);
  }

  /** Text of the present part, as rules get it. */
  push(text: Buffer): void {
    this.#text += text.length;
    const part = this.#parts.at(-1);
    if (part !== undefined) part.to = this.#text;
    this.#masking.push(text);
    part?.places?.forget(this.#window.end - limits.mailMaskedBytes);
  }

  end(): void {
    this.#masking.end();
  }

  #mask({ from, to }: MaskedRange): boolean {
    const part = this.#parts.findLast((candidate) => candidate.from <= from);
    return part?.places?.mask(this.#window, from - part.from, to - part.from) === true;
  }
}
