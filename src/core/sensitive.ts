import { type CardNumber, CardNumberScanner } from './card-number.ts';
import { type CredentialPattern, credentialPatterns } from './credential.ts';
import { mask } from './mask.ts';
import { fieldMask } from './named-field.ts';
import { maskShortSecrets, shortSecretLiterals } from './short-secret.ts';

/** A credential found in a text. */
export interface Credential {
  readonly pattern: CredentialPattern;
  readonly offset: number;
  readonly text: string;
}

/** All payment card numbers in a text that is complete. */
export function findCardNumbers(text: string): readonly CardNumber[] {
  if (!manyDigits.test(text)) return noCards;
  const scanner = new CardNumberScanner();
  const found = scanner.push(bytesOf(text));
  return [...found, ...scanner.end()];
}

/** All credentials and private key headers in a text that is complete, in the order of the pattern table. */
export function findCredentials(text: string, kind: CredentialPattern['kind']): readonly Credential[] {
  const found: Credential[] = [];
  if (!anyCredential.test(text)) return found;
  for (const { pattern, literal } of searches) {
    if (pattern.kind !== kind) continue;
    for (const hit of text.matchAll(literal)) {
      pattern.regex.lastIndex = hit.index;
      const match = pattern.regex.exec(text);
      if (match !== null) found.push({ pattern, offset: hit.index, text: match[0] });
    }
  }
  return found;
}

/**
 * Masks what no record may show: card numbers (the first six and last four digits stay, PCI DSS 3.4.1), private keys,
 * credentials (the first four characters stay) and the values of fields that are named like a password or a token.
 * Takes any text, also one that is cut in the middle, in time linear in its length. What `around` says of a text that was
 * cut out of it tells what its codes are.
 */
export function maskSensitive(text: string, around = text): string {
  let masked = text;
  if (anyCredential.test(masked)) masked = maskCredentials(maskPrivateKeys(masked));
  if (anySecretName.test(masked)) masked = maskNamedSecrets(masked);
  masked = maskShortSecrets(masked, around);
  if (bearerLiterals.some((literal) => masked.includes(literal))) masked = masked.replace(bearerSecret, `$1$2${mask}`);
  return maskCardNumbers(masked);
}

/** A card number as it may be shown. */
export function maskCardNumber(digits: string): string {
  return digits.slice(0, 6) + '*'.repeat(Math.max(0, digits.length - 10)) + digits.slice(-4);
}

/** A credential as it may be shown: its label, if it has one, and the first four characters of the secret. */
export function maskCredential(text: string, pattern: CredentialPattern): string {
  if (pattern.kind === 'private_key') return text;
  pattern.regex.lastIndex = 0;
  const secret = pattern.regex.exec(text)?.groups?.secret ?? text;
  return text.slice(0, text.length - secret.length) + secret.slice(0, 4) + mask;
}

const noCards: readonly CardNumber[] = [];

const escaped = (literal: string): string => literal.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const alternatives = (literals: readonly string[]): string => literals.map(escaped).join('|');

/** One pass over clean text, which is nearly all text, instead of one per pattern. */
const anyCredential = new RegExp(alternatives(credentialPatterns.flatMap((pattern) => pattern.literals)), 'i');
const searches = credentialPatterns.map((pattern) => ({
  pattern,
  literal: new RegExp(alternatives(pattern.literals), 'gi'),
}));
const tokens = credentialPatterns
  .filter((pattern) => pattern.kind === 'cloud_credential')
  .map((pattern) => ({ pattern, everywhere: new RegExp(pattern.regex.source, pattern.regex.flags.replace('y', 'g')) }));
/** Whatever the scanner could take for a card number, so that it runs on few texts only. */
const manyDigits = /(?:(?:\d|%3\d)(?:[ +-]|%2[0BbDd])?){13}/;

/** From the header to the end mark, or to the end of the text when an excerpt was cut before it. */
const privateKeyBlock =
  /(-----BEGIN(?:[ +]|%20)(?:[A-Z0-9]{1,10}(?:[ +]|%20)){0,3}PRIVATE(?:[ +]|%20)KEY(?:(?:[ +]|%20)BLOCK)?-----|---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----|Private-Lines(?::|%3A))(?:[\s\S]*?(?=-----END|---- END|Private-MAC)|[\s\S]*$)/g;

function maskPrivateKeys(text: string): string {
  return text.replace(privateKeyBlock, (_, header: string) => header + mask);
}

function maskCredentials(text: string): string {
  let masked = text;
  for (const { pattern, everywhere } of tokens) {
    masked = masked.replace(everywhere, (found: string) => maskCredential(found, pattern));
  }
  return masked;
}

/** What a field that holds a secret is named by; one of these stands in its name. */
const secretNameWords = [
  ...['passwd', 'password', 'passphrase', 'pwd', 'secret', 'token', 'authorization', 'signature', 'cvv', 'cvc'],
  ...['apikey', 'api_key', 'api-key', 'accesskey', 'access_key', 'access-key', 'privatekey', 'private_key'],
  ...['private-key', 'sessionid', 'session_id', 'session-id', 'cardno', 'card_no', 'card-no'],
  ...['cardnumber', 'card_number', 'card-number', 'assertion', 'samlresponse', 'samlart', 'wresult', 'jwt'],
  ...['sessid', 'passwort', 'passcode', 'otpcode', 'otp_code', 'otp-code', 'mfacode', 'mfa_code', 'mfa-code'],
  ...['authcode', 'auth_code', 'auth-code', 'devicecode', 'device_code', 'usercode', 'user_code', 'codeverifier'],
  ...['code_verifier', 'verificationcode', 'verification_code', 'recoverycode', 'recovery_code', 'backup_code'],
  ...['pgtid', 'pgtiou', 'subscription-key', 'subscription_key', 'subscriptionkey'],
];

/**
 * What is a secret wherever it stands, and by its form alone: a JSON Web Token (RFC 7519, signed or
 * encrypted) and an API key of Google. No rule asks for them, since pages show such keys to everybody.
 */
const bearerLiterals = ['eyJ', 'AIza'];
const bearerSecret = /(?<![\w-])(?:(eyJ[\w-])[\w-]{7,}(?:\.[\w-]*){2,4}|(AIza)[\w-]{30,64})/g;

/**
 * ASCII literals of which one stands, in whatever case, in every text that `maskSensitive` changes for another reason
 * than a card number: a caller with much text can look for these first.
 */
export const sensitiveLiterals: readonly string[] = [
  ...secretNameWords,
  ...shortSecretLiterals,
  ...bearerLiterals,
  ...credentialPatterns.flatMap((pattern) => pattern.literals),
];

const secretNames = secretNameWords.toSorted((one, other) => other.length - one.length).join('|');
const anySecretName = new RegExp(secretNames, 'i');
/** Names that hold one of the words. */
const maskNamedSecrets = fieldMask({
  assigned: String.raw`(?:${secretNames})[A-Za-z0-9_.\[\]-]{0,24}`,
  element: String.raw`[\w.-]{0,40}?(?:${secretNames})[\w.-]{0,40}`,
  attribute: String.raw`[^"'\r\n;>]{0,64}?(?:${secretNames})`,
});

function maskCardNumbers(text: string): string {
  const cards = findCardNumbers(text);
  if (cards.length === 0) return text;
  let masked = '';
  let from = 0;
  for (const card of cards) {
    masked += text.slice(from, card.offset) + maskCardNumber(card.digits);
    from = card.offset + card.bytes;
  }
  return masked + text.slice(from);
}

/** One byte per UTF-16 unit, so that offsets agree; units beyond a byte become one that is neither digit nor letter. */
function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    bytes[index] = unit < 0x100 ? unit : 0xff;
  }
  return bytes;
}
