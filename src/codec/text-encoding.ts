import type { Header } from '../core/http.ts';
import { declaredEncoding, isEncoding, type Markup, markupHeadBytes } from './markup-encoding.ts';
import { type TextStream, textStream } from './text-decoder.ts';

/** Bytes of the longest byte order mark. Where zeros may tell of wide characters, one more. */
const longestMark = 3;
/** Bytes looked at to see that text is not what it was declared to be. */
const probeBytes = 256;
const noBytes = Buffer.alloc(0);

/** What the head says of a body's text: its encoding when that is not UTF-8, and whether its bytes may be text at all. */
export interface TextDeclaration {
  /** A label that TextDecoder knows. */
  readonly encoding: string | undefined;
  readonly mayBeText: boolean;
  /** It says that it is text, so that zeros in it tell of wide characters. */
  readonly isText?: boolean;
  /** Markup whose head says no encoding: it may say one itself. */
  readonly markup?: Markup;
  /** A label that nobody knows: clients guess. */
  readonly unknown?: string;
  /** Why recipients may take something else out of it. */
  readonly doubt?: string;
}

/** Browsers look whether a body without a type is HTML. */
const untyped: TextDeclaration = { encoding: undefined, mayBeText: true, markup: 'html' };
const plain: TextDeclaration = { encoding: undefined, mayBeText: true };
const text: TextDeclaration = { ...plain, isText: true };
const binary: TextDeclaration = { encoding: undefined, mayBeText: false };

/** Servers use few types: what they mean is worked out once. */
const remembered = new Map<string, TextDeclaration>();
const mostRemembered = 256;

/** Reads Content-Type (RFC 9110 section 8.3) for the encoding of the text. */
export function textDeclaration(headers: readonly Header[]): TextDeclaration {
  let first: string | undefined;
  for (const [name, value] of headers) {
    if (name.length !== 12 || (name !== 'Content-Type' && name.toLowerCase() !== 'content-type')) continue;
    // Browsers go by the last, others by the first, or by both as a list.
    if (first !== undefined && first !== value) return { ...known(first), doubt: severalTypes };
    first = value;
  }
  return first === undefined ? untyped : known(first);
}

const severalTypes = 'several content types';

function known(value: string): TextDeclaration {
  const found = remembered.get(value);
  if (found !== undefined) return found;
  const declaration = declarationOf(value);
  if (remembered.size < mostRemembered && value.length < 128) remembered.set(value, declaration);
  return declaration;
}

const textTypes =
  /^\s*(?:text\/|application\/(?:json|xml|javascript|x-javascript|x-www-form-urlencoded|[^;]*\+(?:json|xml)))/;

function declarationOf(value: string): TextDeclaration {
  const type = value.toLowerCase();
  const declaration = declarationOfType(type);
  const unquoted = type.replace(/"(?:[^"\\]|\\.?)*(?:"|$)/g, '""');
  return unquoted.includes(',') ? { ...declaration, doubt: severalTypes } : declaration;
}

function declarationOfType(type: string): TextDeclaration {
  if (/^\s*(?:audio|video|image(?!\/svg)|font)\//.test(type)) return binary;
  const { label, isDoubted } = charsetOf(type);
  // Of other types programs take bytes; but those that do read them as text would not find ASCII in these.
  if (!textTypes.test(type)) return label?.startsWith('utf-16') ? { ...plain, encoding: otherThanUtf8(label) } : plain;
  const markup = markupOf(type);
  if (label === undefined) return markup === undefined ? text : { ...text, markup };
  if (isEncoding(label) || label === 'utf8' || label === 'ascii')
    return { ...text, encoding: otherThanUtf8(label), ...(isDoubted ? { doubt: 'several charsets' } : {}) };
  const unknown = { ...text, unknown: label, doubt: `charset ${label}` };
  return markup === undefined ? unknown : { ...unknown, markup };
}

/** The label of a type, and whether readers that do not know where a quoted value ends, or that are stricter, find another. */
function charsetOf(type: string): { readonly label: string | undefined; readonly isDoubted: boolean } {
  const strict = parameters(type).find(([name]) => name === 'charset')?.[1];
  const labels = [...type.matchAll(/charset[\s*\d]{0,8}=\s*(?:["']\s*)?([a-z0-9_.:+-]{1,40})/g)].map(
    ([, label]) => label,
  );
  const label = /^[a-z0-9_.:+-]{1,40}$/.exec(strict ?? '')?.[0] ?? labels[0];
  const isLoose = label !== strict && label !== undefined && !isUtf8(label);
  return { label, isDoubted: isLoose || labels.some((other) => other !== label) };
}

function parameters(type: string): readonly (readonly [name: string, value: string])[] {
  const found = type.matchAll(/;\s*([^\s;="]+)=(?:"((?:[^"\\]|\\.)*)"?|([^;]*))/g);
  return [...found].map(([, name = '', quoted, token = '']) => [name, quoted?.replace(/\\(.)/g, '$1') ?? token.trim()]);
}

function markupOf(type: string): Markup | undefined {
  if (/^\s*text\/html/.test(type)) return 'html';
  return /^[^;]*[/+]xml\s*(?:;|$)/.test(type) ? 'xml' : undefined;
}

/** Whether the begin of markup settles by itself that it is text in UTF-8, as far as it says: nothing has to be read anew. */
export function isSettledMarkup(begin: Buffer, markup: Markup, isWhole: boolean): boolean {
  const label = declaredEncoding(begin, markup);
  if (markup === 'xml' && isEbcdic(begin)) return false;
  return label === undefined ? isWhole || begin.length >= markupHeadBytes : isUtf8(label);
}

/** Whether the first bytes are, or may become, a byte order mark, or wide characters in what says that it is text. */
export function mayBeOther(begin: Buffer, isText: boolean): boolean {
  const [first, second] = begin;
  if (first === 0xff || first === 0xfe || first === 0xef) return true;
  return isText && (first === 0 || second === undefined || second === 0);
}

/**
 * Turns the bytes of a body into UTF-8, which rules are written in, as they pass. A byte order mark goes before what was
 * declared, as in browsers; UTF-8 and whatever cannot be told stays as it is.
 */
export class TextReader {
  readonly #declared: string | undefined;
  #head: Buffer | undefined = noBytes;
  #decoder: TextStream | undefined;
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
    const isShort = head.length < longestMark || (head.length === longestMark && head.includes(0));
    if (isShort || (this.#isDoubted && head.length < probeBytes && markOf(head) === undefined)) {
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
    const wide = marked === undefined && this.#declared === undefined ? wideEncodingOf(head) : undefined;
    const encoding = marked === undefined ? (wide ?? this.#trusted(head)) : marked.encoding;
    if (marked !== undefined || wide !== undefined) this.#markup = undefined;
    if (encoding !== undefined) this.#decoder = textStream(encoding);
    if (isUtf32(head)) this.problem ??= 'charset utf-32';
    if (this.#markup === 'xml' && isEbcdic(head)) this.problem ??= 'charset ebcdic';
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
    if (encoding === undefined) {
      // Browsers take no heed of a label that nobody knows; programs that read XML may know more.
      if (label !== undefined && !isUtf8(label)) this.problem ??= `charset ${label.slice(0, 40)}`;
      return;
    }
    this.#decoder = textStream(encoding);
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

/**
 * Text of wide characters without a byte order mark begins with ASCII, as JSON (RFC 4627 section 3), markup (XML 1.0
 * appendix F) and forms do, and every second byte is zero.
 */
function wideEncodingOf([first = 0, second = 0, third = 0, fourth = 0]: Buffer): string | undefined {
  if (first === 0 && third === 0 && isAsciiText(second) && isAsciiText(fourth)) return 'utf-16be';
  return second === 0 && fourth === 0 && isAsciiText(first) && isAsciiText(third) ? 'utf-16le' : undefined;
}

function isAsciiText(byte: number): boolean {
  return (byte >= 0x20 && byte < 0x7f) || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

/** Four bytes a character, marked or begun as JSON and markup begin: browsers do not read that, and other programs do. */
function isUtf32(head: Buffer): boolean {
  if (head.length < 4) return false;
  return [head.readUInt32BE(0), head.readUInt32LE(0)].some((unit) => wideBegins.has(unit));
}

/** `<?x`, as parsers of XML find out (appendix F). */
function isEbcdic(head: Buffer): boolean {
  return head[0] === 0x4c && head[1] === 0x6f && head[2] === 0xa7;
}

const wideBegins: ReadonlySet<number> = new Set([0xfeff, ...Buffer.from('<{["')]);

/** Without the escapes of ISO-2022-JP, which are ASCII too. */
function isAscii(bytes: Buffer): boolean {
  return bytes.every((byte) => byte < 0x80 && byte !== 0x0e && byte !== 0x0f && byte !== 0x1b);
}

function isUtf8(label: string): boolean {
  return otherThanUtf8(label) === undefined && (isEncoding(label) || label === 'utf8' || label === 'ascii');
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
