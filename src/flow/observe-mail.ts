import { decodeWords, type MimeHead } from '../codec/mime-header.ts';
import { MimeReader } from '../codec/mime-reader.ts';
import type { PartPlaces } from '../codec/part-places.ts';
import { TextReader, textDeclaration } from '../codec/text-encoding.ts';
import { type TransferDecoder, transferDecoder } from '../codec/transfer-encoding.ts';
import type { Header } from '../core/http.ts';
import { limits } from '../core/limits.ts';
import type { FileFacts } from '../core/record.ts';
import type { MailScan } from './mail-scan.ts';
import { FileObserver } from './observe-file.ts';

export interface MailObservation {
  /** Rules ask for facts of attachments, and for their hashes. */
  readonly files: boolean;
  readonly hashes: boolean;
  /** Rules ask for what archives hold; else it is for the record alone. */
  readonly members: boolean;
  /** Values of a rule field that turned up. */
  readonly tell: (field: string, values: readonly string[]) => void;
  /** The head of the mail was told in full. */
  readonly headEnd: () => void;
  /** A part begins; what is returned is told where its text stands. */
  readonly part: (transferEncoding: string, charset: string | undefined) => PartPlaces | undefined;
  /** Content of parts, decoded, text in UTF-8. */
  readonly text: (chunk: Buffer) => void;
  /** Shown the parts as files. */
  readonly scan: MailScan | undefined;
}

/** Between two parts, so that nothing is found that stands in both. */
const partGap = Buffer.from('\n\0\n');
const knownEncodings: ReadonlySet<string> = new Set(['7bit', '8bit', 'binary', 'base64', 'quoted-printable']);

/** Looks at one mail while its bytes pass: its head, and its parts without their codings. */
export class MailObserver {
  readonly #observation: MailObservation;
  readonly #reader: MimeReader;
  readonly #files: FileFacts[] = [];
  readonly #problems = new Set<string>();
  #headers: readonly Header[] = [];
  #parts = 0;
  #decoder: TransferDecoder | undefined;
  #textReader: TextReader | undefined;
  #places: PartPlaces | undefined;
  #file: FileObserver | undefined;
  #isOver = false;

  constructor(observation: MailObservation) {
    this.#observation = observation;
    this.#reader = new MimeReader({
      head: (head) => this.#head(head),
      part: (head) => this.#part(head),
      bytes: (chunk, at) => this.#bytes(chunk, at),
      partEnd: () => this.#partEnd(true),
    });
  }

  get headers(): readonly Header[] {
    return this.#headers;
  }

  get files(): readonly FileFacts[] {
    return this.#files;
  }

  /** Parts that are no multiparts. */
  get parts(): number {
    return this.#parts;
  }

  /** Why rules may have seen less than a recipient. */
  get notInspected(): readonly string[] {
    const { problem } = this.#reader;
    return problem === undefined ? [...this.#problems] : [problem, ...this.#problems];
  }

  push(chunk: Buffer): void {
    this.#reader.push(chunk);
  }

  /** Ends the mail; once. `isWhole` is false when it was cut. */
  end(isWhole: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (isWhole) this.#reader.end();
    else this.#partEnd(false);
  }

  #head({ headers }: MimeHead): void {
    this.#headers = headers;
    const { tell } = this.#observation;
    let raw = '';
    let decoded = '';
    for (const [name, value] of headers) {
      const words = decodeWords(value);
      const lower = name.toLowerCase();
      raw += `${name}: ${value}\r\n`;
      decoded += `${name}: ${words}\r\n`;
      tell(`mail.header.${lower}`, words === value ? [value] : [value, words]);
      if (lower === 'subject') tell('mail.subject', [words]);
    }
    tell('mail.headers', raw === decoded ? [raw] : [raw, decoded]);
    this.#observation.headEnd();
  }

  #part(head: MimeHead): void {
    const { tell, text, files, hashes, members } = this.#observation;
    this.#parts += 1;
    if (this.#parts > 1) text(partGap);
    tell('mail.part.type', [head.type]);
    this.#decoder = transferDecoder(head.transferEncoding);
    if (!knownEncodings.has(head.transferEncoding)) this.#problems.add('an unknown content-transfer-encoding');
    const { encoding } = textDeclaration(head.declared === undefined ? [] : [['content-type', head.declared]]);
    this.#textReader = encoding === undefined ? undefined : new TextReader(encoding);
    this.#observation.scan?.begin(head, this.#reader.isBeyondLimits);
    this.#places = this.#observation.part(head.transferEncoding, encoding);
    const isNamed = head.isAttachment || head.fileNames.length > 0;
    if (!isNamed && /^(?:text|message)\//.test(head.type)) return;
    const claims = { names: head.fileNames, declared: head.declared, isNamed };
    this.#file = new FileObserver(
      claims,
      { facts: files, hashes, records: true, members: members ? 'all' : 'archives' },
      (fact, values) => tell(`mail.attachment.${fact}`, values),
    );
  }

  #bytes(chunk: Buffer, at: number): void {
    const pending = this.#decoder?.pendingBytes ?? 0;
    const decoded = this.#decoder === undefined ? chunk : this.#decoder.push(chunk);
    this.#places?.push(chunk, at, decoded, pending);
    if (decoded.length > 0) this.#content(decoded);
  }

  #content(bytes: Buffer): void {
    this.#observation.scan?.bytes(bytes);
    if (this.#file?.isWanted === true) this.#file.push(bytes);
    const text = this.#textReader === undefined ? bytes : this.#textReader.push(bytes);
    if (text.length > 0) this.#observation.text(text);
  }

  #partEnd(isWhole: boolean): void {
    const rest = this.#decoder?.end();
    if (rest !== undefined) this.#places?.decoded(rest);
    if (rest !== undefined && rest.length > 0) this.#content(rest);
    const text = this.#textReader?.end();
    if (text !== undefined && text.length > 0) this.#observation.text(text);
    if (this.#textReader?.problem !== undefined) this.#problems.add(this.#textReader.problem);
    this.#observation.scan?.partEnd();
    const facts = this.#file?.end(isWhole);
    if (facts !== undefined && this.#files.length < limits.recordFiles) this.#files.push(facts);
    this.#decoder = undefined;
    this.#textReader = undefined;
    this.#places = undefined;
    this.#file = undefined;
  }
}
