import { limits } from '../core/limits.ts';
import { percentDecoded } from './disposition.ts';

/** Takes a field of a form: name and value decoded, one character per byte. */
export type FieldSink = (name: string, value: string) => void;

const ampersand = 0x26;
/** Escapes triple the length of what they stand for. */
const longestPair = 3 * limits.formValueBytes + limits.httpHeaderCount;

/** Reads application/x-www-form-urlencoded (WHATWG URL section 5.1) as it passes. */
export class FormFieldReader {
  readonly #sink: FieldSink;
  #pair = '';
  #fields = 0;
  /** Why fields were missed in part. */
  problem: string | undefined;

  constructor(sink: FieldSink) {
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    let from = 0;
    while (from < chunk.length && this.#fields < limits.formFields) {
      const found = chunk.indexOf(ampersand, from);
      const to = found < 0 ? chunk.length : found;
      this.#extend(chunk, from, to);
      if (found >= 0) this.#end();
      from = to + 1;
    }
  }

  end(): void {
    this.#end();
  }

  #extend(chunk: Buffer, from: number, to: number): void {
    const room = longestPair - this.#pair.length;
    this.#pair += chunk.toString('latin1', from, Math.min(to, from + room));
    if (to - from > room) this.problem ??= 'a form field beyond the limit';
  }

  #end(): void {
    const pair = this.#pair;
    this.#pair = '';
    if (pair === '') return;
    if (++this.#fields === limits.formFields) this.problem ??= `more than ${limits.formFields} fields`;
    const equals = pair.indexOf('=');
    const name = decoded(equals < 0 ? pair : pair.slice(0, equals));
    this.#sink(name, equals < 0 ? '' : decoded(pair.slice(equals + 1)).slice(0, limits.formValueBytes));
  }
}

function decoded(text: string): string {
  return percentDecoded(text.replaceAll('+', ' '));
}
