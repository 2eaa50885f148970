import { fieldNames } from '../codec/disposition.ts';
import { FormFieldReader } from '../codec/form-fields.ts';
import { TextReader, textDeclaration } from '../codec/text-encoding.ts';
import type { Header } from '../core/http.ts';
import type { FileFacts } from '../core/record.ts';
import { charsetDeclaration, formText } from './form-text.ts';
import type { FoundSink, PartsObserver } from './observe-parts.ts';

const none: readonly FileFacts[] = [];

/**
 * A urlencoded form: fields alone. Where it names another charset, some recipients take no heed (WHATWG URL section 5.1),
 * others read the bytes that escapes stand for in it, and others the whole form before they look for fields: rules are shown
 * each of these.
 */
export class FieldsObserver implements PartsObserver {
  readonly isWanted = true;
  readonly #tell: FoundSink;
  readonly #declared: string | undefined;
  readonly #reader: FormFieldReader;
  /** Reads the form as text of its charset. */
  readonly #whole: { readonly text: TextReader; readonly reader: FormFieldReader } | undefined;
  /** The field `_charset_` has named the encoding of the fields behind it. */
  #named: string | undefined;
  /** Why recipients may read other fields. */
  #doubt: string | undefined;
  #isNamedLate = false;

  constructor(headers: readonly Header[], tell: FoundSink) {
    this.#tell = tell;
    this.#declared = textDeclaration(headers).encoding;
    this.#reader = new FormFieldReader((name, value) => this.#take(name, value));
    if (this.#declared === undefined) return;
    const reader = new FormFieldReader((name, value) => this.#take(name, value));
    this.#whole = { text: new TextReader(this.#declared), reader };
  }

  get problem(): string | undefined {
    return this.#doubt ?? this.#reader.problem ?? this.#whole?.reader.problem;
  }

  push(bytes: Buffer): void {
    this.#reader.push(bytes);
    this.#whole?.reader.push(this.#whole.text.push(bytes));
  }

  end(): readonly FileFacts[] {
    this.#reader.end();
    this.#whole?.reader.push(this.#whole.text.end());
    this.#whole?.reader.end();
    return none;
  }

  #take(name: string, value: string): void {
    if (name === '_charset_') this.#learn(value);
    const encoding = this.#named ?? this.#declared;
    if (encoding === undefined) {
      this.#isNamedLate ||= isOther(name) || isOther(value);
      this.#show(name, [value]);
      return;
    }
    const values = unique(value, formText(value, encoding));
    for (const each of unique(name, formText(name, encoding))) this.#show(each, values);
  }

  #show(name: string, values: readonly string[]): void {
    const names = fieldNames(name);
    this.#tell('http.request.part.name', names);
    for (const each of names) this.#tell(`http.request.form.${each}`, values);
  }

  #learn(label: string): void {
    const { encoding, unknown } = charsetDeclaration(label);
    if (unknown !== undefined) this.#doubt ??= `charset ${unknown} of a form`;
    const before = this.#named ?? this.#declared;
    if (encoding === undefined || encoding === before) return;
    // Fields that came before were read as they stood, or in another encoding.
    if (this.#isNamedLate || before !== undefined) this.#doubt ??= `charset ${label.slice(0, 40)} of a form`;
    this.#named = encoding;
  }
}

function unique(first: string, second: string): readonly string[] {
  return first === second ? [first] : [first, second];
}

/** Bytes that mean something else in another charset: beyond ASCII, or an escape or NUL of wide characters. */
function isOther(text: string): boolean {
  return /[^\t\n\r -~]/.test(text);
}
