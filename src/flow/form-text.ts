import { type TextDeclaration, TextReader, textDeclaration } from '../codec/text-encoding.ts';
import { limits } from '../core/limits.ts';

/** What a label of an encoding, as the field `_charset_` gives one, means for the fields of a form. */
export function charsetDeclaration(label: string | undefined): TextDeclaration {
  const isLabel = label !== undefined && /^[\w.:+-]{1,40}$/.test(label);
  return textDeclaration([['content-type', isLabel ? `text/plain; charset=${label}` : 'text/plain']]);
}

/** A name or value of a form in UTF-8, one character per byte. */
export function formText(value: string, encoding: string): string {
  const reader = new TextReader(encoding);
  const text = Buffer.concat([reader.push(Buffer.from(value, 'latin1')), reader.end()]);
  return text.toString('latin1', 0, limits.formValueBytes);
}
