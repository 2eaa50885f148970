import { looksLikeHttp, parseCommand, type SmtpCommand } from '../../codec/smtp-command.ts';
import type { FailureCode } from '../../core/failures.ts';
import { answers } from './smtp-answers.ts';
import type { ExpectedReply } from './smtp-conversation.ts';

/** What becomes of a command line. */
export type CommandDecision =
  | { readonly kind: 'pass'; readonly expected: ExpectedReply }
  /** Passed on, and nothing more is read until its reply: what follows it depends on that. */
  | { readonly kind: 'auth' | 'starttls'; readonly argument: string }
  /** Passed on, and a mail under way is forgotten. */
  | { readonly kind: 'restart'; readonly expected: ExpectedReply }
  | { readonly kind: 'mail'; readonly command: SmtpCommand }
  | { readonly kind: 'answer'; readonly text: string }
  /** The session ends. */
  | { readonly kind: 'refuse'; readonly code: FailureCode; readonly detail: string }
  | { readonly kind: 'not-mail' };

export interface CommandContext {
  /** The session can be no other protocol any more: a client that says so would have its mails pass unread. */
  readonly isMail: boolean;
  /** TLS is demanded and not there yet. */
  readonly needsTls: boolean;
  readonly canUpgrade: boolean;
  readonly isMailOpen: boolean;
  readonly xclient: boolean;
}

/** Decides on a command line with its line end: pure. */
export function decideOnCommand(line: Buffer, context: CommandContext): CommandDecision {
  if (looksLikeHttp(line)) return refuse('CLIENT_SMTP_CROSS_PROTOCOL', 'an HTTP line');
  if (isAmbiguous(line)) return refuse('CLIENT_SMTP_AMBIGUOUS', 'a bare CR, LF or NUL in a command');
  const command = parseCommand(line);
  if (command === undefined) return answer(answers.badCommand);
  const { verb, argument } = command;
  if (!context.isMail && isFtp(command)) return { kind: 'not-mail' };
  if (context.needsTls && !beforeTls.has(verb)) return answer(answers.needsTls);
  if (context.isMailOpen && !withinMail.has(verb)) return answer(answers.badOrder);
  switch (verb) {
    case 'EHLO':
    case 'HELO':
    case 'LHLO':
      return { kind: 'restart', expected: { kind: 'hello', verb, argument } };
    case 'RSET':
      return { kind: 'restart', expected: { kind: 'reset' } };
    case 'MAIL':
      return { kind: 'pass', expected: { kind: 'mail', argument } };
    case 'RCPT':
      return { kind: 'pass', expected: { kind: 'recipient', argument } };
    case 'DATA':
    case 'BDAT':
      return { kind: 'mail', command };
    case 'AUTH':
      return { kind: 'auth', argument };
    case 'STARTTLS':
      return context.canUpgrade ? { kind: 'starttls', argument } : answer(answers.notPassed);
    case 'XCLIENT':
    case 'XFORWARD':
      return context.xclient ? passed : answer(answers.notPassed);
    default:
      // What is not known may frame what follows in a way of its own (BURL, XEXCH50) or turn the session round (ATRN).
      return passedVerbs.has(verb) ? passed : answer(answers.notPassed);
  }
}

const passed: CommandDecision = { kind: 'pass', expected: { kind: 'other' } };
const beforeTls: ReadonlySet<string> = new Set(['EHLO', 'HELO', 'LHLO', 'NOOP', 'RSET', 'QUIT', 'STARTTLS', 'HELP']);
const withinMail: ReadonlySet<string> = new Set(['BDAT', 'RSET', 'NOOP', 'QUIT', 'EHLO', 'HELO', 'LHLO', 'HELP']);
const passedVerbs: ReadonlySet<string> = new Set([
  'ETRN',
  'EXPN',
  'HELP',
  'NOOP',
  'QUIT',
  'SAML',
  'SEND',
  'SOML',
  'VRFY',
]);
const ftpVerbs: ReadonlySet<string> = new Set([
  'ACCT',
  'CLNT',
  'CSID',
  'FEAT',
  'HOST',
  'LANG',
  'OPTS',
  'PASS',
  'PBSZ',
  'STAT',
  'SYST',
  'USER',
]);

/** What only FTP begins with, whose servers greet alike. */
function isFtp({ verb, argument }: SmtpCommand): boolean {
  return ftpVerbs.has(verb) || (verb === 'AUTH' && /^(?:TLS|SSL)\b/i.test(argument));
}

/** Whether a greeting leaves no doubt; an FTP server may greet with its host name too. */
export function saysMail(greeting: string): boolean {
  return /\b(?:E?SMTP|LMTP)\b/i.test(greeting);
}

/** A CR or LF alone, or a NUL, may end the line for another reader. */
function isAmbiguous(line: Buffer): boolean {
  const text = line.subarray(0, -2);
  return !line.subarray(-2).equals(crlf) || text.includes(0x0d) || text.includes(0x00);
}

const crlf = Buffer.from('\r\n');

function answer(text: string): CommandDecision {
  return { kind: 'answer', text };
}

function refuse(code: FailureCode, detail: string): CommandDecision {
  return { kind: 'refuse', code, detail };
}
