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
  /** Fields with values that were seen before; only of names that hold no secret. */
  readonly fields: Map<string, Field>;
}

interface Field {
  /** The whole field as JSON, with a comma before it: a line of few long pieces is put together faster. */
  readonly text: string;
  /** The value alone as JSON. */
  readonly value: string;
}

/**
 * Names and most values of header fields come again in exchange after exchange: looking their JSON up by value takes a
 * third of the time of screening and quoting them anew. Emptied when full.
 */
const names = new Map<string, HeaderName>();
let cachedBytes = 0;
/** Longer values (policies, tokens) are seldom worth the memory. */
const cachedValueBytes = 512;

/** Writes the header fields of a message. */
export function headText(headers: readonly Header[]): HeadText {
  const roles: Record<NonNullable<Role>, string | undefined> = {
    'user-agent': undefined,
    referer: undefined,
    'content-type': undefined,
    'content-encoding': undefined,
  };
  let json = '';
  let isTruncated = false;
  for (const [name, value] of headers) {
    const known = names.get(name) ?? addName(name);
    const field = known.fields.get(value) ?? fieldOf(known, value);
    if (json.length + field.text.length > limits.recordHeadBytes) {
      isTruncated = true;
      break;
    }
    json += json === '' ? field.text.slice(1) : field.text;
    if (value.length > limits.recordHeaderValueBytes) isTruncated = true;
    if (known.role !== undefined) roles[known.role] = known.role === 'content-encoding' ? value : field.value;
  }
  return {
    json: `[${json}]`,
    userAgent: roles['user-agent'],
    referrer: roles.referer,
    contentType: roles['content-type'],
    coding: roles['content-encoding']?.toLowerCase() === 'identity' ? undefined : roles['content-encoding'],
    isTruncated,
  };
}

/** Remembers the text of the headers that were written last; headers are never changed, so the same array is the same text. */
export class HeadMemo {
  #headers: readonly Header[] | undefined;
  #text: HeadText | undefined;

  textOf(headers: readonly Header[]): HeadText {
    if (this.#text === undefined || headers !== this.#headers) {
      this.#text = headText(headers);
      this.#headers = headers;
    }
    return this.#text;
  }
}

/** Cuts a text that was masked already. */
export function cut(text: string, mostLength: number): string {
  return text.length <= mostLength ? text : `${text.slice(0, mostLength)}[${text.length - mostLength} more]`;
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
    fields: new Map(),
  };
  keep(names, own, entry, entry.prefix.length);
  return entry;
}

function fieldOf(name: HeaderName, value: string): Field {
  const json = JSON.stringify(cut(maskHeaderValue(name.mask, value), limits.recordHeaderValueBytes));
  const field = { text: `${name.prefix}${json}}`, value: json };
  if (name.mask === 'text' && value.length <= cachedValueBytes) {
    keep(name.fields, copyOf(value), field, field.text.length + json.length);
  }
  return field;
}

function keep<T>(cache: Map<string, T>, key: string, entry: T, bytes: number): void {
  cachedBytes += key.length + bytes;
  if (cachedBytes > limits.recordHeaderCacheBytes) {
    names.clear();
    cachedBytes = 0;
    return;
  }
  cache.set(key, entry);
}

/** A string of its own: one that was cut out of a head would keep all of that head in memory. */
function copyOf(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
