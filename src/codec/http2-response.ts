import type { BodyFraming, Header, ResponseHead } from '../core/http.ts';
import { noBody, parseLength, untilClose } from './http1-framing.ts';
import type { Http2Fault } from './http2-fault.ts';
import type { Http2Field } from './http2-field.ts';

/** A response as its header block tells it. */
export interface Http2Response {
  readonly head: ResponseHead;
  readonly fault: Http2Fault | undefined;
}

/** Trailers of either message. */
export interface Http2Trailers {
  readonly headers: readonly Header[];
  readonly fault: Http2Fault | undefined;
}

/** Judges a response by RFC 9113 section 8.3.2. `method` is that of its request: it decides whether there is a body. */
export function responseOfFields(fields: readonly Http2Field[], method: string, endsStream: boolean): Http2Response {
  const headers: Header[] = [];
  let fault: Http2Fault | undefined;
  let status: string | undefined;
  let length: string | undefined;
  for (const field of fields) {
    if (field.role === 'bad') fault ??= malformed(field.fault);
    if (field.role === ':status') {
      if (status !== undefined || headers.length > 0)
        fault ??= malformed('a :status that is not the first, or the second');
      status = field.value;
    } else if (field.isPseudo) fault ??= malformed('a pseudo-header of requests in a response');
    else {
      if (field.role === 'content-length') {
        if (length !== undefined) fault ??= { fault: 'ambiguous', detail: 'more than one Content-Length' };
        length = field.value;
      }
      headers.push(field.header);
    }
  }
  const code = statusOf(status);
  const framing = framingOf(length, code, method, endsStream);
  fault ??= faultOf(code, framing, endsStream);
  return { head: { status: code, reason: '', version: '2', headers, framing: framing ?? untilClose }, fault };
}

/**
 * Judges trailers: no pseudo-headers (RFC 9113 section 8.1), and nothing that a recipient, or the HTTP/1.1 hop behind it,
 * may merge into the head where it would change how the message is read.
 */
export function trailersOfFields(fields: readonly Http2Field[]): Http2Trailers {
  let fault: Http2Fault | undefined;
  for (const field of fields) {
    if (field.role === 'bad') fault ??= malformed(field.fault);
    else if (field.isPseudo) fault ??= malformed('a pseudo-header in trailers');
    else if (notTrailers.has(field.name)) fault ??= malformed('a trailer that frames or routes the message');
  }
  return { headers: fields.map(({ header }) => header), fault };
}

function statusOf(status: string | undefined): number {
  return status !== undefined && /^[1-9][0-9]{2}$/.test(status) ? Number(status) : 0;
}

/** Without a body the length tells only what it would be (RFC 9110 section 8.6). */
function framingOf(
  length: string | undefined,
  status: number,
  method: string,
  endsStream: boolean,
): BodyFraming | undefined {
  const bytes = length === undefined ? undefined : parseLength(length);
  if (length !== undefined && bytes === undefined) return undefined;
  if (method === 'HEAD' || status === 304 || status === 204 || status < 200) return noBody;
  // Behind it there is a tunnel (RFC 9110 section 9.3.6).
  if (method === 'CONNECT' && status < 300) return noBody;
  if (bytes !== undefined) return { kind: 'length', bytes };
  return endsStream ? noBody : untilClose;
}

function faultOf(status: number, framing: BodyFraming | undefined, endsStream: boolean): Http2Fault | undefined {
  if (status === 0) return malformed('no :status, or none of three digits');
  // RFC 9113 section 8.6.
  if (status === 101) return malformed('a 101 response');
  if (status < 200 && endsStream) return malformed('an interim response that ends the stream');
  if (framing === undefined) return { fault: 'ambiguous', detail: 'a Content-Length that is not a plain number' };
  return endsStream && framing.kind === 'length' && framing.bytes > 0
    ? malformed('a Content-Length other than the body')
    : undefined;
}

/** As in HTTP/1.1, but for those that no HTTP/2 message may hold. */
const notTrailers: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'expect',
  'te',
  'trailer',
  'proxy-authorization',
]);

function malformed(detail: string): Http2Fault {
  return { fault: 'malformed', detail };
}
