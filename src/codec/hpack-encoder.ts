import { limits } from '../core/limits.ts';
import { staticNames } from './hpack-static-table.ts';
import type { Http2Field } from './http2-field.ts';

/** Every list of fields fits: a field takes less space than the size that counts against the limit of its head. */
const scratch = Buffer.allocUnsafe(limits.httpHeadBytes + 1_024);
/** RFC 7541 section 6.3 with a size of 0: no entry was ever made, and none will be. */
const emptyTable = 0x20;

/**
 * Writes a header block that rests on nothing sent before it and leaves nothing behind, so that any message can be
 * dropped or changed without touching the next. `tellsTable` begins the block by giving the dynamic table up. The block is a
 * view on bytes that the next call writes over: it is copied into its frame at once.
 */
export function encodeFields(fields: readonly Http2Field[], tellsTable: boolean): Buffer {
  let at = 0;
  if (tellsTable) scratch[at++] = emptyTable;
  for (const field of fields) {
    if (field.written !== undefined) {
      scratch.set(field.written, at);
      at += field.written.length;
      continue;
    }
    const from = at;
    at = writeField(field, at);
    if (field.isStored) field.written = Buffer.from(scratch.subarray(from, at));
  }
  return scratch.subarray(0, at);
}

function writeField(field: Http2Field, start: number): number {
  if (field.staticIndex > 0) {
    scratch[start] = 0x80 | field.staticIndex;
    return start + 1;
  }
  const index = staticNames.get(field.name) ?? 0;
  const at = writeInteger(start, field.isSensitive ? 0x10 : 0, 0x0f, index);
  return writeString(index === 0 ? writeString(at, field.name) : at, field.value);
}

/** Without Huffman code: it would save a quarter of a head, and cost more than all else that is done to it. */
function writeString(start: number, text: string): number {
  const at = writeInteger(start, 0, 0x7f, text.length);
  return at + scratch.write(text, at, 'latin1');
}

function writeInteger(start: number, flags: number, prefix: number, value: number): number {
  if (value < prefix) {
    scratch[start] = flags | value;
    return start + 1;
  }
  let at = start;
  scratch[at++] = flags | prefix;
  let rest = value - prefix;
  while (rest >= 0x80) {
    scratch[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  scratch[at++] = rest;
  return at;
}
