/**
 * Fields that say how a message is cut, coded or connected (RFC 9110 sections 7.6 and 8, RFC 9112 section 6): changing one
 * would make a message mean something else than what was inspected.
 */
const fixed: ReadonlySet<string> = new Set([
  ...['content-length', 'transfer-encoding', 'content-encoding', 'content-range', 'trailer', 'te', 'connection'],
  ...['keep-alive', 'upgrade', 'http2-settings', 'host', 'expect', 'proxy-authorization', 'proxy-authenticate'],
  ...['proxy-connection', 'sec-websocket-key', 'sec-websocket-accept', 'sec-websocket-extensions'],
]);

/** Fields that say how a mail is to be read (RFC 2045), and those that others sign or trace. */
const fixedInMails = /^(?:content-.*|mime-version|received|return-path|from|dkim-signature|arc-.*)$/i;

/** The same of a mail. */
export function mailHeaderProblem(name: string, value?: string): string | undefined {
  // Of what RFC 5322 section 3.6.8 allows, what every server takes.
  if (!/^[A-Za-z][A-Za-z0-9-]{0,127}$/.test(name)) return `not a name of a mail header: ${name}`;
  if (fixedInMails.test(name))
    return `${name} says how a mail is to be read or where it came from, and cannot be changed`;
  if (value === undefined) return undefined;
  // One line of RFC 5322 section 2.1.1, not folded.
  return /^[\x21-\x7e](?:[\x20-\x7e]{0,900}[\x21-\x7e])?$/.test(value)
    ? undefined
    : `not a value of a mail header: ${value}`;
}

/** Why a field cannot be set to a value, or removed when there is none; undefined when it can. */
export function headerChangeProblem(name: string, value?: string): string | undefined {
  // RFC 9110 section 5.6.2: a token.
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/.test(name)) return `not a name of a header: ${name}`;
  if (fixed.has(name.toLowerCase())) return `${name} says how a message is to be read, and cannot be changed`;
  if (value === undefined) return undefined;
  // RFC 9110 section 5.5: visible ASCII, with blanks inside.
  return /^[\x21-\x7e](?:[\x20-\x7e\t]{0,2046}[\x21-\x7e])?$/.test(value)
    ? undefined
    : `not a value of a header: ${value}`;
}
