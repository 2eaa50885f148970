/** Names in a Content-Disposition (RFC 6266, RFC 7578 section 4.2), one character per byte. */
export interface Disposition {
  readonly name: string | undefined;
  /** All names of a file that the field holds: two recipients may take different ones. */
  readonly fileNames: readonly string[];
}

const parameter = /;\s*([a-z*0-9]+)\s*=\s*(?:"((?:[^"\\]|\\[\s\S])*)"?|([^;]*))/gi;

/** Reads the value of a Content-Disposition. What is not understood is left out. */
export function parseDisposition(value: string): Disposition {
  let name: string | undefined;
  const fileNames: string[] = [];
  for (const [, key = '', quoted, token] of value.matchAll(parameter)) {
    const text = quoted === undefined ? (token ?? '').trim() : quoted.replace(/\\([\s\S])/g, '$1');
    const parameterName = key.toLowerCase();
    if (parameterName === 'name') name ??= text;
    else if (parameterName === 'filename') fileNames.push(...spellings(text));
    else if (parameterName === 'filename*') fileNames.push(extended(text));
  }
  return { name, fileNames: [...new Set(fileNames)].filter((fileName) => fileName !== '') };
}

/** Replaces percent escapes by the bytes that they stand for, one character each. */
export function percentDecoded(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** RFC 8187 section 3.2: charset, language, and percent escapes. Of the charsets that old programs used one is read besides UTF-8. */
function extended(text: string): string {
  const [prefix = ''] = /^[^']*'[^']*'/.exec(text) ?? [];
  const decoded = percentDecoded(text.slice(prefix.length));
  return /^(?:iso-8859-1|windows-1252)'/i.test(prefix) ? Buffer.from(decoded, 'utf8').toString('latin1') : decoded;
}

/** Browsers write escapes into a quoted name and read them back. */
function spellings(text: string): readonly string[] {
  const decoded = percentDecoded(text);
  return decoded === text ? [text] : [text, decoded];
}
