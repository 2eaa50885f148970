import type { BodyFraming, Header, RequestHead } from '../core/http.ts';
import { type Authority, parseAuthority } from './http1-authority.ts';
import { connectionOptions, noConnectionOptions } from './http1-connection.ts';
import { type HeadFailure, type Http1Fault, headFailure } from './http1-fault.ts';
import { type FieldScan, knownFields } from './http1-fields.ts';
import { framingOf, noBody, unsupportedCoding, valueAt } from './http1-framing.ts';
import { defaultPort, parseTarget, type RequestTarget } from './http1-target.ts';

/** A request head with what a relay needs to know beyond it. */
export interface ParsedRequest {
  readonly kind: 'parsed';
  readonly head: RequestHead;
  /** Bytes of the head, empty line included. */
  readonly length: number;
  readonly target: RequestTarget;
  /** False when the client wants no further exchange on this connection (RFC 9112 section 9.3). */
  readonly persistent: boolean;
  /** Value of the Upgrade field, lower case; undefined without one or in HTTP/1.0, where it means nothing. */
  readonly upgrade: string | undefined;
  /** Whether a line must be dropped before forwarding: an offer of HTTP/2 in the clear, which would escape inspection. */
  readonly offersHttp2: boolean;
}

/** A request head cut into its parts. */
export interface RequestParts {
  readonly method: string;
  readonly target: string;
  readonly version: '1.0' | '1.1';
  readonly headers: readonly Header[];
  readonly length: number;
}

/** Judges a request head by what its parts mean: target, Host, framing and connection options. */
export function requestOf(parts: RequestParts, fields: FieldScan): ParsedRequest | HeadFailure {
  const { method, target: written, version, headers, length } = parts;
  const target = parseTarget(method, written);
  if (target === undefined) return refusal('malformed', 'a request target of no form that fits the method');
  const hosted = hostOf(parts, target, fields);
  if (hosted.fault !== undefined) return refusal(hosted.fault, hosted.detail);
  const body = framingOf(fields, headers, version);
  if (body.fault !== '') return badFraming(body.fault);
  const framing = body.framing ?? noBody;
  if (method === 'CONNECT' && !isEmpty(framing)) return refusal('ambiguous', 'a CONNECT request with a body');
  const connection = fields.has(knownFields.connection)
    ? connectionOptions(headers, fields.indexOf(knownFields.connection), fields.isRepeated(knownFields.connection))
    : noConnectionOptions;
  if (connection.fault !== '') return refusal('ambiguous', connection.fault);
  const upgrade = version === '1.1' && fields.has(knownFields.upgrade) ? upgradeOf(headers) : undefined;
  return {
    kind: 'parsed',
    head: { method, target: written, version, host: hosted.host, headers, framing },
    length,
    target,
    persistent: !connection.close && (version === '1.1' || connection.keepAlive),
    upgrade,
    offersHttp2: fields.has(knownFields.http2Settings) || (upgrade !== undefined && offersHttp2(upgrade)),
  };
}

/** Whether a request without a body is complete with its head. */
function isEmpty(framing: BodyFraming): boolean {
  return framing.kind === 'none' || (framing.kind === 'length' && framing.bytes === 0);
}

interface HostReading {
  readonly host: string;
  readonly fault: Http1Fault | undefined;
  readonly detail: string;
}

/** Exactly one host, from the target or the Host field, which must not contradict each other (RFC 9112 section 3.2). */
function hostOf(parts: RequestParts, target: RequestTarget, fields: FieldScan): HostReading {
  if (fields.isRepeated(knownFields.host)) return badHost('ambiguous', 'more than one Host');
  if (!fields.has(knownFields.host)) return hostWithoutField(parts, target);
  const named = parseAuthority(valueAt(parts.headers, fields.indexOf(knownFields.host)));
  if (named === undefined) return badHost('ambiguous', 'a Host that is not one host with an optional port');
  if (target.form === 'absolute' && !isSame(named, target.scheme, target.host, target.port)) {
    return badHost('ambiguous', 'a Host other than that of the absolute request target');
  }
  const host = target.form === 'authority' ? target.authority.host : named.host;
  return { host, fault: undefined, detail: '' };
}

function hostWithoutField(parts: RequestParts, target: RequestTarget): HostReading {
  // Old tunnel clients send CONNECT without Host; its target leaves no doubt.
  if (target.form === 'authority') return { host: target.authority.host, fault: undefined, detail: '' };
  if (parts.version === '1.1') return badHost('malformed', 'no Host');
  return { host: target.form === 'absolute' ? target.host : '', fault: undefined, detail: '' };
}

function isSame(named: Authority, scheme: string, host: string, port: number | undefined): boolean {
  return named.host === host && (named.port ?? defaultPort(scheme)) === port;
}

function badHost(fault: Http1Fault, detail: string): HostReading {
  return { host: '', fault, detail };
}

/** RFC 9112 section 6.1 asks for 501 where a transfer coding is not understood. */
function badFraming(detail: string): HeadFailure {
  const failure = refusal('ambiguous', detail);
  return detail === unsupportedCoding ? { ...failure, status: 501 } : failure;
}

function refusal(fault: Http1Fault, detail: string): HeadFailure {
  return headFailure('client', fault, detail);
}

function upgradeOf(headers: readonly Header[]): string {
  const offered = headers.filter(([name]) => name.length === 7 && name.toLowerCase() === 'upgrade');
  return offered.map(([, value]) => value.toLowerCase()).join(',');
}

/** h2c is deprecated (RFC 9113 section 3.1) and a known way to smuggle past proxies. */
function offersHttp2(upgrade: string): boolean {
  return upgrade.split(',').some((protocol) => /^\s*h2/.test(protocol));
}
