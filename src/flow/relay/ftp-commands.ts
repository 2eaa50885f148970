import { parseExtendedPort, parseHostPort } from '../../codec/ftp-address.ts';
import { type FtpCommand, parseFtpCommand } from '../../codec/ftp-command.ts';
import { looksLikeHttp } from '../../codec/smtp-command.ts';
import type { Address } from '../../core/endpoint.ts';
import type { FailureCode } from '../../core/failures.ts';
import { ftpAnswers } from './ftp-answers.ts';

/** What a reply of the origin answers. */
export type FtpExpected =
  | 'other'
  /** A command that changes files. */
  | 'act'
  | 'features'
  | 'login'
  | 'auth'
  | 'clear'
  | 'private'
  /** CCC. */
  | 'unprotect'
  | 'passive'
  | 'active'
  | 'transfer'
  | 'restart'
  | 'quit';

/** A command that the origin has not answered yet. */
export interface FtpAsked {
  readonly expected: FtpExpected;
  readonly command: FtpCommand;
  /** Said to the client in place of the answer to a command of the gateway's own. */
  readonly owed?: Buffer | undefined;
}

/** What becomes of a command line. */
export type FtpDecision =
  | { readonly kind: 'pass'; readonly expected: FtpExpected; readonly command: FtpCommand }
  | { readonly kind: 'auth' | 'unprotect'; readonly command: FtpCommand }
  | { readonly kind: 'active'; readonly command: FtpCommand; readonly address: Address }
  | { readonly kind: 'transfer'; readonly command: FtpCommand; readonly direction: 'upload' | 'download' }
  | { readonly kind: 'answer'; readonly text: string; readonly code?: FailureCode; readonly detail?: string }
  /** The session ends. */
  | { readonly kind: 'refuse'; readonly code: FailureCode; readonly detail: string };

export interface FtpContext {
  readonly isSecure: boolean;
  readonly canUpgrade: boolean;
  readonly isProtected: boolean;
  readonly requireTls: boolean;
  readonly clearData: 'allow' | 'refuse';
  readonly authSsl: 'refuse' | 'allow';
  readonly clearCommandChannel: 'refuse' | 'allow';
  /** TLS on the control connection has ended by CCC; `isSecure` stays, since the session began under it. */
  readonly isCleared: boolean;
  /** Whether data are protected has to be said by PROT first. */
  readonly needsProtection: boolean;
  readonly clientIp: string;
}

/** Decides on a command line with its line end: pure. */
export function decideOnFtpCommand(line: Buffer, context: FtpContext): FtpDecision {
  if (looksLikeHttp(line)) return refuse('CLIENT_FTP_CROSS_PROTOCOL', 'an HTTP line');
  const command = parseFtpCommand(line);
  if (command === undefined) {
    const isOneLine = line.subarray(-2).equals(crlf) && !/[\r\n\0]/.test(line.toString('latin1', 0, line.length - 2));
    return isOneLine ? answer(ftpAnswers.badCommand) : refuse('CLIENT_FTP_AMBIGUOUS', 'a bare CR, LF or NUL');
  }
  const { verb, argument } = command;
  if (context.requireTls && !context.isSecure && !beforeTls.has(verb)) return answer(ftpAnswers.needsTls);
  const direction = transfers.get(verb);
  if (direction !== undefined) {
    if (context.needsProtection) return answer(ftpAnswers.needsProtection);
    if (mustProtect(context) && !context.isProtected) return answer(ftpAnswers.needsProtectedData);
    return { kind: 'transfer', command, direction };
  }
  switch (verb) {
    case 'AUTH':
      if (!isKnownAuth(argument, context)) return answer(ftpAnswers.notThisParameter);
      return context.canUpgrade && !context.isSecure ? { kind: 'auth', command } : answer(ftpAnswers.notPassed);
    case 'PROT':
      return protection(command, context);
    case 'CCC':
      return unprotect(command, context);
    case 'REIN':
      // It would end the protection of the control connection as well (RFC 4217 section 11).
      return context.isSecure ? answer(ftpAnswers.notPassed) : pass(command, 'restart');
    case 'PORT':
      return active(command, parseHostPort(argument), context);
    case 'EPRT':
      return active(command, parseExtendedPort(argument), context);
    case 'MODE':
    case 'STRU':
      // Blocks, records and compression frame the data in a way of their own.
      return /^[SF]$/i.test(argument) ? pass(command, 'other') : answer(ftpAnswers.notThisParameter);
    default:
      return known(command);
  }
}

function isKnownAuth(argument: string, { authSsl }: FtpContext): boolean {
  return /^TLS(?:-C)?$/i.test(argument) || (authSsl === 'allow' && /^SSL$/i.test(argument));
}

function known(command: FtpCommand): FtpDecision {
  if (acts.has(command.verb)) return pass(command, 'act');
  const expected = expectations.get(command.verb);
  if (expected !== undefined) return pass(command, expected);
  return passedVerbs.has(command.verb) ? pass(command, 'other') : answer(ftpAnswers.notPassed);
}

/** Data may not pass in clear. */
function mustProtect({ requireTls, clearData, isSecure }: FtpContext): boolean {
  return requireTls || (clearData === 'refuse' && isSecure);
}

function protection(command: FtpCommand, context: FtpContext): FtpDecision {
  const level = command.argument.toUpperCase();
  if (level === 'P') return pass(command, 'private');
  if (level !== 'C') return answer(ftpAnswers.noSuchProtection);
  return mustProtect(context)
    ? answer(ftpAnswers.refused(534, 'POLICY_TLS_REQUIRED', 'PROT C'))
    : pass(command, 'clear');
}

function unprotect(command: FtpCommand, context: FtpContext): FtpDecision {
  const { isSecure, isCleared, requireTls, clearCommandChannel } = context;
  if (clearCommandChannel === 'refuse' || !isSecure || isCleared) return answer(ftpAnswers.noClear);
  return requireTls ? answer(ftpAnswers.refused(534, 'POLICY_TLS_REQUIRED', 'CCC')) : { kind: 'unprotect', command };
}

/** A client that names somebody else would have the origin connect there (bounce, RFC 2577 section 3). */
function active(command: FtpCommand, address: Address | undefined, { clientIp }: FtpContext): FtpDecision {
  if (address === undefined) return answer('501 Not an address');
  if (address.ip === clientIp && address.port >= 1_024) return { kind: 'active', command, address };
  const detail = `${command.verb} names ${address.ip} port ${address.port}`;
  return {
    kind: 'answer',
    text: ftpAnswers.failed('command', 'CLIENT_FTP_BOUNCE', detail),
    code: 'CLIENT_FTP_BOUNCE',
    detail,
  };
}

const transfers: ReadonlyMap<string, 'upload' | 'download'> = new Map([
  ['RETR', 'download'],
  ['LIST', 'download'],
  ['NLST', 'download'],
  ['MLSD', 'download'],
  ['STOR', 'upload'],
  ['STOU', 'upload'],
  ['APPE', 'upload'],
] as const);

/** What changes files on the server: judged and recorded as transfers are. */
const acts: ReadonlySet<string> = new Set(['DELE', 'MKD', 'RMD', 'RNFR', 'RNTO', 'SITE', 'XMKD', 'XRMD']);

const expectations: ReadonlyMap<string, FtpExpected> = new Map([
  ['USER', 'login'],
  ['PASS', 'login'],
  ['ACCT', 'login'],
  ['FEAT', 'features'],
  ['PASV', 'passive'],
  ['EPSV', 'passive'],
  ['QUIT', 'quit'],
] as const);

const beforeTls: ReadonlySet<string> = new Set([
  'AUTH',
  'FEAT',
  'HELP',
  'HOST',
  'NOOP',
  'QUIT',
  'SYST',
  'OPTS',
  'CLNT',
]);
/** What carries no data but on the control connection. Anything else may open a data connection of a kind of its own. */
const passedVerbs: ReadonlySet<string> = new Set([
  ...['ABOR', 'ALLO', 'AVBL', 'CDUP', 'CLNT', 'CSID', 'CWD', 'DSIZ', 'HASH', 'HELP', 'HOST', 'LANG', 'MD5'],
  ...['MDTM', 'MFCT', 'MFF', 'MFMT', 'MLST', 'NOOP', 'OPTS', 'PBSZ', 'PWD', 'REST'],
  ...['SIZE', 'SMNT', 'STAT', 'SYST', 'TYPE', 'XCRC', 'XCUP', 'XCWD', 'XMD5', 'XPWD', 'XSHA'],
]);

const crlf = Buffer.from('\r\n');

function pass(command: FtpCommand, expected: FtpExpected): FtpDecision {
  return { kind: 'pass', expected, command };
}

function answer(text: string): FtpDecision {
  return { kind: 'answer', text };
}

function refuse(code: FailureCode, detail: string): FtpDecision {
  return { kind: 'refuse', code, detail };
}
