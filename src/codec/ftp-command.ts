/** A command of an FTP client (RFC 959 section 4.1). */
export interface FtpCommand {
  /** Upper case. */
  readonly verb: string;
  /** Behind the verb and one space, as sent; latin1. */
  readonly argument: string;
  /** The line without Telnet signals, as it is passed on. */
  readonly line: Buffer;
}

/** Reads a command line with its line end; undefined when servers could read it in more than one way. */
export function parseFtpCommand(bytes: Buffer): FtpCommand | undefined {
  const line = withoutSignals(bytes);
  const text = line.toString('latin1');
  const [, verb = '', argument = ''] = commandLine.exec(text) ?? [];
  return verb === '' ? undefined : { verb: verb.toUpperCase(), argument, line };
}

/**
 * A CR or LF inside a line, or a NUL, may end it for another reader; so may IAC (0xFF), which servers that speak Telnet
 * take for the beginning of a Telnet command and others for a character.
 */
const commandLine = /^([A-Za-z]{3,4})(?: ([^\r\n\0\xff]*))?\r\n$/;

const iac = 0xff;
/** Interrupt process, data mark, abort output: what clients send ahead of ABOR (RFC 959 section 4.1.3, RFC 854). */
const signals: ReadonlySet<number> = new Set([0xf2, 0xf4, 0xf5]);

/** Signals ahead of a command say nothing that the command does not; data marks may have lost their IAC as urgent data. */
function withoutSignals(line: Buffer): Buffer {
  let from = 0;
  while (line[from] === iac && signals.has(line[from + 1] ?? 0)) from += 2;
  if (from > 0 && line[from] === 0xf2) from += 1;
  return from === 0 ? line : line.subarray(from);
}
