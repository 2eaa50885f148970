import pino from 'pino';

export type LogFields = Readonly<Record<string, string | number | undefined>>;

/** What an operator reads on standard error: lines of text on a terminal, JSON elsewhere. Never a secret, never traffic. */
export interface OperationalLog {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** Makes the log over a stream, synchronous so that the last line before an exit is not lost. */
export function createOperationalLog(stream: NodeJS.WritableStream & { isTTY?: boolean }): OperationalLog {
  const write = (line: string): void => void stream.write(stream.isTTY === true ? readable(line) : line);
  const logger = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime }, { write });
  return {
    info: (message, fields = {}) => logger.info(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    error: (message, fields = {}) => logger.error(fields, message),
  };
}

const levelNames: Readonly<Record<number, string>> = { 30: 'info', 40: 'warning', 50: 'error' };

function readable(line: string): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${String(value)}`);
  return `${String(time).slice(11, 19)} ${levelNames[Number(level)] ?? 'log'}: ${String(msg)}${rest.join('')}\n`;
}
