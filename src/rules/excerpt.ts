import { mask } from '../core/mask.ts';
import { maskSensitive } from '../core/sensitive.ts';

/** Longest excerpt of a match. */
const mostBytes = 64;
/** Bytes of a match that are looked at: enough to know a secret that is cut by the end of the excerpt. */
const mostMatchBytes = 512;
/** Bytes on both sides of a match that may tell what it is. */
const aroundBytes = 1_024;
/** Header lines whose values are credentials, whatever they look like. */
const secretHeaders =
  /^(?:(?:proxy-)?authorization|(?:set-)?cookie2?|x-api-key|x-auth-token|x-amz-security-token|x-csrf-token)[ \t]*:/im;

/**
 * The excerpt of a match in a field, as a record may show it: at most 64 bytes, secrets masked, nothing that is not
 * printable. `text` is the field, one character per byte.
 */
export function excerptOf(field: string, text: string, offset: number, length: number): string {
  const matched = text.slice(offset, offset + Math.min(length, mostMatchBytes));
  if (matched === '') return '';
  return holdsSecret(field, text, offset, length)
    ? printable(matched.slice(0, 4)) + mask
    : bodyExcerpt(matched, text.slice(Math.max(0, offset - aroundBytes), offset + length + aroundBytes));
}

/** The excerpt of bytes that belong to no header, and what stood around them. */
export function bodyExcerpt(matched: string, around = matched): string {
  return cut(maskSensitive(printable(matched), around));
}

/** An excerpt that is masked already, in the form of all excerpts. */
export function maskedExcerpt(masked: string): string {
  return cut(printable(masked));
}

function holdsSecret(field: string, text: string, offset: number, length: number): boolean {
  const name = /^http\.(?:request|response)\.header\.(.+)$/.exec(field)?.[1];
  if (name !== undefined) return secretHeaders.test(`${name}:`);
  const formName = /^http\.request\.form\.(.+)$/.exec(field)?.[1];
  if (formName !== undefined) return maskSensitive(`${formName}=value`, 'client_id').endsWith(mask);
  if (field !== 'http.request.headers' && field !== 'http.response.headers') return false;
  const before = offset === 0 ? -1 : text.lastIndexOf('\n', offset - 1);
  return secretHeaders.test(text.slice(before + 1, text.indexOf('\n', offset + length) + 1 || text.length));
}

function printable(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8').replace(unprintable, '.');
}

/** The first characters that fit, none of them cut. */
function cut(text: string): string {
  if (Buffer.byteLength(text) <= mostBytes) return text;
  let kept = '';
  let bytes = 0;
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > mostBytes) break;
    kept += character;
  }
  return kept;
}

const unprintable = /[\p{C}\p{Zl}\p{Zp}\ufffd]/gu;
