import { limits } from '../core/limits.ts';
import { decodeHuffman } from './hpack-huffman.ts';
import { staticTable } from './hpack-static-table.ts';
import { HpackTable } from './hpack-table.ts';
import { Http2Field } from './http2-field.ts';

/** Size of a dynamic table before anything was said about it (RFC 9113 section 6.5.2). */
export const initialTableBytes = 4_096;
/** Larger numbers stand for nothing that could fit a header block. */
const mostInteger = 2 ** 28;

/**
 * Decodes the header blocks of one direction (RFC 7541), in order. What breaks the rules leaves the tables of both ends
 * different for good, so it is an error of the whole connection.
 */
export class HpackDecoder {
  readonly #table = new HpackTable(initialTableBytes);
  #mostTableBytes = initialTableBytes;
  #mustShrink = false;
  /** Why the last block could not be decoded; empty when it could. */
  fault = '';
  /** Whether fields of the last block were left out, since they are more than a message may have. */
  isTooLarge = false;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  get tableBytes(): number {
    return this.#table.bytes;
  }

  /** What the other end allows the table to grow to. When it is less than before, the next block has to begin by saying so. */
  allowTable(bytes: number): void {
    this.#mostTableBytes = bytes;
    if (bytes < this.#table.capacity) this.#mustShrink = true;
  }

  /** Decodes a whole block. On a fault the fields mean nothing. */
  decode(bytes: Buffer, from: number, to: number): readonly Http2Field[] {
    this.#bytes = bytes;
    this.#at = from;
    this.#end = to;
    this.fault = '';
    this.isTooLarge = false;
    const fields: Http2Field[] = [];
    let listBytes = 0;
    this.#resizeTable();
    while (this.#at < to && this.fault === '') {
      const field = this.#field();
      if (field === undefined) break;
      listBytes += field.bytes;
      // Decoding goes on, as it changes the table, which the blocks behind rest on; nothing is kept of it.
      if (listBytes > limits.httpHeadBytes || fields.length >= limits.httpHeaderCount) this.isTooLarge = true;
      else fields.push(field);
    }
    this.#bytes = empty;
    return fields;
  }

  /** Changes of the table's size, which stand only at the begin of a block (RFC 7541 section 4.2). */
  #resizeTable(): void {
    while (this.#at < this.#end && ((this.#bytes[this.#at] as number) & 0xe0) === 0x20) {
      const capacity = this.#integer(0x1f);
      if (this.fault !== '') return;
      if (capacity > this.#mostTableBytes) {
        this.#fail('a table larger than allowed');
        return;
      }
      this.#table.resize(capacity);
      this.#mustShrink = false;
    }
    if (this.#mustShrink) this.#fail('no table size update after the limit was lowered');
  }

  #field(): Http2Field | undefined {
    const first = this.#bytes[this.#at] as number;
    if ((first & 0x80) !== 0) return this.#entry(this.#integer(0x7f));
    if ((first & 0x40) !== 0) {
      const field = this.#literal(0x3f, false);
      if (field !== undefined) this.#table.add(field);
      return field;
    }
    if ((first & 0x20) !== 0) return this.#fail('a table size update behind a field');
    return this.#literal(0x0f, (first & 0x10) !== 0);
  }

  #literal(prefix: number, isSensitive: boolean): Http2Field | undefined {
    const index = this.#integer(prefix);
    if (this.fault !== '') return undefined;
    const name = index === 0 ? this.#string() : this.#entry(index)?.name;
    const value = this.#string();
    return name === undefined || value === undefined ? undefined : new Http2Field(name, value, isSensitive);
  }

  #entry(index: number): Http2Field | undefined {
    if (this.fault !== '') return undefined;
    const field = index < staticTable.length ? staticTable[index] : this.#table.at(index - staticTable.length);
    return field === undefined || index === 0 ? this.#fail('an index that no table has') : field;
  }

  #string(): string | undefined {
    if (this.fault !== '') return undefined;
    const isHuffman = ((this.#bytes[this.#at] ?? 0) & 0x80) !== 0;
    const length = this.#integer(0x7f);
    if (this.fault !== '') return undefined;
    const from = this.#at;
    const to = from + length;
    if (to > this.#end) return this.#fail('a string beyond the end of the block');
    this.#at = to;
    if (!isHuffman) return this.#bytes.toString('latin1', from, to);
    return decodeHuffman(this.#bytes, from, to) ?? this.#fail('a string with wrong Huffman code or padding');
  }

  /** RFC 7541 section 5.1. */
  #integer(prefix: number): number {
    const bytes = this.#bytes;
    if (this.#at >= this.#end) {
      this.#fail('a number beyond the end of the block');
      return 0;
    }
    let value = (bytes[this.#at++] as number) & prefix;
    if (value < prefix) return value;
    for (let scale = 1; ; scale *= 128) {
      if (this.#at >= this.#end) break;
      const byte = bytes[this.#at++] as number;
      value += (byte & 0x7f) * scale;
      // The scale bounds what zeros may prolong a number by.
      if (value > mostInteger || scale > mostInteger) break;
      if ((byte & 0x80) === 0) return value;
    }
    this.#fail('a number that is too large or has no end');
    return 0;
  }

  #fail(fault: string): undefined {
    if (this.fault === '') this.fault = fault;
    return undefined;
  }
}

const empty = Buffer.alloc(0);
