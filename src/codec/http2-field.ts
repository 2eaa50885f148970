import type { Header } from '../core/http.ts';
import { tokenBytes, valueBytes } from './http1-bytes.ts';

/** What a field means to a relay. Everything that is only passed on is `plain`. */
export type FieldRole =
  | 'plain'
  | ':method'
  | ':scheme'
  | ':authority'
  | ':path'
  | ':protocol'
  | ':status'
  | 'content-length'
  | 'host'
  /** Not allowed in HTTP/2, whatever message it is in; `fault` tells why. */
  | 'bad';

/** RFC 7541 section 4.1: what a field takes in a table or a list beyond its name and value. */
const overheadBytes = 32;

/**
 * A field as HPACK carries it. One object serves every message that refers to it in a table, so it is judged once, and
 * written once where it comes again.
 */
export class Http2Field {
  readonly header: Header;
  readonly role: FieldRole;
  /** Why RFC 9113 section 8.2 forbids it; empty when it does not. */
  readonly fault: string;
  /** Must never enter a table: the next hop is told so too (RFC 7541 section 7.1.3). */
  readonly isSensitive: boolean;
  /** Index of the whole field in the static table; 0 without one. */
  readonly staticIndex: number;
  /** Stands in a table, so that keeping its written form pays. */
  isStored = false;
  /** The field as the encoder writes it, once it was. */
  written: Buffer | undefined;

  constructor(name: string, value: string, isSensitive = false, staticIndex = 0) {
    this.header = [name, value];
    this.isSensitive = isSensitive;
    this.staticIndex = staticIndex;
    this.fault = faultOf(name, value);
    this.role = this.fault === '' ? (roles.get(name) ?? 'plain') : 'bad';
  }

  get name(): string {
    return this.header[0];
  }

  get value(): string {
    return this.header[1];
  }

  get isPseudo(): boolean {
    return this.header[0].charCodeAt(0) === colon;
  }

  /** Bytes in the sense of SETTINGS_HEADER_TABLE_SIZE and SETTINGS_MAX_HEADER_LIST_SIZE. */
  get bytes(): number {
    return this.header[0].length + this.header[1].length + overheadBytes;
  }
}

const colon = 0x3a;
const space = 0x20;
const tab = 0x09;

const roles: ReadonlyMap<string, FieldRole> = new Map(
  ([':method', ':scheme', ':authority', ':path', ':protocol', ':status', 'content-length', 'host'] as const).map(
    (name) => [name, name],
  ),
);

/** Fields of one hop (RFC 9113 section 8.2.2), and spellings that CGI and WSGI turn into a framing field. */
const forbidden: ReadonlySet<string> = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'content_length',
  'transfer_encoding',
]);

/** Why a field is malformed in any message (RFC 9113 sections 8.2.1 and 8.2.2). */
function faultOf(name: string, value: string): string {
  if (!isValue(value)) return 'a control character, or a blank at an end, in a header value';
  if (name.charCodeAt(0) === colon) return roles.has(name) ? '' : 'an unknown pseudo-header';
  if (!isLowerToken(name)) return 'an empty, upper-case or invalid header name';
  if (forbidden.has(name)) return 'a header of one connection';
  return name === 'te' && value !== 'trailers' ? 'a TE other than trailers' : '';
}

function isLowerToken(name: string): boolean {
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if (tokenBytes[code] !== 1 || (code >= 0x41 && code <= 0x5a)) return false;
  }
  return name.length > 0;
}

function isValue(value: string): boolean {
  const { length } = value;
  if (length === 0) return true;
  if (isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(length - 1))) return false;
  for (let at = 0; at < length; at++) if (valueBytes[value.charCodeAt(at)] !== 1) return false;
  return true;
}

function isBlank(code: number): boolean {
  return code === space || code === tab;
}
