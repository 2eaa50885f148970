/** A command of a client (RFC 5321 section 4.1). */
export interface SmtpCommand {
  /** Upper case. */
  readonly verb: string;
  /** Behind the verb and its spaces, without trailing ones; latin1. */
  readonly argument: string;
}

/** Reads a command line with its line end; undefined when it is not one line that every server reads alike. */
export function parseCommand(line: Buffer): SmtpCommand | undefined {
  const text = line.toString('latin1');
  const [, verb = '', argument = ''] = commandLine.exec(text) ?? [];
  return verb === '' ? undefined : { verb: verb.toUpperCase(), argument: argument.trimEnd() };
}

/** A CR or LF inside a line, or a NUL, may end it for another reader. Leading blanks are no command to most servers. */
const commandLine = /^([A-Za-z][A-Za-z0-9-]{0,31})(?: +([^\r\n\0]*))?[ \t]*\r\n$/;

/** Whether a line is HTTP, spoken to the wrong port on purpose (cross-protocol attacks, ALPACA). */
export function looksLikeHttp(line: Buffer): boolean {
  return httpLine.test(line.toString('latin1', 0, 1_024));
}

const httpLine =
  /^(?:(?:GET|POST|PUT|HEAD|OPTIONS|CONNECT|DELETE|PATCH|TRACE|PRI)\s+\S+\s+HTTP\/|(?:Host|User-Agent|Accept|Cookie|Referer|Content-Type|Content-Length|Origin|Connection)\s*:)/i;

/** `FROM:<path> parameters` or `TO:<path> parameters`. */
export interface MailPath {
  /** Without angle brackets and source route; empty for the null path. */
  readonly address: string;
  /** Names in upper case; values as sent. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Reads the argument of MAIL or RCPT; undefined when it is none (the server will say so). */
export function parsePath(argument: string, keyword: 'FROM' | 'TO'): MailPath | undefined {
  const [, name = '', rest = ''] = /^([A-Za-z]+)[ \t]*:[ \t]*(.*)$/.exec(argument) ?? [];
  if (name.toUpperCase() !== keyword) return undefined;
  const [, bracketed, bare, tail = ''] = pathAndTail.exec(rest) ?? [];
  const path = bracketed ?? bare;
  if (path === undefined) return undefined;
  const parameters = new Map<string, string>();
  for (const word of tail.split(/[ \t]+/)) {
    if (word === '') continue;
    const equals = word.indexOf('=');
    if (equals < 0) parameters.set(word.toUpperCase(), '');
    else parameters.set(word.slice(0, equals).toUpperCase(), word.slice(equals + 1));
  }
  // A source route (RFC 5321 appendix C) is to be ignored.
  return { address: path.replace(/^@[^:]*:/, ''), parameters };
}

/** A quoted local part may hold blanks and angle brackets; some clients leave the brackets out. */
const pathAndTail = /^(?:<((?:"(?:[^"\\]|\\.)*"|[^">])*)>|([^\s<>]+))(?:[ \t]+(.*))?$/;

/** `size [LAST]` of BDAT (RFC 3030 section 2); undefined when it is not, for then nobody knows how many octets follow. */
export function parseChunk(argument: string): { readonly bytes: number; readonly isLast: boolean } | undefined {
  const [, size, last] = /^(\d{1,15})(?: +(LAST))?$/i.exec(argument) ?? [];
  return size === undefined ? undefined : { bytes: Number(size), isLast: last !== undefined };
}
