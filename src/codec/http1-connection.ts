import type { Header } from '../core/http.ts';

/** What the Connection fields of a message ask for (RFC 9110 section 7.6.1). */
export interface ConnectionOptions {
  readonly close: boolean;
  readonly keepAlive: boolean;
  /** Why they are refused; empty when they are not. */
  readonly fault: string;
}

/** Reads all Connection fields; the commonest single values cost one comparison. */
export function connectionOptions(headers: readonly Header[], first: number, repeated: boolean): ConnectionOptions {
  if (!repeated) {
    const value = headers[first]?.[1];
    if (value === 'keep-alive' || value === 'Keep-Alive') return keeping;
    if (value === 'close') return closing;
  }
  return parseOptions(headers.filter(([name]) => name.length === 10 && name.toLowerCase() === 'connection'));
}

/** No Connection field at all. */
export const noConnectionOptions: ConnectionOptions = { close: false, keepAlive: false, fault: '' };

const closing: ConnectionOptions = { close: true, keepAlive: false, fault: '' };
const keeping: ConnectionOptions = { close: false, keepAlive: true, fault: '' };

/**
 * Fields that no sane sender nominates: a next hop that obeys would drop what frames, routes or authorises the message,
 * and so read another one than was inspected.
 */
const notNominable = new Set([
  'authorization',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'expect',
  'host',
  'set-cookie',
  'transfer-encoding',
]);

const optionPattern = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;

function parseOptions(fields: readonly Header[]): ConnectionOptions {
  let close = false;
  let keepAlive = false;
  for (const [, value] of fields) {
    for (const part of value.toLowerCase().split(',')) {
      const option = part.trim();
      // Empty list elements are legal (RFC 9110 section 5.6.1.2).
      if (option === '') continue;
      if (notNominable.has(option)) return refusal('Connection nominates a field that frames or routes the message');
      if (!optionPattern.test(option)) return refusal('Connection is not a list of options');
      close ||= option === 'close';
      keepAlive ||= option === 'keep-alive';
    }
  }
  return { close, keepAlive, fault: '' };
}

function refusal(fault: string): ConnectionOptions {
  return { close: false, keepAlive: false, fault };
}
