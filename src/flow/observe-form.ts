import { FormDataReader, type PartHead } from '../codec/form-data.ts';
import { textDeclaration } from '../codec/text-encoding.ts';
import { type TransferDecoder, transferDecoder } from '../codec/transfer-encoding.ts';
import { limits } from '../core/limits.ts';
import type { FileFacts } from '../core/record.ts';
import { charsetDeclaration, formText } from './form-text.ts';
import { FileObserver, type FileWants } from './observe-file.ts';
import type { FoundSink, PartsObserver } from './observe-parts.ts';

/**
 * A multipart body: every part is a field or a file. What a part says of its encoding some recipients undo and others do
 * not (RFC 7578 sections 4.6 and 4.7): what is encoded is shown as it came and as it reads.
 */
export class FormObserver implements PartsObserver {
  /** Why a recipient may read other parts. */
  readonly #doubt: string | undefined;
  readonly #reader: FormDataReader;
  readonly #wants: FileWants;
  readonly #tell: FoundSink;
  readonly #files: FileFacts[] = [];
  #part: ObservedPart | undefined;
  /** The field `_charset_` has named the encoding of fields that name none. */
  #charset: string | undefined;
  #isCharsetLate = false;
  #unknownCharset: string | undefined;

  constructor(boundary: string, doubt: string | undefined, wants: FileWants, tell: FoundSink) {
    this.#doubt = doubt;
    this.#wants = wants;
    this.#tell = tell;
    this.#reader = new FormDataReader(boundary, {
      part: (head) => this.#begin(head),
      bytes: (chunk) => this.#part?.push(chunk),
      partEnd: () => this.#end(true),
    });
  }

  get isWanted(): boolean {
    return true;
  }

  get problem(): string | undefined {
    const unknown = this.#unknownCharset;
    return this.#doubt ?? this.#reader.problem ?? (unknown === undefined ? undefined : `charset ${unknown} of a form`);
  }

  push(bytes: Buffer): void {
    this.#reader.push(bytes);
  }

  end(isWhole: boolean): readonly FileFacts[] {
    if (isWhole) this.#reader.end();
    else this.#end(false);
    return this.#files;
  }

  #begin(head: PartHead): void {
    if (head.names.length > 0) this.#tell('http.request.part.name', head.names);
    this.#part = new ObservedPart(head, this.#wants, this.#tell);
  }

  #end(isWhole: boolean): void {
    const part = this.#part;
    this.#part = undefined;
    if (part === undefined) return;
    const { names } = part;
    if (names.length > 0) {
      const { values, unknown, isOther } = part.values(this.#charset);
      this.#unknownCharset ??= unknown;
      if (names.includes('_charset_')) this.#learn(values[0] ?? '');
      else this.#isCharsetLate ||= isOther;
      for (const name of names) this.#tell(`http.request.form.${name}`, values);
    }
    for (const facts of part.end(isWhole)) if (this.#files.length < limits.recordFiles) this.#files.push(facts);
  }

  #learn(label: string): void {
    const { encoding, unknown } = charsetDeclaration(label);
    this.#charset = label;
    // Fields that came before were read as they stood.
    this.#unknownCharset ??=
      unknown ?? (encoding !== undefined && this.#isCharsetLate ? label.slice(0, 40) : undefined);
  }
}

/** One part: its value, and the file that it may be. */
class ObservedPart {
  readonly names: readonly string[];
  readonly #type: string | undefined;
  readonly #decoder: TransferDecoder | undefined;
  /** The part as it came, and as it reads where it is encoded. */
  readonly #files: readonly FileObserver[];
  #value = '';
  #decoded = '';

  constructor({ names, fileNames, type, transferEncoding }: PartHead, wants: FileWants, tell: FoundSink) {
    this.names = names;
    this.#type = type;
    this.#decoder = transferDecoder(transferEncoding);
    // A part with a type is a file for most recipients, even without a name.
    const isFile = fileNames.length > 0 || type !== undefined;
    const claims = { names: fileNames, declared: type, isNamed: fileNames.length > 0 };
    const file = () => new FileObserver(claims, wants, (fact, values) => tell(`http.request.file.${fact}`, values));
    this.#files = isFile ? [file(), ...(this.#decoder === undefined ? [] : [file()])] : [];
  }

  push(chunk: Buffer): void {
    const [file] = this.#files;
    if (file?.isWanted === true) file.push(chunk);
    this.#value += firstOf(chunk, limits.formValueBytes - this.#value.length);
    if (this.#decoder !== undefined) this.#pushDecoded(this.#decoder.push(chunk));
  }

  /** What the field says: as it came, and as it reads where that differs. */
  values(charset: string | undefined): { values: string[]; unknown: string | undefined; isOther: boolean } {
    if (this.#decoder !== undefined) this.#pushDecoded(this.#decoder.end());
    const value = this.#decoder === undefined ? this.#value : this.#decoded;
    const { encoding, unknown, doubt } = this.#type?.includes('charset')
      ? textDeclaration([['content-type', this.#type]])
      : charsetDeclaration(charset);
    const values = [this.#value];
    if (value !== this.#value) values.push(value);
    if (encoding !== undefined) {
      const text = formText(value, encoding);
      if (text !== value) values.push(text);
    }
    return { values, unknown: unknown ?? doubt, isOther: encoding === undefined && /[\u0080-\uffff]/.test(value) };
  }

  end(isWhole: boolean): readonly FileFacts[] {
    return this.#files.map((file) => file.end(isWhole)).filter((facts) => facts !== undefined);
  }

  #pushDecoded(bytes: Buffer): void {
    const file = this.#files[1];
    if (bytes.length > 0 && file?.isWanted === true) file.push(bytes);
    this.#decoded += firstOf(bytes, limits.formValueBytes - this.#decoded.length);
  }
}

function firstOf(bytes: Buffer, most: number): string {
  return most > 0 ? bytes.toString('latin1', 0, most) : '';
}
