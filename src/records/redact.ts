import { mask } from '../core/mask.ts';
import { maskSensitive } from '../core/sensitive.ts';
import { maskCodeAtEnd } from '../core/short-secret.ts';
import { isSuspect, type Screening } from './screen.ts';

/** How the value of a header field is masked, by the name of the field. */
export type HeaderMask = 'text' | 'credentials' | 'cookie' | 'set-cookie' | 'whole';

/** Masks what no record may show in a path, a detail or a name. Costs next to nothing when there is nothing to mask. */
export function maskText(text: string): string {
  const masked = isSuspect(text) ? maskSensitive(text) : text;
  return maskUserPasswords(masked);
}

/** Masks an excerpt of a body that was screened as bytes. One that was cut may end in a part of a card number or code. */
export function maskExcerpt(text: string, screening: Screening, isCut: boolean): string {
  const masked = screening === 'clear' ? text : maskSensitive(text);
  const whole = maskUserPasswords(masked);
  if (!isCut) return whole;
  const codeless = screening === 'clear' ? whole : maskCodeAtEnd(whole);
  return codeless.replace(digitsAtEnd, (digits) => digits.slice(0, 6) + mask);
}

/** How values of this header field are masked. */
export function headerMaskOf(name: string): HeaderMask {
  const lower = name.toLowerCase();
  const known = headerMasks.get(lower);
  if (known !== undefined) return known;
  return isSuspect(lower) ? 'whole' : 'text';
}

/** The value of a header field as a record may show it. Names of cookies and of schemes stay: they tell without giving away. */
export function maskHeaderValue(kind: HeaderMask, value: string): string {
  switch (kind) {
    case 'text':
      return maskText(value);
    case 'whole':
      return mask;
    case 'credentials':
      return /^[A-Za-z0-9-]{1,24}(?= )/.exec(value)?.[0].concat(' ', mask) ?? mask;
    case 'cookie':
      return value.split(';').map(maskPair).join(';');
    case 'set-cookie':
      return value.replace(/^[^;]*/, maskPair);
  }
}

const headerMasks: ReadonlyMap<string, HeaderMask> = new Map([
  ['authorization', 'credentials'],
  ['proxy-authorization', 'credentials'],
  ['cookie', 'cookie'],
  ['set-cookie', 'set-cookie'],
  // Of RFC 2965, which some still send.
  ['cookie2', 'cookie'],
  ['set-cookie2', 'set-cookie'],
  // Lists names of fields and cookies, and holds no value.
  ['access-control-allow-headers', 'text'],
  ['access-control-request-headers', 'text'],
  ['vary', 'text'],
  // Keys of API gateways that are not named like one.
  ['x-auth', 'whole'],
  ['x-auth-key', 'whole'],
  ['x-functions-key', 'whole'],
  ['ocp-apim-subscription-key', 'whole'],
]);

/** `name=value` of a cookie (RFC 6265 section 4); without a name it is all value. */
function maskPair(pair: string): string {
  const at = pair.indexOf('=');
  if (at < 0) return pair.trim() === '' ? pair : mask;
  return pair.slice(0, at + 1) + mask;
}

/** User and password before the host of a URL (RFC 3986 section 3.2.1), also where the URL is a parameter of another. */
const userPassword = /((?::\/\/|%3A%2F%2F)[^\s/?#@:"'<>%]{0,256}(?::|%3A))[^\s/?#@"'<>]{1,256}?(@|%40)/gi;

function maskUserPasswords(text: string): string {
  return text.includes('@') || text.includes('%40') ? text.replace(userPassword, `$1${mask}$2`) : text;
}

/** Seven digits or more, in groups or not, that may be the first part of a card number. */
const digitsAtEnd = /(?:\d[ +-]?){7,19}$/;
