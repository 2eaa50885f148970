import type { BodyFraming, Header } from '../core/http.ts';
import { type FieldScan, knownFields } from './http1-fields.ts';

/** Shared, so that the two commonest framings cost no allocation. */
export const noBody: BodyFraming = { kind: 'none' };
const chunked: BodyFraming = { kind: 'chunked' };
export const untilClose: BodyFraming = { kind: 'until-close' };

/** What the length fields of a message say; `fault` tells why they are refused. */
export interface LengthFields {
  readonly framing: BodyFraming | undefined;
  readonly fault: string;
}

/**
 * Framing by Content-Length and Transfer-Encoding (RFC 9112 sections 6.1 to 6.3). Stricter than the RFC: what it lets a
 * recipient repair (equal lengths, a list, both fields) is refused, since the next hop may repair it otherwise.
 */
export function framingOf(fields: FieldScan, headers: readonly Header[], version: '1.0' | '1.1'): LengthFields {
  const hasLength = fields.has(knownFields.contentLength);
  const hasCoding = fields.has(knownFields.transferEncoding);
  if (!hasLength && !hasCoding) return withoutLength;
  if (hasLength && hasCoding) return refusal('Content-Length beside Transfer-Encoding');
  if (hasCoding) return codingFraming(fields, headers, version);
  if (fields.isRepeated(knownFields.contentLength)) return refusal('more than one Content-Length');
  const bytes = parseLength(valueAt(headers, fields.indexOf(knownFields.contentLength)));
  if (bytes === undefined) return refusal('a Content-Length that is not a plain number');
  return { framing: { kind: 'length', bytes }, fault: '' };
}

/** The value of the header at an index that the scan gave. */
export function valueAt(headers: readonly Header[], index: number): string {
  return headers[index]?.[1] ?? '';
}

/** Detail of the refusal of a coding other than `chunked`: the one that HTTP answers with 501. */
export const unsupportedCoding = 'a Transfer-Encoding other than chunked';

function codingFraming(fields: FieldScan, headers: readonly Header[], version: '1.0' | '1.1'): LengthFields {
  if (fields.isRepeated(knownFields.transferEncoding)) return refusal('more than one Transfer-Encoding');
  // RFC 9112 section 6.1: framing of an HTTP/1.0 message with Transfer-Encoding is faulty.
  if (version === '1.0') return refusal('Transfer-Encoding in HTTP/1.0');
  const coding = valueAt(headers, fields.indexOf(knownFields.transferEncoding));
  if (coding !== 'chunked' && coding.toLowerCase() !== 'chunked') return refusal(unsupportedCoding);
  return chunkedBody;
}

const withoutLength: LengthFields = { framing: undefined, fault: '' };
const chunkedBody: LengthFields = { framing: chunked, fault: '' };

function refusal(fault: string): LengthFields {
  return { framing: undefined, fault };
}

/** Digits alone, no leading zero (some read it as octal), and exact as a number. A loop: this is on the way of every body. */
export function parseLength(text: string): number | undefined {
  const digits = text.length;
  if (digits === 0 || digits > 16 || (digits > 1 && text.charCodeAt(0) === zero)) return undefined;
  let bytes = 0;
  for (let at = 0; at < digits; at++) {
    const digit = text.charCodeAt(at) - zero;
    if (digit < 0 || digit > 9) return undefined;
    bytes = bytes * 10 + digit;
  }
  return bytes <= Number.MAX_SAFE_INTEGER ? bytes : undefined;
}

const zero = 0x30;
