import type { BodyFraming, Header, ResponseHead } from '../core/http.ts';
import { connectionOptions, noConnectionOptions } from './http1-connection.ts';
import { type HeadFailure, headFailure } from './http1-fault.ts';
import { type FieldScan, knownFields } from './http1-fields.ts';
import { framingOf, noBody, untilClose, valueAt } from './http1-framing.ts';

/** A response head with what a relay needs to know beyond it. */
export interface ParsedResponse {
  readonly kind: 'parsed';
  readonly head: ResponseHead;
  /** Bytes of the head, empty line included. */
  readonly length: number;
  /** False when no further response comes on this connection (RFC 9112 section 9.3). */
  readonly persistent: boolean;
  /** The protocol switched to, of a 101; undefined otherwise. */
  readonly upgrade: string | undefined;
}

/** A response head cut into its parts. */
export interface ResponseParts {
  readonly status: number;
  readonly reason: string;
  readonly version: '1.0' | '1.1';
  readonly headers: readonly Header[];
  readonly length: number;
}

/** Judges a response head by what its parts mean, in the light of the request's method. */
export function responseOf(parts: ResponseParts, fields: FieldScan, method: string): ParsedResponse | HeadFailure {
  const { status, reason, version, headers, length } = parts;
  const connection = fields.has(knownFields.connection)
    ? connectionOptions(headers, fields.indexOf(knownFields.connection), fields.isRepeated(knownFields.connection))
    : noConnectionOptions;
  if (connection.fault !== '') return headFailure('origin', 'ambiguous', connection.fault);
  const body = framingOf(fields, headers, version);
  // RFC 9110 section 9.3.6: a client ignores the length fields of a successful answer to CONNECT.
  const isTunnel = method === 'CONNECT' && status >= 200 && status < 300;
  if (body.fault !== '' && !isTunnel) return headFailure('origin', 'ambiguous', body.fault);
  if (isBodiless(status) && announcesBody(body.framing)) {
    // RFC 9112 section 6.1 forbids it; a client that believes the fields takes the next response for this one's body.
    return headFailure('origin', 'ambiguous', 'a body announced in a response that has none');
  }
  const framing = isTunnel || method === 'HEAD' || hasNoBody(status) ? noBody : (body.framing ?? untilClose);
  const persistent = !connection.close && framing.kind !== 'until-close' && (version === '1.1' || connection.keepAlive);
  return {
    kind: 'parsed',
    head: { status, reason, version, headers, framing },
    length,
    persistent,
    upgrade: status === 101 && fields.has(knownFields.upgrade) ? protocolOf(headers, fields) : undefined,
  };
}

/** Interim responses and 204 may not even announce a body; 304 may, of what it does not send. */
function isBodiless(status: number): boolean {
  return status < 200 || status === 204;
}

function hasNoBody(status: number): boolean {
  return isBodiless(status) || status === 304;
}

/** `Content-Length: 0` in a 204 is as common as it is harmless. */
function announcesBody(framing: BodyFraming | undefined): boolean {
  return framing !== undefined && !(framing.kind === 'length' && framing.bytes === 0);
}

function protocolOf(headers: readonly Header[], fields: FieldScan): string {
  return valueAt(headers, fields.indexOf(knownFields.upgrade)).toLowerCase();
}
