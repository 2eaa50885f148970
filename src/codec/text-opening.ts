import type { Guess } from './guess.ts';

/**
 * Recognises the client's first bytes of HTTP and of line protocols. A known HTTP method and a space are enough; any
 * other token waits for the end of its line, where the version tells HTTP from RTSP, IRC, IMAP and the like.
 */
export function recogniseText(bytes: Buffer): Guess {
  const start = skipBlanks(bytes);
  if (start > lineBytesMax) return 'http1';
  if (start === bytes.length) return 'maybe';
  if (bytes[start] === lessThan) return xmpp(bytes.subarray(start));
  const end = tokenEnd(bytes, start);
  if (end === start) return undefined;
  if (end - start > lineBytesMax) return 'http1';
  const delimiter = bytes[end];
  if (delimiter === undefined) return 'maybe';
  if (isAnyBlank(delimiter) && httpMethods.has(bytes.toString('latin1', start, end))) return 'http1';
  const isLine = delimiter === space || delimiter === tab || delimiter === carriageReturn || delimiter === lineFeed;
  return isLine ? recogniseLine(bytes, start, end) : undefined;
}

const tab = 0x09;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const space = 0x20;
const lessThan = 0x3c;

/** A longer method (servers take any) or line, or more blanks before it, is left to the HTTP relay, which refuses it. */
const lineBytesMax = 4_096;

/** Methods (RFC 9110, WebDAV) that no other protocol here begins with: OPTIONS is RTSP's and SIP's too. */
const httpMethods: ReadonlySet<string> = new Set(
  (
    'GET HEAD POST PUT DELETE CONNECT TRACE PATCH QUERY PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT SEARCH ' +
    'MKCALENDAR CHECKOUT CHECKIN MERGE ACL PURGE'
  ).split(' '),
);

/** What one program or another takes for a blank: Python's split(), for one, takes all of these. */
function isAnyBlank(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  return (byte >= 0x09 && byte <= 0x0d) || (byte >= 0x1c && byte <= space) || byte === 0x85 || byte === 0xa0;
}

/**
 * A server should ignore an empty line before a request (RFC 9112 section 2.2), and some ignore any number of them, and
 * other blanks: they must not hide a request.
 */
function skipBlanks(bytes: Buffer): number {
  let at = 0;
  while (at <= lineBytesMax && isAnyBlank(bytes[at])) at++;
  return at;
}

/** Characters of a token (RFC 9110 section 5.6.2). */
const isTokenByte = new Uint8Array(256);
for (const byte of Buffer.from("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")) {
  isTokenByte[byte] = 1;
}

function tokenEnd(bytes: Buffer, start: number): number {
  let at = start;
  while (isTokenByte[bytes[at] ?? 0] === 1) at++;
  return at;
}

function recogniseLine(bytes: Buffer, start: number, tokenEndAt: number): Guess {
  const lineEnd = bytes.subarray(start, start + lineBytesMax).indexOf(lineFeed);
  const line = bytes.subarray(start, lineEnd === -1 ? start + lineBytesMax : start + lineEnd);
  if (line.subarray(tokenEndAt - start).some(isControl)) return undefined;
  if (lineEnd !== -1) return classifyLine(line.toString('latin1').trimEnd());
  return line.length < lineBytesMax ? 'maybe' : 'http1';
}

function isControl(byte: number): boolean {
  return (byte < space && byte !== tab && byte !== carriageReturn) || byte === 0x7f;
}

/** Methods of HTTP that other protocols have too, or that only lenient servers take: with the target of a request they are. */
const sharedMethods: ReadonlySet<string> = new Set(
  'OPTIONS NOTIFY SUBSCRIBE UNSUBSCRIBE M-SEARCH MKACTIVITY BIND REBIND UNBIND LINK UNLINK SOURCE'.split(' '),
);
const requestTarget = /^(?:\/|\*$|https?:)/i;
const otherVersion = /[ \t](?:RTSP|SIP)\/[0-9]/;
const httpVersion = /[ \t]HTTP\/[0-9]/i;
const rtspVersion = / RTSP\/[0-9]/;
const imapCommands = /^(?:CAPABILITY|LOGIN|AUTHENTICATE|STARTTLS|ID|NOOP|SELECT|EXAMINE|LIST)$/i;

function classifyLine(line: string): Guess {
  if (line === 'PRI * HTTP/2.0') return 'http2';
  if (httpVersion.test(line)) return 'http1';
  if (rtspVersion.test(line)) return 'rtsp';
  // Not before the line is whole: `SSH-2.0 / HTTP/1.1` is a request with a method of its own.
  if (line.startsWith('SSH-')) return 'ssh';
  const [first = '', second = '', third] = line.split(/[ \t]+/, 3);
  // Without a version: Node's server, where it is lenient, answers such a request all the same.
  if (sharedMethods.has(first) && requestTarget.test(second) && !otherVersion.test(line)) return 'http1';
  switch (first.toUpperCase()) {
    case 'EHLO':
    case 'HELO':
    case 'LHLO':
      return 'smtp';
    case 'USER':
      // `USER name` of FTP (and of POP3, whose clients wait for a greeting); `USER name mode host :real name` of IRC.
      return third === undefined ? 'ftp' : 'irc';
    case 'AUTH':
      return /^(?:TLS|SSL)/i.test(second) ? 'ftp' : undefined;
    case 'NICK':
    case 'CAP':
      return 'irc';
    case 'PROXY':
      return /^(?:TCP[46]|UNKNOWN)$/.test(second) ? 'proxy-protocol' : undefined;
    case 'CAPA':
    case 'STLS':
    case 'APOP':
      return 'pop3';
    default:
      return imapCommands.test(second) ? 'imap' : undefined;
  }
}

const xmlDeclaration = '<?xml';
const xmppStream = '<stream:stream';
const xmlDeclarationBytesMax = 128;

/** A stream header, with or without an XML declaration before it (RFC 6120 section 4.2). */
function xmpp(bytes: Buffer): Guess {
  const text = bytes.toString('latin1', 0, xmlDeclarationBytesMax);
  if (!startsAlike(text, xmlDeclaration)) return xmppAt(text);
  const declarationEnd = text.indexOf('?>');
  const guess = declarationEnd === -1 ? 'maybe' : xmppAt(text.slice(declarationEnd + 2).trimStart());
  return guess === 'maybe' && text.length === xmlDeclarationBytesMax ? undefined : guess;
}

function xmppAt(text: string): Guess {
  if (text.startsWith(xmppStream)) return 'xmpp';
  return startsAlike(text, xmppStream) ? 'maybe' : undefined;
}

/** Whether one is the beginning of the other. */
function startsAlike(text: string, prefix: string): boolean {
  return text.startsWith(prefix) || prefix.startsWith(text);
}
