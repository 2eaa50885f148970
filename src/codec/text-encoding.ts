import type { Header } from '../core/http.ts';
import { declaredEncoding, isEncoding, type Markup, markupHeadBytes } from './markup-encoding.ts';

/** Bytes of the longest byte order mark. */
const longestMark = 3;
/** Bytes looked at to see that text is not what it was declared to be. */
const probeBytes = 256;
const noBytes = Buffer.alloc(0);

/** What the head says of a body's text: its encoding when that is not UTF-8, and whether its bytes may be text at all. */
export interface TextDeclaration {
  /** A label that TextDecoder knows. */
  readonly encoding: string | undefined;
  readonly mayBeText: boolean;
  /** Markup whose head says no encoding: it may say one itself. */
  readonly markup?: Markup;
  /** A label that nobody knows: clients guess. */
  readonly unknown?: string;
}

/** Browsers look whether a body without a type is HTML. */
const untyped: TextDeclaration = { encoding: undefined, mayBeText: true, markup: 'html' };
const plain: TextDeclaration = { encoding: undefined, mayBeText: true };
const binary: TextDeclaration = { encoding: undefined, mayBeText: false };

/** Servers use few types: what they mean is worked out once. */
const remembered = new Map<string, TextDeclaration>();
const mostRemembered = 256;

/** Reads Content-Type (RFC 9110 section 8.3) for the encoding of the text. */
export function textDeclaration(headers: readonly Header[]): TextDeclaration {
  for (const [name, value] of headers) {
    if (name.length !== 12 || (name !== 'Content-Type' && name.toLowerCase() !== 'content-type')) continue;
    const known = remembered.get(value);
    if (known !== undefined) return known;
    const declaration = declarationOf(value);
    if (remembered.size < mostRemembered && value.length < 128) remembered.set(value, declaration);
    return declaration;
  }
  return untyped;
}

function declarationOf(value: string): TextDeclaration {
  const type = value.toLowerCase();
  if (/^\s*(?:audio|video|image(?!\/svg)|font)\//.test(type)) return binary;
  if (
    !/^\s*(?:text\/|application\/(?:json|xml|javascript|x-javascript|x-www-form-urlencoded|[^;]*\+(?:json|xml)))/.test(
      type,
    )
  ) {
    return plain;
  }
  const label = /;\s*charset\s*=\s*["']?([a-z0-9_.:+-]{1,40})/.exec(type)?.[1];
  const markup = markupOf(type);
  if (label === undefined) return markup === undefined ? plain : { ...plain, markup };
  if (isEncoding(label) || label === 'utf8' || label === 'ascii') return { ...plain, encoding: otherThanUtf8(label) };
  return markup === undefined ? { ...plain, unknown: label } : { ...plain, unknown: label, markup };
}

function markupOf(type: string): Markup | undefined {
  if (/^\s*text\/html/.test(type)) return 'html';
  return /^[^;]*[/+]xml\s*(?:;|$)/.test(type) ? 'xml' : undefined;
}

/** Whether the begin of markup settles by itself that it is text in UTF-8, as far as it says: nothing has to be read anew. */
export function isSettledMarkup(begin: Buffer, markup: Markup, isWhole: boolean): boolean {
  const label = declaredEncoding(begin, markup);
  return label === undefined ? isWhole || begin.length >= markupHeadBytes : otherThanUtf8(label) === undefined;
}

/** Whether the first bytes are, or may become, a byte order mark. */
export function mayBeMarked(first: number): boolean {
  return first === 0xff || first === 0xfe || first === 0xef;
}

/**
 * Turns the bytes of a body into UTF-8, which rules are written in, as they pass. A byte order mark goes before what was
 * declared, as in browsers; UTF-8 and whatever cannot be told stays as it is.
 */
export class TextReader {
  readonly #declared: string | undefined;
  #head: Buffer | undefined = noBytes;
  #decoder: TextDecoder | undefined;
  #isMarked = false;
  /** Markup that may say its encoding yet, and the begin of it. */
  #markup: Markup | undefined;
  #begun: Buffer = noBytes;
  /** Why rules may have read the text otherwise than a client does. */
  problem: string | undefined;

  /** `markup` may say its encoding itself where none was declared. */
  constructor(declared: string | undefined, markup?: Markup) {
    this.#declared = declared;
    this.#markup = markup;
  }

  /** Whether the text is made of other bytes than came, as far as that is known. */
  get isOther(): boolean {
    return this.#declared !== undefined || this.#isMarked || this.#decoder !== undefined;
  }

  push(bytes: Buffer): Buffer {
    if (this.#head === undefined) return this.#read(bytes, true);
    const head = this.#head.length === 0 ? bytes : Buffer.concat([this.#head, bytes]);
    if (head.length < longestMark || (this.#isDoubted && head.length < probeBytes && markOf(head) === undefined)) {
      this.#head = Buffer.from(head);
      return noBytes;
    }
    return this.#begin(head, true);
  }

  end(): Buffer {
    return this.#head === undefined ? this.#read(noBytes, false) : this.#begin(this.#head, false);
  }

  #begin(head: Buffer, isStream: boolean): Buffer {
    this.#head = undefined;
    const marked = markOf(head);
    this.#isMarked = marked !== undefined;
    const encoding = marked === undefined ? this.#trusted(head) : marked.encoding;
    if (marked !== undefined) this.#markup = undefined;
    if (encoding !== undefined) this.#decoder = new TextDecoder(encoding);
    return this.#read(marked === undefined ? head : head.subarray(marked.bytes), isStream);
  }

  /** What was declared is believed only after a look at the first bytes, the same number however they come. */
  get #isDoubted(): boolean {
    return this.#declared?.startsWith('utf-16') === true;
  }

  /** Programs that do not look at the label would read plain ASCII where UTF-16 was declared: so do the rules. */
  #trusted(head: Buffer): string | undefined {
    const declared = this.#declared;
    if (!this.#isDoubted) return declared;
    if (!head.subarray(0, probeBytes).every((byte) => byte >= 0x09 && byte < 0x7f)) return declared;
    this.problem = `not ${declared}, although declared so`;
    return undefined;
  }

  /** A declaration says how its whole page is to be read: what went before it in other pieces was taken as it is. */
  #look(bytes: Buffer, markup: Markup): void {
    const before = this.#begun;
    this.#begun = Buffer.concat([before, bytes.subarray(0, markupHeadBytes - before.length)]);
    const label = declaredEncoding(this.#begun, markup);
    if (label === undefined && this.#begun.length < markupHeadBytes) return;
    this.#markup = undefined;
    this.#begun = noBytes;
    const encoding = label && otherThanUtf8(label);
    if (encoding === undefined) return;
    this.#decoder = new TextDecoder(encoding);
    if (!isAscii(before)) this.problem = `text before it said to be ${encoding}`;
  }

  #read(bytes: Buffer, stream: boolean): Buffer {
    if (this.#markup !== undefined) this.#look(bytes, this.#markup);
    if (this.#decoder === undefined) return bytes;
    return Buffer.from(this.#decoder.decode(bytes, { stream }));
  }
}

function markOf(head: Buffer): { readonly encoding: string | undefined; readonly bytes: number } | undefined {
  const [first, second, third] = head;
  if (first === 0xff && second === 0xfe) return { encoding: 'utf-16le', bytes: 2 };
  if (first === 0xfe && second === 0xff) return { encoding: 'utf-16be', bytes: 2 };
  if (first === 0xef && second === 0xbb && third === 0xbf) return { encoding: undefined, bytes: 3 };
  return undefined;
}

/** Without the escapes of ISO-2022-JP, which are ASCII too. */
function isAscii(bytes: Buffer): boolean {
  return bytes.every((byte) => byte < 0x80 && byte !== 0x0e && byte !== 0x0f && byte !== 0x1b);
}

/** The encoding that a label means, unless that is UTF-8 or ASCII, which rules read as they are. */
function otherThanUtf8(label: string): string | undefined {
  if (label === 'utf-8' || label === 'utf8' || label === 'us-ascii' || label === 'ascii') return undefined;
  try {
    const { encoding } = new TextDecoder(label);
    return encoding === 'utf-8' ? undefined : encoding;
  } catch {
    return undefined;
  }
}
