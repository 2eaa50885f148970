import type { Header } from '../core/http.ts';
import { textStream } from './text-decoder.ts';

/** What the head of a mail or of a part says of its body. */
export interface MimeHead {
  readonly headers: readonly Header[];
  /** Media type in lower case, without parameters. */
  readonly type: string;
  /** Content-Type as sent. */
  readonly declared: string | undefined;
  readonly boundary: string | undefined;
  /** In lower case; `7bit` without one. */
  readonly transferEncoding: string;
  /** All names that the head gives: two recipients may take different ones. UTF-8, one character per byte. */
  readonly fileNames: readonly string[];
  readonly isAttachment: boolean;
  /** Why a recipient may read the body otherwise. */
  readonly doubt: string | undefined;
}

/** Splits a header section (RFC 5322 section 2.2) into fields, folded lines joined. Lines that are no fields are left out. */
export function mimeHeaders(section: string): Header[] {
  const headers: Header[] = [];
  for (const line of section.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/)) {
    const [, name, value = ''] = /^([!-9;-~]+)[ \t]*:[ \t]*(.*?)[ \t]*$/s.exec(line) ?? [];
    if (name !== undefined) headers.push([name, value]);
  }
  return headers;
}

/** Reads what the fields say of the body. */
export function mimeHead(headers: readonly Header[]): MimeHead {
  const declared = fieldOf(headers, 'content-type');
  const disposition = fieldOf(headers, 'content-disposition') ?? '';
  const type = (declared ?? 'text/plain').split(';')[0]?.trim().toLowerCase() ?? 'text/plain';
  const parameters = mimeParameters(declared ?? '');
  const names = [...(mimeParameters(disposition).get('filename') ?? []), ...(parameters.get('name') ?? [])];
  const isMultipart = type.startsWith('multipart/');
  const boundaries = isMultipart ? [...new Set(parameters.get('boundary'))] : [];
  const [boundary = ''] = boundaries;
  const isCut = boundary !== '' && boundary.length <= mostBoundaryBytes;
  return {
    headers,
    type,
    declared,
    boundary: isCut ? boundary : undefined,
    transferEncoding: encodingOf(fieldOf(headers, 'content-transfer-encoding') ?? '7bit'),
    fileNames: [...new Set(names)].filter((name) => name !== ''),
    isAttachment: /^\s*attachment\b/i.test(disposition),
    doubt: repeatedField(headers) ?? (isMultipart ? boundaryDoubt(boundaries.length, isCut) : undefined),
  };
}

/** Longest boundary that is looked for; RFC 2046 allows 70 characters. */
const mostBoundaryBytes = 256;

function boundaryDoubt(boundaries: number, isCut: boolean): string | undefined {
  if (!isCut) return 'multipart without a boundary that can be read';
  return boundaries > 1 ? 'multipart with several boundaries' : undefined;
}

/** Fields that say how a body is read: of several, one recipient takes the first and another one the last. */
const decisiveFields = ['content-type', 'content-transfer-encoding', 'content-disposition'];

function repeatedField(headers: readonly Header[]): string | undefined {
  for (const name of decisiveFields) {
    const values = headers.filter(([present]) => present.length === name.length && present.toLowerCase() === name);
    if (values.some(([, value]) => value !== values[0]?.[1])) return `several fields ${name}`;
  }
  return undefined;
}

/** Without comments, which may stand anywhere (RFC 2045 section 6.1), and what recipients read past. */
function encodingOf(value: string): string {
  const text = value.replace(/\([^()]*\)/g, ' ').trim();
  return (/^"?([^\s";]+)/.exec(text)?.[1] ?? text).toLowerCase();
}

/** The first field of a name, in lower case. */
function fieldOf(headers: readonly Header[], name: string): string | undefined {
  for (const [present, value] of headers) {
    if (present.length === name.length && present.toLowerCase() === name) return value;
  }
  return undefined;
}

/** Parameters of a field, all readings of each: as sent, with encoded words, and put together (RFC 2231 section 3). */
function mimeParameters(value: string): ReadonlyMap<string, string[]> {
  const found = new Map<string, string[]>();
  const pieces = new Map<string, string[]>();
  for (const [, key = '', quoted, token] of value.matchAll(parameter)) {
    const text = quoted === undefined ? (token ?? '').trim() : quoted.replace(/\\(.)/gs, '$1');
    const [, name = '', index, star] = /^([^*]+)(?:\*(\d{1,3}))?(\*)?$/.exec(key.toLowerCase()) ?? [];
    if (name === '') continue;
    if (index !== undefined)
      append(pieces, name, Number(index), star === undefined ? text : extended(text, index === '0'));
    else append(found, name, undefined, star === undefined ? decodeWords(text) : extended(text, true));
  }
  for (const [name, parts] of pieces) append(found, name, undefined, parts.join(''));
  return found;
}

const parameter = /;\s*([A-Za-z0-9_*-]{1,64})\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^;]*))/gs;

function append(map: Map<string, string[]>, name: string, index: number | undefined, text: string): void {
  const list = map.get(name) ?? [];
  if (index === undefined) list.push(text);
  else if (index < 100) list[index] = text;
  map.set(name, list);
}

/** `charset'language'text` with percent escapes; only the first piece names the charset. */
function extended(text: string, isFirst: boolean): string {
  const [, charset = '', rest = text] = (isFirst ? /^([^']*)'[^']*'(.*)$/s.exec(text) : undefined) ?? [];
  const bytes = Buffer.from(
    rest.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
  return recoded(bytes, charset);
}

/** Undoes encoded words (RFC 2047); text is UTF-8, one character per byte, before and after. */
export function decodeWords(text: string): string {
  if (!text.includes('=?')) return text;
  return text
    .replace(/(=\?[^?\s]+\?[BbQq]\?[^?\s]*\?=)[ \t]+(?==\?)/g, '$1')
    .replace(
      /=\?([^?*\s]+)(?:\*[^?\s]*)?\?([BbQq])\?([^?\s]*)\?=/g,
      (_, charset: string, kind: string, word: string) => {
        const isBase64 = kind === 'B' || kind === 'b';
        const bytes = isBase64 ? Buffer.from(word, 'base64') : Buffer.from(quotedWord(word), 'latin1');
        return recoded(bytes, charset);
      },
    );
}

function quotedWord(word: string): string {
  return word
    .replaceAll('_', ' ')
    .replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** Bytes of a charset as UTF-8, one character per byte; what is not known stays as it is. */
function recoded(bytes: Buffer, charset: string): string {
  if (charset === '' || /^(?:utf-?8|us-ascii)$/i.test(charset)) return bytes.toString('latin1');
  try {
    return Buffer.from(textStream(charset).decode(bytes, { stream: false })).toString('latin1');
  } catch {
    return bytes.toString('latin1');
  }
}
