import { contextConstructed, contextPrimitive, tags } from './der-tags.ts';

/** One DER value from its tag and the parts of its content. */
export function value(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Uint8Array.of(tag), encodeLength(length), ...parts]);
}

/** SEQUENCE of values that are encoded already. */
export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return value(tags.sequence, ...parts);
}

/** SET OF, its members in the order that DER demands (X.690 section 11.6). */
export function setOf(...parts: readonly Uint8Array[]): Buffer {
  return value(tags.set, ...[...parts].sort(Buffer.compare));
}

/** INTEGER of a small number that is not negative. */
export function integer(number: number): Buffer {
  return unsignedInteger(
    Buffer.from(
      number
        .toString(16)
        .padStart(2, '0')
        .replace(/^(?=(?:..)*.$)/, '0'),
      'hex',
    ),
  );
}

/** INTEGER from big-endian octets that are taken as not negative. */
export function unsignedInteger(octets: Uint8Array): Buffer {
  let start = 0;
  while (start < octets.length - 1 && octets[start] === 0) start++;
  const minimal = octets.subarray(start);
  const needsSign = (minimal[0] ?? 0) >= 0x80 || minimal.length === 0;
  return value(tags.integer, needsSign ? Uint8Array.of(0) : new Uint8Array(), minimal);
}

/** OBJECT IDENTIFIER from dotted text. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return value(tags.oid, Buffer.from([first * 40 + second, ...rest].flatMap(base128)));
}

/** BOOLEAN. */
export function boolean(truth: boolean): Buffer {
  return value(tags.boolean, Uint8Array.of(truth ? 0xff : 0));
}

/** NULL. */
export function nothing(): Buffer {
  return value(tags.null);
}

/** OCTET STRING. */
export function octetString(...parts: readonly Uint8Array[]): Buffer {
  return value(tags.octetString, ...parts);
}

/** BIT STRING that fills whole octets. */
export function octetBits(octets: Uint8Array): Buffer {
  return value(tags.bitString, Uint8Array.of(0), octets);
}

/** Named-bit BIT STRING without trailing zero bits (X.690 section 11.2.2), for bits 0 to 7. */
export function namedBits(...bits: readonly number[]): Buffer {
  if (bits.length === 0) return value(tags.bitString, Uint8Array.of(0));
  const octet = bits.reduce((sum, bit) => sum | (0x80 >> bit), 0);
  return value(tags.bitString, Uint8Array.of(7 - Math.max(...bits), octet));
}

/** UTF8String. */
export function utf8String(text: string): Buffer {
  return value(tags.utf8String, Buffer.from(text, 'utf8'));
}

/** Time of a validity: UTCTime until 2049, GeneralizedTime from 2050 (RFC 5280 section 4.1.2.5). Fractions are cut off. */
export function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '');
  const year = new Date(ms).getUTCFullYear();
  if (year >= 1950 && year < 2050) return value(tags.utcTime, Buffer.from(text.slice(2), 'latin1'));
  return value(tags.generalizedTime, Buffer.from(text, 'latin1'));
}

/** EXPLICIT context tag around values. */
export function explicit(number: number, ...parts: readonly Uint8Array[]): Buffer {
  return value(contextConstructed(number), ...parts);
}

/** IMPLICIT context tag on a primitive's content. */
export function implicit(number: number, content: Uint8Array): Buffer {
  return value(contextPrimitive(number), content);
}

function encodeLength(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  if (length < 0x100) return Uint8Array.of(0x81, length);
  if (length < 0x10000) return Uint8Array.of(0x82, length >> 8, length & 0xff);
  return Uint8Array.of(0x83, length >> 16, (length >> 8) & 0xff, length & 0xff);
}

function base128(arc: number): number[] {
  const octets = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) octets.unshift((rest % 128) | 0x80);
  return octets;
}
