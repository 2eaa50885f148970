import { mask } from './mask.ts';
import { assignment, fieldMask, maskInputs, partContent, percentEscape, restOfPartHead } from './named-field.ts';

/**
 * Masks secrets in fields whose names are too short to be known as a part of another name (`pin` stands in `spinner`), or
 * mean something else as often: `code` is an authorization code of OAuth (RFC 6749 section 4.1.2), or a code of a country,
 * an error or a voucher. What it is, the fields beside it tell, which are looked for in `around`. Takes any text, in time
 * linear in its length.
 */
export function maskShortSecrets(text: string, around: string): string {
  if (!anyLiteral.test(text) && !(mayBeCode.test(text) && flowName.test(around))) return text;
  const masked = maskWholeNames(text).replace(ticket, (found: string, label: string, value: string) =>
    isRandom(value, shortestTicket) ? label + mask : found,
  );
  return mayBeCode.test(masked) ? maskCodes(masked, around) : masked;
}

/** Masks a code at the end of a text that was cut: what tells its kind may not be there. */
export function maskCodeAtEnd(text: string): string {
  return text.replace(codeAtEnd, `$1${mask}`);
}

/** Names that mean a secret only where they stand between such bytes: a screen has to look at few texts then. */
export interface ShortName {
  readonly names: readonly string[];
  /** One of these goes before the name, or the name begins the text. */
  readonly before: readonly string[];
  /** One of these follows it. */
  readonly behind: readonly string[];
}

/** The ends of percent escapes of `&`, `?`, `#`, `"`, `'`, `[`, `{` and `,`. */
const escapeEnds = [...'6f3272bc'];
export const shortNames: readonly ShortName[] = [
  { names: ['otp', 'pin', 'sig', 'pass'], before: [...'&?#;"\'[_<.{,-\n', ...escapeEnds], behind: [...'="\'%>]\\'] },
  { names: ['code', 'ticket'], before: [...'&?#;"\'<>{,(\n', ...escapeEnds], behind: [...'=%'] },
];
/** Fields of OAuth that tell what a code is, in whatever syntax. */
const flowNames = ['grant_type', 'redirect_uri', 'client_id', 'session_state'];

/** ASCII literals of which one stands, in whatever case, in every text that is changed for another reason than a short name. */
export const shortSecretLiterals: readonly string[] = [...['name="code"', "name='code'"], ...flowNames];

const mayBeCode = /code/i;
const names = 'otp|pin|sig|pass';
const anyLiteral = new RegExp(
  String.raw`(?:${names})[="'%>\]\\]|(?:code|ticket)[=%]|${shortSecretLiterals.join('|')}`,
  'i',
);
const beginEscape = percentEscape('26|3F|23|22|27|5B|7B|2C');
const apart = String.raw`(?<=^|[&?#;"'[_<.{,\n-]|${beginEscape})`;
const maskWholeNames = fieldMask({
  assigned: String.raw`${apart}(?:${names})(?=["'=%>\]\\])`,
  attribute: String.raw`(?:[^"'\r\n;>]{0,64}[[_.-])?(?:${names})(?=[\]"'])`,
});

/** Tickets of CAS are long and random, those of a help desk are short. */
const shortestTicket = 12;
/** Codes without a field beside them that tells of OAuth. */
const shortestCode = 16;
/** Codes beside such a field, in a syntax in which codes of errors are frequent. */
const shortestOtherCode = 8;

/** A parameter of a query or form, also of a URL within a URL. */
const begin = String.raw`(?<=^|[&?#;"'<>{,(\n]|${beginEscape})`;
const equals = `(?:=|${percentEscape('3D')})`;
const value = String.raw`((?:(?!${percentEscape('26|23')})[^"'&\s<>#\\])+)`;
const ticket = new RegExp(`(${begin}ticket${equals})${value}`, 'gi');
const formCode = new RegExp(`(${begin}code${equals})${value}`, 'gi');
const codeAtEnd = new RegExp(`(${begin}code${equals})${value}$`, 'i');
const otherCode = new RegExp(String.raw`((?<![\w-])code${assignment}(?:\\?["']|%22)?)([\w.~+/%-]+)`, 'gi');
const codePart = new RegExp(String.raw`(\bname=["']code(?=["'])${restOfPartHead})${partContent}`, 'gi');
const codeInput = /\bname=["']code["']/i;

const flowName = new RegExp(`(?<![A-Za-z])(?:${flowNames.join('|')})(?![A-Za-z_])`, 'i');
const flowParameter = new RegExp(
  String.raw`(?<=^|[?&#;]|${percentEscape('3F|26|23')})(?:state|iss|scope)${equals}|name=["']?(?:state|iss|scope)["'\s>]`,
  'i',
);

function maskCodes(text: string, around: string): string {
  const isNamed = flowName.test(around);
  const isFlow = isNamed || flowParameter.test(around);
  let masked = text.replace(formCode, (found: string, label: string, code: string) =>
    isFlow || isRandom(code, shortestCode) ? label + mask : found,
  );
  if (masked.includes('name=')) {
    if (isFlow) masked = masked.replace(codePart, `$1${mask}`);
    masked = maskInputs(masked, (tag, code) => codeInput.test(tag) && (isFlow || isRandom(code, shortestCode)));
  }
  if (!isNamed) return masked;
  return masked.replace(otherCode, (found: string, label: string, code: string) =>
    isRandom(code, shortestOtherCode) ? label + mask : found,
  );
}

/** Long, and of letters and digits: neither a word nor a number. */
function isRandom(text: string, leastLength: number): boolean {
  return text.length >= leastLength && /\d/.test(text) && /[A-Za-z]/.test(text);
}
