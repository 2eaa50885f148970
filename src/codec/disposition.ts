import { decodeWords } from './mime-header.ts';

/** Names in a Content-Disposition (RFC 6266, RFC 7578 section 4.2), one character per byte. */
export interface Disposition {
  /** All names of a field of a form: two recipients may take different ones. The first is the one that stands first. */
  readonly names: readonly string[];
  /** All names of a file that the field holds, likewise. */
  readonly fileNames: readonly string[];
}

/** Some recipients take a field without its type, so that a parameter may stand at the very begin. */
const parameter = /(?:^|;)\s*([a-z]+)(?:\*(\d{1,2}))?(\*)?\s*=\s*(?:"((?:[^"\\]|\\[\s\S])*)"?|([^;]*))/gi;

/** Reads the value of a Content-Disposition. What is not understood is left out. */
export function parseDisposition(value: string): Disposition {
  const names: string[] = [];
  const fileNames: string[] = [];
  /** Values in pieces (RFC 2231 section 3), by the name of the parameter. */
  const pieces = new Map<string, string[]>();
  for (const [, key = '', index, star, quoted, token] of value.matchAll(parameter)) {
    const name = key.toLowerCase();
    if (name !== 'name' && name !== 'filename') continue;
    const text = quoted === undefined ? (token ?? '').trim() : quoted.replace(/\\([\s\S])/g, '$1');
    const decoded = star === undefined ? text : extended(text);
    if (index !== undefined) {
      const parts = pieces.get(name) ?? [];
      parts[Number(index)] = decoded;
      pieces.set(name, parts);
    } else if (name === 'name') names.push(...(star === undefined ? fieldSpellings(text, quoted) : [decoded]));
    else fileNames.push(...(star === undefined ? spellings(text) : [decoded]));
  }
  names.push(...joined(pieces.get('name')));
  fileNames.push(...joined(pieces.get('filename')));
  return { names: unique(names), fileNames: unique(fileNames.flatMap(asSaved)) };
}

/** Replaces percent escapes by the bytes that they stand for, one character each. */
export function percentDecoded(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** The names that recipients make of that of a field: some end it at a NUL, leave out blanks before it, or know other quotes. */
export function fieldNames(name: string): readonly string[] {
  if (!/^\s|\0|^'/.test(name)) return [name];
  const bare = /^'([^']*)/.exec(name)?.[1] ?? name;
  return unique([name, bare, beforeNul(name), beforeNul(bare).trimStart()]);
}

function fieldSpellings(text: string, quoted: string | undefined): readonly string[] {
  // Not all of them undo what a backslash does.
  return quoted === undefined || quoted === text ? fieldNames(text) : [...fieldNames(text), ...fieldNames(quoted)];
}

function joined(parts: readonly string[] | undefined): readonly string[] {
  return parts === undefined ? [] : [parts.join('')];
}

/** RFC 8187 section 3.2: charset, language, and percent escapes. Of the charsets that old programs used one is read besides UTF-8. */
function extended(text: string): string {
  const [prefix = ''] = /^[^']*'[^']*'/.exec(text) ?? [];
  const decoded = percentDecoded(text.slice(prefix.length));
  return /^(?:iso-8859-1|windows-1252)'/i.test(prefix) ? Buffer.from(decoded, 'utf8').toString('latin1') : decoded;
}

/** Browsers write escapes into a quoted name and read them back; they read encoded words of mails too (RFC 2047). */
function spellings(text: string): readonly string[] {
  return [text, percentDecoded(text), decodeWords(text)];
}

/** A name as it came, and as it is saved: without folders, without what stands behind a NUL, without dots and blanks at its end. */
function asSaved(name: string): readonly string[] {
  const whole = beforeNul(name).replace(/[. ]+$/, '');
  return [name, whole, whole.slice(Math.max(whole.lastIndexOf('/'), whole.lastIndexOf('\\')) + 1)];
}

function beforeNul(text: string): string {
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

function unique(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)].filter((text) => text !== '');
}
