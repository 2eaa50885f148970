import type { Header } from '../core/http.ts';
import { limits } from '../core/limits.ts';
import { type HeaderMask, headerMaskOf, maskHeaderValue } from './redact.ts';

/** The header fields of one message as JSON, masked, and the fields that a record names on their own. */
export interface HeadText {
  /** Array of objects with name and value. */
  readonly json: string;
  /** JSON strings. */
  readonly userAgent: string | undefined;
  readonly referrer: string | undefined;
  readonly contentType: string | undefined;
  /** Content coding other than `identity`, as sent. */
  readonly coding: string | undefined;
  /** Fields were left out or cut. */
  readonly isTruncated: boolean;
}

type Role = 'user-agent' | 'referer' | 'content-type' | 'content-encoding' | undefined;

interface HeaderName {
  /** `,{"name":"…","value":` */
  readonly prefix: string;
  readonly mask: HeaderMask;
  readonly role: Role;
}

interface Field {
  readonly name: HeaderName;
  /** The whole field as JSON, with a comma before it: a line of few long pieces is put together faster. */
  readonly text: string;
  /** The value alone as JSON. */
  readonly value: string;
}

/** Names come again in exchange after exchange. Emptied when full. */
const names = new Map<string, HeaderName>();
let cachedBytes = 0;

/** Writes the header fields of a message. */
export function headText(headers: readonly Header[]): HeadText {
  return new HeadMemo().textOf(headers);
}

/**
 * The headers of the message that was written last: the next of a connection has mostly the same fields in the same
 * places, and headers are never changed, so that the same array is the same text.
 */
export class HeadMemo {
  #headers: readonly Header[] = [];
  #fields: readonly Field[] = [];
  #text: HeadText | undefined;

  textOf(headers: readonly Header[]): HeadText {
    if (this.#text !== undefined && headers === this.#headers) return this.#text;
    const [before, known] = [this.#headers, this.#fields];
    const fields: Field[] = [];
    let [kept, written] = [0, 0];
    for (let index = 0; index < headers.length; index += 1) {
      const header = headers[index];
      if (header === undefined) break;
      const [last, field] = [before[index], known[index]];
      if (last === undefined || field === undefined || last[0] !== header[0]) fields.push(fieldOf(header));
      else fields.push(last[1] === header[1] ? field : fieldWith(field.name, header[1]));
      kept += header[0].length + header[1].length;
      written += fields[index]?.text.length ?? 0;
      // The record has no room for what follows; the comma before the first field is not in it.
      if (written - 1 > limits.recordHeadBytes) break;
    }
    const text = joined(headers, fields);
    // Connections are many, and their idle ones would keep what a hostile peer sent once.
    const isKept = kept <= limits.recordHeadMemoBytes;
    this.#headers = isKept ? headers : none;
    this.#fields = isKept ? fields : none;
    this.#text = isKept ? text : undefined;
    return text;
  }
}

const none: readonly never[] = [];

function joined(headers: readonly Header[], fields: readonly Field[]): HeadText {
  let json = '';
  let isTruncated = false;
  let userAgent: string | undefined;
  let referrer: string | undefined;
  let contentType: string | undefined;
  let coding: string | undefined;
  for (let index = 0; index < fields.length; index += 1) {
    const field = fields[index];
    const value = headers[index]?.[1];
    if (field === undefined || value === undefined) break;
    if (json.length + field.text.length > limits.recordHeadBytes) {
      isTruncated = true;
      break;
    }
    json += json === '' ? field.text.slice(1) : field.text;
    if (value.length > limits.recordHeaderValueBytes) isTruncated = true;
    if (field.name.role === undefined) continue;
    if (field.name.role === 'user-agent') userAgent = field.value;
    else if (field.name.role === 'referer') referrer = field.value;
    else if (field.name.role === 'content-type') contentType = field.value;
    else coding = value;
  }
  return {
    json: `[${json}]`,
    userAgent,
    referrer,
    contentType,
    coding: coding?.toLowerCase() === 'identity' ? undefined : coding,
    isTruncated,
  };
}

/** Cuts a text that was masked already. */
export function cut(text: string, mostLength: number): string {
  return text.length <= mostLength ? text : `${text.slice(0, mostLength)}[${text.length - mostLength} more]`;
}

function fieldOf([name, value]: Header): Field {
  return fieldWith(names.get(name) ?? addName(name), value);
}

function fieldWith(name: HeaderName, value: string): Field {
  const json = JSON.stringify(cut(maskHeaderValue(name.mask, value), limits.recordHeaderValueBytes));
  return { name, text: `${name.prefix}${json}}`, value: json };
}

function addName(name: string): HeaderName {
  const own = copyOf(name);
  const lower = own.toLowerCase();
  const entry: HeaderName = {
    prefix: `,{"name":${JSON.stringify(cut(own, limits.recordDetailBytes))},"value":`,
    mask: headerMaskOf(lower),
    role:
      lower === 'user-agent' || lower === 'referer' || lower === 'content-type' || lower === 'content-encoding'
        ? lower
        : undefined,
  };
  cachedBytes += own.length + entry.prefix.length;
  if (cachedBytes > limits.recordHeaderCacheBytes) {
    names.clear();
    cachedBytes = 0;
  } else names.set(own, entry);
  return entry;
}

/** A string of its own: one that was cut out of a head would keep all of that head in memory. */
function copyOf(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
