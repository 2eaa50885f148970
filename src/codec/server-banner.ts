import type { OpaqueProtocol } from '../core/opening.ts';
import { type BytePattern, bytePattern, matchPattern } from './byte-pattern.ts';

/** Recognises what a server says first; undefined while (or because) it is nothing known. */
export function recogniseBanner(bytes: Buffer): OpaqueProtocol | undefined {
  for (const [protocol, pattern] of signatures) {
    if (matchPattern(pattern, bytes) === 'yes') return protocol;
  }
  const text = bytes.toString('latin1', 0, bannerBytesMax);
  if (sshLine.test(text)) return 'ssh';
  const [, code, firstLine = ''] = greeting.exec(text) ?? [];
  return code === undefined ? undefined : mailOrFiles(text, firstLine);
}

/** Whether a server begins with the SETTINGS of HTTP/2, which it may send before the client says anything (RFC 9113 section 3.4). */
export function isHttp2Greeting(bytes: Buffer): boolean {
  if (bytes.length < 9 || bytes[0] !== 0 || (bytes[1] ?? 0) > 1 || bytes[3] !== 4 || bytes[4] !== 0) return false;
  return bytes.readUInt16BE(1) % 6 === 0 && bytes.readUInt32BE(5) === 0;
}

/** SSH servers may send lines of text first (RFC 4253 section 4.2); FTP greetings go on for pages. */
const bannerBytesMax = 8_192;

const ascii = (text: string): string => Buffer.from(text, 'latin1').toString('hex');

const signatures: readonly (readonly [OpaqueProtocol, BytePattern])[] = (
  [
    ['vnc', ascii('RFB 00')],
    ['pop3', ascii('+OK')],
    ['imap', ascii('* OK')],
    ['imap', ascii('* PREAUTH')],
    ['imap', ascii('* BYE')],
    ['irc', ascii('NOTICE AUTH')],
    // MySQL: packet 0, protocol 10 and the version as text, or an error (host not allowed, too many connections).
    ['mysql', '....00000a3.'],
    ['mysql', '....0000ff..04'],
    ['ica', `7f7f${ascii('ICA')}00`],
    ['telnet', 'fffb..'],
    ['telnet', 'fffc..'],
    ['telnet', 'fffd..'],
    ['telnet', 'fffe..'],
  ] as const
).map(([protocol, hex]) => [protocol, bytePattern(hex)] as const);

const sshLine = /^SSH-[12]\./m;
/** The first line, whole, of a greeting of SMTP (RFC 5321 section 4.2) or FTP (RFC 959 section 4.2). */
const greeting = /^(120|220|421|554)[ -]([^\n]*)\n/;

/** Whether bytes may still become the greeting of SMTP or FTP, whose first line is not whole yet. */
export function isPartialGreeting(bytes: Buffer): boolean {
  if (bytes.length > bannerBytesMax || bytes.includes(0x0a)) return false;
  const text = bytes.toString('latin1', 0, 4);
  return greetingStarts.some((start) => start.startsWith(text));
}

const greetingStarts = ['120', '220', '421', '554'].flatMap((code) => [`${code} `, `${code}-`]);

/** Both begin with 220. SMTP names its host first and mostly itself; FTP says what it likes. */
function mailOrFiles(text: string, firstLine: string): OpaqueProtocol {
  if (/\b(?:E?SMTP|LMTP)\b/i.test(text)) return 'smtp';
  if (/FTP|FileZilla/i.test(text)) return 'ftp';
  return /^(?:[a-z0-9-]+\.)+[a-z0-9-]+\b|^\[/i.test(firstLine) ? 'smtp' : 'ftp';
}
