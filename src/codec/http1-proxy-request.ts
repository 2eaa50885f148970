import type { Destination } from '../core/endpoint.ts';
import type { Header } from '../core/http.ts';
import { destinationOf } from './http1-authority.ts';
import { partial } from './http1-bytes.ts';
import type { HeadFailure } from './http1-fault.ts';
import { type ParsedRequest, type PartialHead, parseRequestHead } from './http1-head.ts';
import { findHeadEnd } from './http1-section.ts';

/** User name and password that a client gives to the proxy. */
export interface ProxyCredentials {
  readonly user: string;
  readonly password: string;
}

/** What the first request of a client asks of the proxy. */
export type ProxyRequest =
  | { readonly kind: 'connect'; readonly destination: Destination; readonly credentials: ProxyCredentials | undefined }
  | { readonly kind: 'absolute'; readonly credentials: ProxyCredentials | undefined };

export interface ParsedProxyRequest {
  readonly kind: 'parsed';
  readonly request: ProxyRequest;
  /** Bytes of the request head. */
  readonly consumed: number;
}

/** Parses the first request of a growing prefix. The head of a request in absolute form stays to be relayed. */
export function parseProxyRequest(bytes: Buffer): ParsedProxyRequest | PartialHead | HeadFailure {
  // A long head that is still incomplete is not parsed again with each of its pieces.
  if (bytes.length > shortHeadBytes && findHeadEnd(bytes) === partial) return { kind: 'partial' };
  const parsed = parseRequestHead(bytes, 0, bytes.length);
  if (parsed.kind !== 'parsed') return parsed;
  const request = proxyRequestOf(parsed);
  return 'code' in request ? request : { kind: 'parsed', request, consumed: parsed.length };
}

/**
 * The Basic credentials of a proxy request (RFC 7617). Undefined when there are none, several, or they cannot be read.
 */
export function proxyCredentials(headers: readonly Header[]): ProxyCredentials | undefined {
  const given = headers.filter(([name]) => name.length === 19 && name.toLowerCase() === 'proxy-authorization');
  const [only] = given;
  if (only === undefined || given.length > 1) return undefined;
  const token = basicPattern.exec(only[1])?.[1];
  return token === undefined ? undefined : decode(token);
}

/** Why a request in this form cannot be proxied; undefined when it can. */
export function proxyTargetFailure({ target }: ParsedRequest): HeadFailure | undefined {
  switch (target.form) {
    case 'origin':
    case 'asterisk':
      return refusal('a request to the proxy whose target names no host');
    case 'authority':
      return undefined;
    case 'absolute':
      if (target.scheme === 'https') return refusal('an https target outside of a CONNECT tunnel');
      return target.scheme === 'http' ? undefined : refusal('a request target of a scheme other than http');
  }
}

const shortHeadBytes = 4_096;
const basicPattern = /^basic +([a-z0-9+/]+={0,2})$/i;

function proxyRequestOf(parsed: ParsedRequest): ProxyRequest | HeadFailure {
  const failure = proxyTargetFailure(parsed);
  if (failure !== undefined) return failure;
  const credentials = proxyCredentials(parsed.head.headers);
  if (parsed.target.form !== 'authority') return { kind: 'absolute', credentials };
  const { host, port } = parsed.target.authority;
  return { kind: 'connect', destination: destinationOf(host, port), credentials };
}

function refusal(detail: string): HeadFailure {
  return { kind: 'failed', code: 'CLIENT_PROXY_REQUEST_INVALID', detail };
}

function decode(token: string): ProxyCredentials | undefined {
  const text = Buffer.from(token, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) return undefined;
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
