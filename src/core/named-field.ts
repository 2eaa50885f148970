import { mask } from './mask.ts';

/** Expressions for the name of a field that holds a secret. */
export interface FieldName {
  /** Before an assignment in JSON, form, query, cookie, header or XML syntax. */
  readonly assigned: string;
  /** The name of an XML element with attributes, without its namespace. */
  readonly element?: string;
  /** In an attribute behind `name=` and its quote, up to where the name may end. */
  readonly attribute: string;
}

/** A percent escape, also one in a URL within a URL. */
export const percentEscape = (hex: string): string => `%(?:25){0,3}(?:${hex})`;

/** What goes between a name and its value. */
export const assignment = String.raw`(?:\\?["']|%22|${percentEscape('5D')}|\]){0,2}\s{0,4}(?:=>?|:|>|${percentEscape('3D')}|%3A)\s{0,16}`;

/** A part of a multipart form behind the name of its field: the rest of its head, and its content. */
export const restOfPartHead = String.raw`[^\r\n]{0,256}\r?\n(?:[^\r\n]{1,256}\r?\n){0,8}\r?\n`;
export const partContent = String.raw`(?:(?!\r?\n--)[\s\S])+`;

/** Makes what masks the values of fields of such names, in time linear in the length of the text. */
export function fieldMask({ assigned, element, attribute }: FieldName): (text: string) => string {
  const inAssignment = new RegExp(`((?:${assigned})${assignment})(?:${enclosed}|${bare})`, 'gi');
  const inElement =
    element === undefined
      ? undefined
      : new RegExp(
          String.raw`(<(?:[\w.-]{1,40}:)?(?:${element})\s[^<>]{0,256}>\s{0,16}(?:<!\[CDATA\[)?)[^<\s][^<]*`,
          'gi',
        );
  const inPart = new RegExp(String.raw`(\bname=["']?(?:${attribute})${restOfPartHead})${partContent}`, 'gi');
  const isNamed = new RegExp(String.raw`\b(?:name|type)=["']?(?:${attribute})`, 'i');
  return (text) => {
    let masked = text.replace(inAssignment, (_, label: string, ...groups: unknown[]) => {
      const begin = groups.slice(0, 7).find((group) => typeof group === 'string');
      return `${label}${begin ?? ''}${mask}`;
    });
    if (inElement !== undefined && masked.includes('<')) masked = masked.replace(inElement, `$1${mask}`);
    if (!masked.includes('name=')) return masked;
    return maskInputs(masked.replace(inPart, `$1${mask}`), (tag) => isNamed.test(tag));
  };
}

/** Masks the values of inputs and of metadata in HTML: a page may send a form by itself, as SAML and OAuth do. */
export function maskInputs(text: string, isSecret: (tag: string, value: string) => boolean): string {
  if (!text.includes('<')) return text;
  return text.replace(inputs, (tag) =>
    tag.replace(inputValue, (found: string, label: string, value: string) =>
      isSecret(tag, value) ? label + mask : found,
    ),
  );
}

/** Up to the end of the tag or of the text: a quoted value may hold what ends a tag. */
const inputs = /<(?:input|meta|param)\b(?:[^>"']|"[^"]*"?|'[^']*'?)*/gi;
const inputValue = /(\s(?:value|content)\s{0,4}=\s{0,4}["']?)((?<=")[^"]+|(?<=')[^']+|(?<!["'])[^\s"'>]+)/gi;

/** A value in quotes ends at its quote, one of several at the end of them all; the scheme of an Authorization value may stay. */
const enclosed = String.raw`(\\")(?:[^"\\]|\\(?!"))*|(")(?:[^"\\]|\\[\s\S])*|(')[^']*|(\[)[^\]]*|(\{)[^}]*|(<!\[CDATA\[)(?:(?!\]\]>)[\s\S])*`;
/** Any other ends at a separator; in forms and queries, where there are no others, at the next field alone. */
const bare = String.raw`((?:Bearer|Basic|Digest|Negotiate)\s{1,4})?(?:(?<==|%3D|253D)[^"'&\s]+|[^"'&\s,;}<\\]+)`;
