import type { BodyFraming, Header, RequestHead } from '../core/http.ts';
import { parseAuthority } from './http1-authority.ts';
import { targetBytes, tokenBytes } from './http1-bytes.ts';
import { noBody, parseLength, untilClose } from './http1-framing.ts';
import type { Http2Fault } from './http2-fault.ts';
import type { Http2Field } from './http2-field.ts';

/** A request as its header block tells it. */
export interface Http2Request {
  readonly head: RequestHead;
  /** Protocol of an extended CONNECT (RFC 8441). */
  readonly protocol: string | undefined;
  /** Why it is malformed; the head then holds what could be read. */
  readonly fault: Http2Fault | undefined;
}

/** What the fields of a request say, by role. */
interface Parts {
  method: string | undefined;
  scheme: string | undefined;
  authority: string | undefined;
  path: string | undefined;
  protocol: string | undefined;
  host: string | undefined;
  length: string | undefined;
  fault: Http2Fault | undefined;
  readonly headers: Header[];
}

/** Judges a request by RFC 9113 section 8.3.1, more strictly where HTTP/1.1 origins behind the next hop would differ. */
export function requestOfFields(fields: readonly Http2Field[], streamId: number, endsStream: boolean): Http2Request {
  const parts = partsOf(fields);
  const authority = parts.authority ?? parts.host;
  const named = authority === undefined ? undefined : parseAuthority(authority);
  const framing = framingOf(parts, endsStream);
  const head: RequestHead = {
    method: parts.method ?? '',
    target: targetOf(parts, authority),
    version: '2',
    host: named?.host ?? '',
    headers: parts.headers,
    framing: framing ?? untilClose,
    streamId,
  };
  const fault = parts.fault ?? faultOf(parts, named !== undefined) ?? lengthFault(framing, endsStream);
  return { head, protocol: parts.protocol, fault };
}

function partsOf(fields: readonly Http2Field[]): Parts {
  const parts: Parts = {
    method: undefined,
    scheme: undefined,
    authority: undefined,
    path: undefined,
    protocol: undefined,
    host: undefined,
    length: undefined,
    fault: undefined,
    headers: [],
  };
  let isPastPseudo = false;
  for (const field of fields) {
    if (field.isPseudo && isPastPseudo) parts.fault ??= malformed('a pseudo-header behind a header');
    if (!field.isPseudo) isPastPseudo = true;
    if (!note(parts, field)) parts.fault ??= malformed(`a second ${field.name}`);
    if (!field.isPseudo) parts.headers.push(field.header);
  }
  return parts;
}

/** Puts a field where it belongs; false when it stands there already. */
function note(parts: Parts, { role, value, fault }: Http2Field): boolean {
  switch (role) {
    case 'plain':
      return true;
    case 'bad':
      parts.fault ??= malformed(fault);
      return true;
    case ':status':
      parts.fault ??= malformed('a :status in a request');
      return true;
    case ':method':
      if (parts.method !== undefined) return false;
      parts.method = value;
      return true;
    case ':scheme':
      if (parts.scheme !== undefined) return false;
      parts.scheme = value;
      return true;
    case ':authority':
      if (parts.authority !== undefined) return false;
      parts.authority = value;
      return true;
    case ':path':
      if (parts.path !== undefined) return false;
      parts.path = value;
      return true;
    case ':protocol':
      if (parts.protocol !== undefined) return false;
      parts.protocol = value;
      return true;
    case 'host':
      if (parts.host !== undefined) return false;
      parts.host = value;
      return true;
    case 'content-length':
      if (parts.length !== undefined) return false;
      parts.length = value;
      return true;
  }
}

/** CONNECT names its target as authority; an extended one has a path as every other request. */
function targetOf({ method, protocol, path }: Parts, authority: string | undefined): string {
  return method === 'CONNECT' && protocol === undefined ? (authority ?? '') : (path ?? '');
}

function framingOf({ length, protocol }: Parts, endsStream: boolean): BodyFraming | undefined {
  // What follows an extended CONNECT is a tunnel, as behind every CONNECT (RFC 9110 section 9.3.6).
  if (protocol !== undefined) return noBody;
  if (length === undefined) return endsStream ? noBody : untilClose;
  const bytes = parseLength(length);
  return bytes === undefined ? undefined : { kind: 'length', bytes };
}

function lengthFault(framing: BodyFraming | undefined, endsStream: boolean): Http2Fault | undefined {
  if (framing === undefined) return { fault: 'ambiguous', detail: 'a Content-Length that is not a plain number' };
  return endsStream && framing.kind === 'length' && framing.bytes > 0
    ? malformed('a Content-Length other than the body')
    : undefined;
}

function faultOf(parts: Parts, hasHost: boolean): Http2Fault | undefined {
  const { method, scheme, authority, path, protocol, host, length } = parts;
  if (method === undefined || !isToken(method)) return malformed('no :method, or none that is a token');
  if (authority === undefined && host === undefined) return malformed('no :authority');
  if (!hasHost)
    return { fault: 'ambiguous', detail: 'an :authority or Host that is not one host with an optional port' };
  if (authority !== undefined && host !== undefined && !isSameAuthority(authority, host)) {
    return { fault: 'ambiguous', detail: 'a Host other than the :authority' };
  }
  if (method === 'CONNECT' && protocol === undefined) {
    return scheme === undefined && path === undefined ? undefined : malformed('a CONNECT with :scheme or :path');
  }
  if (protocol !== undefined && (method !== 'CONNECT' || !isToken(protocol))) return malformed('a wrong :protocol');
  if (protocol !== undefined && length !== undefined) return malformed('a CONNECT with Content-Length');
  if (scheme !== 'http' && scheme !== 'https') return malformed('no :scheme, or one of no web request');
  if (path === undefined || !isPath(path, method)) return malformed('no :path, or none that is a path');
  return undefined;
}

/** Written the same nearly always. */
function isSameAuthority(authority: string, host: string): boolean {
  if (authority === host) return true;
  const [one, other] = [parseAuthority(authority), parseAuthority(host)];
  return one !== undefined && one.host === other?.host && one.port === other.port;
}

function isPath(path: string, method: string): boolean {
  if (path === '*') return method === 'OPTIONS';
  if (path.charCodeAt(0) !== slash) return false;
  for (let at = 1; at < path.length; at++) if (targetBytes[path.charCodeAt(at)] !== 1) return false;
  return true;
}

function isToken(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (tokenBytes[text.charCodeAt(at)] !== 1) return false;
  return text.length > 0;
}

const slash = 0x2f;

function malformed(detail: string): Http2Fault {
  return { fault: 'malformed', detail };
}
