/** Markup that may say its encoding itself: HTML in a `meta` element, XML in its declaration. */
export type Markup = 'html' | 'xml';

/** Bytes in which such a declaration has to stand (HTML section 13.2.3.2). */
export const markupHeadBytes = 1_024;

const mayDeclare = /charset|encoding/i;

/** The label of the encoding that the first bytes of markup declare; undefined when they declare none, or not yet. */
export function declaredEncoding(head: Buffer, markup: Markup): string | undefined {
  const text = head.toString('latin1', 0, markupHeadBytes);
  if (!mayDeclare.test(text)) return undefined;
  const label = markup === 'xml' ? xmlLabel(text) : (metaLabel(text) ?? xmlLabel(text));
  // What says so in ASCII is not in UTF-16; the other is a label of servers that nobody registered.
  if (label !== undefined && /^(?:utf-?16(?:le|be)?|unicode|ucs-2|csunicode|iso-10646-ucs-2)$/i.test(label))
    return 'utf-8';
  return label?.toLowerCase() === 'x-user-defined' ? 'windows-1252' : label;
}

/** XML 1.0 section 4.3.3, as browsers look for it. */
function xmlLabel(text: string): string | undefined {
  return /^<\?xml[^>]*?encoding[\0- ]*=[\0- ]*(?:"([^"\0- ]*)"|'([^'\0- ]*)')[^>]*>/s
    .exec(text)
    ?.slice(1)
    .find(Boolean);
}

/** The prescan of HTML (section 13.2.3.2): comments, other tags and their attributes are skipped as a browser skips them. */
function metaLabel(text: string): string | undefined {
  for (let at = text.indexOf('<'); at >= 0; at = text.indexOf('<', at)) {
    if (text.startsWith('<!--', at)) {
      const end = text.indexOf('-->', at + 2);
      if (end < 0) return undefined;
      at = end + 3;
      continue;
    }
    const [tag, name = ''] = matchAt(/<(meta(?=[\t\n\f\r /])|\/?[a-z][^\t\n\f\r >]*|[!/?])/iy, text, at) ?? [];
    if (tag === undefined) {
      at += 1;
    } else if (/^[!/?]$/.test(name)) {
      at = text.indexOf('>', at);
      if (at < 0) return undefined;
    } else {
      const { attributes, end } = attributesAt(text, at + tag.length);
      if (end >= text.length) return undefined;
      const label = name.toLowerCase() === 'meta' ? labelOfMeta(attributes) : undefined;
      if (label !== undefined) return label;
      at = end;
    }
  }
  return undefined;
}

/** Lower case; the first of each name. */
function attributesAt(text: string, from: number): { readonly attributes: Map<string, string>; readonly end: number } {
  const attributes = new Map<string, string>();
  for (let at = from; ; ) {
    at += matchAt(/[\t\n\f\r /]*/y, text, at)?.[0].length ?? 0;
    const found = matchAt(attribute, text, at);
    if (found === undefined) return { attributes, end: at };
    const [whole, name = '', double, single, bare] = found;
    at += whole.length;
    const key = name.toLowerCase();
    if (!attributes.has(key)) attributes.set(key, (double ?? single ?? bare ?? '').toLowerCase());
  }
}

const attribute =
  /([^\t\n\f\r />][^\t\n\f\r />=]*)(?:[\t\n\f\r ]*=[\t\n\f\r ]*(?:"([^"]*)"|'([^']*)'|["'][\s\S]*|([^\t\n\f\r >]*)))?/y;

function labelOfMeta(attributes: ReadonlyMap<string, string>): string | undefined {
  const own = attributes.get('charset');
  if (own !== undefined) return known(own);
  if (attributes.get('http-equiv') !== 'content-type') return undefined;
  const found = /charset[\t\n\f\r ]*=[\t\n\f\r ]*(?:"([^"]*)"|'([^']*)'|([^\t\n\f\r ;"'][^\t\n\f\r ;]*))/.exec(
    attributes.get('content') ?? '',
  );
  return known(found?.[1] ?? found?.[2] ?? found?.[3] ?? '');
}

/** Labels that mean nothing are passed over. */
function known(label: string): string | undefined {
  const trimmed = label.trim();
  return trimmed === '' || !isEncoding(trimmed) ? undefined : trimmed;
}

/** Whether a label means an encoding that text can be read in. */
export function isEncoding(label: string): boolean {
  if (label === 'x-user-defined') return true;
  try {
    new TextDecoder(label);
    return true;
  } catch {
    return false;
  }
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
}
