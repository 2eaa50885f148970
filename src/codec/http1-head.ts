import { limits } from '../core/limits.ts';
import { cr, lf, partial, refused, space, targetBytes, tokenBytes, valueBytes } from './http1-bytes.ts';
import { type HeadFailure, type Http1Fault, headFailure } from './http1-fault.ts';
import { FieldScan } from './http1-fields.ts';
import { type ParsedRequest, requestOf } from './http1-request.ts';
import { type ParsedResponse, responseOf } from './http1-response.ts';
import type { SectionMemo } from './http1-section-memo.ts';

export type { ParsedRequest, ParsedResponse };

/** The bytes end before the head does. */
export interface PartialHead {
  readonly kind: 'partial';
}

/** Shared: each parse leaves its offsets in it, and is done with them when it returns. */
const fields = new FieldScan();
const partialHead: PartialHead = { kind: 'partial' };

/**
 * Parses one request head from `start`, strictly after RFC 9112; whatever two recipients might read differently is
 * refused. Never throws. A head that is refused for its syntax is refused as soon as the bytes show it. What `memo`
 * holds of the head before changes the time that this takes, never what it returns.
 */
export function parseRequestHead(
  bytes: Buffer,
  start: number,
  end: number,
  memo?: SectionMemo,
): ParsedRequest | PartialHead | HeadFailure {
  const fieldsAt = scanRequestLine(bytes, start, end);
  if (fieldsAt === refused) return headFailure('client', line.fault, line.detail);
  const known = fieldsAt === partial ? 0 : (memo?.recall(bytes, fieldsAt, end, fields) ?? 0);
  const after = known > 0 ? fieldsAt + known : fieldsAt === partial ? partial : fields.run(bytes, fieldsAt, end);
  if (after === refused) return headFailure('client', fields.fault, fields.detail);
  if ((after === partial ? end : after) - start > limits.httpHeadBytes) {
    return headFailure('client', 'too-large', 'a head beyond the limit');
  }
  if (after === partial) return partialHead;
  const text = bytes.toString('latin1', start, known > 0 ? fieldsAt : after);
  const method = text.slice(0, line.firstEnd - start);
  const target = text.slice(line.firstEnd - start + 1, line.secondEnd - start);
  const version = line.minor === 1 ? '1.1' : '1.0';
  const headers = known > 0 && memo !== undefined ? memo.headers : fields.headers(text, start);
  if (known === 0) memo?.keep(bytes, fieldsAt, after, fields, headers);
  return requestOf({ method, target, version, headers, length: after - start }, fields);
}

/**
 * Parses one response head from `start`, strictly. The framing depends on the method of the request that it answers
 * (RFC 9112 section 6.3). Never throws.
 */
export function parseResponseHead(
  bytes: Buffer,
  start: number,
  end: number,
  requestMethod: string,
  memo?: SectionMemo,
): ParsedResponse | PartialHead | HeadFailure {
  const fieldsAt = scanStatusLine(bytes, start, end);
  if (fieldsAt === refused) return headFailure('origin', line.fault, line.detail);
  const known = fieldsAt === partial ? 0 : (memo?.recall(bytes, fieldsAt, end, fields) ?? 0);
  const after = known > 0 ? fieldsAt + known : fieldsAt === partial ? partial : fields.run(bytes, fieldsAt, end);
  if (after === refused) return headFailure('origin', fields.fault, fields.detail);
  if ((after === partial ? end : after) - start > limits.httpHeadBytes) {
    return headFailure('origin', 'too-large', 'a head beyond the limit');
  }
  if (after === partial) return partialHead;
  const text = bytes.toString('latin1', start, known > 0 ? fieldsAt : after);
  const status = line.status;
  const reason = text.slice(line.firstEnd - start, line.secondEnd - start);
  const version = line.minor === 1 ? '1.1' : '1.0';
  const headers = known > 0 && memo !== undefined ? memo.headers : fields.headers(text, start);
  if (known === 0) memo?.keep(bytes, fieldsAt, after, fields, headers);
  return responseOf({ status, reason, version, headers, length: after - start }, fields, requestMethod);
}

/** Where the parts of the first line scanned last lie; shared like `fields`. */
const line = { firstEnd: 0, secondEnd: 0, minor: 1, status: 0, fault: 'malformed' as Http1Fault, detail: '' };

function refuseLine(fault: Http1Fault, detail: string): number {
  line.fault = fault;
  line.detail = detail;
  return refused;
}

/** A bare LF is a line end to some (RFC 9112 section 2.2), so what follows it has two readings. */
function refuseByte(byte: number | undefined, detail: string): number {
  return byte === lf ? refuseLine('ambiguous', 'a bare LF') : refuseLine('malformed', detail);
}

/** method SP request-target SP HTTP-version CRLF, with single spaces (RFC 9112 section 3). */
function scanRequestLine(bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && tokenBytes[bytes[at] as number] === 1) at++;
  if (at >= end) return partial;
  if (bytes[at] !== space || at === start) return refuseByte(bytes[at], 'a request line without a method');
  line.firstEnd = at++;
  const targetStart = at;
  while (at < end && targetBytes[bytes[at] as number] === 1) at++;
  if (at >= end) return partial;
  if (bytes[at] === cr && at > targetStart) return refuseLine('version', 'a request line without a version');
  if (bytes[at] !== space || at === targetStart) return refuseByte(bytes[at], 'an invalid request target');
  line.secondEnd = at++;
  return scanVersion(bytes, at, end);
}

function scanVersion(bytes: Buffer, start: number, end: number): number {
  const after = scanVersionName(bytes, start, end);
  if (after < 0) return after;
  if (after + 1 >= end) return after < end && bytes[after] !== cr ? badVersion(bytes[after]) : partial;
  return bytes[after] === cr && bytes[after + 1] === lf ? after + 2 : badVersion(bytes[after]);
}

const versionName = Buffer.from('HTTP/');
const zero = 0x30;
const nine = 0x39;
const dot = 0x2e;

/** `HTTP/1.0` or `HTTP/1.1`, case-sensitive. Returns the position after it. */
function scanVersionName(bytes: Buffer, start: number, end: number): number {
  for (let index = 0; index < versionName.length; index++) {
    if (start + index >= end) return partial;
    if (bytes[start + index] !== versionName[index]) return badVersion(bytes[start + index]);
  }
  const at = start + versionName.length;
  if (at + 2 >= end) return partial;
  const major = bytes[at] as number;
  const minor = bytes[at + 2] as number;
  if (major < zero || major > nine || bytes[at + 1] !== dot || minor < zero || minor > nine)
    return badVersion(undefined);
  line.minor = minor - zero;
  if (major !== zero + 1 || line.minor > 1) return refuseLine('version', 'an HTTP version other than 1.0 and 1.1');
  return at + 3;
}

function badVersion(byte: number | undefined): number {
  return refuseByte(byte, 'an invalid HTTP version, or a request target with blanks');
}

/** HTTP-version SP status-code SP [reason] CRLF (RFC 9112 section 4). */
function scanStatusLine(bytes: Buffer, start: number, end: number): number {
  const versionEnd = scanVersionName(bytes, start, end);
  if (versionEnd === refused) return refuseLine('malformed', 'an invalid status line');
  if (versionEnd === partial || versionEnd + 4 >= end) return partial;
  const status = digits(bytes, versionEnd + 1);
  if (bytes[versionEnd] !== space || status < 100) return refuseLine('malformed', 'an invalid status line');
  line.status = status;
  // Many origins leave the blank out together with the reason; nobody reads that differently.
  let at = versionEnd + 4;
  if (bytes[at] === space) at++;
  else if (bytes[at] !== cr) return refuseLine('malformed', 'an invalid status code');
  return scanReason(bytes, at, end);
}

function scanReason(bytes: Buffer, start: number, end: number): number {
  let at = start;
  line.firstEnd = start;
  while (at < end && valueBytes[bytes[at] as number] === 1) at++;
  line.secondEnd = at;
  if (at + 1 >= end) return at < end && bytes[at] !== cr ? badReason() : partial;
  return bytes[at] === cr && bytes[at + 1] === lf ? at + 2 : badReason();
}

function badReason(): number {
  return refuseLine('ambiguous', 'a control character, bare CR or bare LF in the status line');
}

/** Three digits as a number, -1 when they are not. */
function digits(bytes: Buffer, at: number): number {
  let value = 0;
  for (let index = at; index < at + 3; index++) {
    const byte = bytes[index] as number;
    if (byte < zero || byte > nine) return -1;
    value = value * 10 + byte - zero;
  }
  return value;
}
