import type { Header, RequestHead, ResponseHead } from '../core/http.ts';
import type { AssetKind } from '../core/policy.ts';
import type { FileFact, RuleField } from '../core/rule-document.ts';
import type { Side } from '../core/side.ts';
import type { MessageType } from '../core/websocket.ts';
import { byteText } from './byte-text.ts';
import { pathOf, queryOf } from './request-target.ts';

/** What is known before the first byte of a transaction. */
export interface TransactionContext {
  readonly assetId: string | undefined;
  readonly assetKind: AssetKind | undefined;
  readonly clientIp: string;
  readonly originIp: string | undefined;
  readonly originPort: number | undefined;
  readonly sni: string | undefined;
  /** The WebSocket message that is judged, where it is one. */
  readonly message?: { readonly from: Side; readonly type: MessageType };
}

/** What is known of a transaction so far. */
export interface TransactionHeads {
  readonly context: TransactionContext;
  request: RequestHead | undefined;
  response: ResponseHead | undefined;
}

/** When a field becomes known. */
export type FieldOrigin = 'context' | 'request-head' | 'request-body' | 'response-head' | 'response-body';

/** The kinds of fields, by what may be asked of them. */
export type FieldKind = 'text' | 'host' | 'address' | 'number' | 'body';

/** What a field that becomes known while a body passes belongs to. */
export interface FoundField {
  readonly message: 'request' | 'response';
  /** Of a form or a trailer: its name says which value. */
  readonly kind: 'part' | 'form' | 'trailer' | FileFact;
}

/** A field that is whole at once: its values, none when it is absent. Text is one character per byte. */
export interface FieldReader {
  readonly origin: Exclude<FieldOrigin, 'request-body' | 'response-body'>;
  read(heads: TransactionHeads): readonly string[];
}

const plainFields = {
  'http.request.line': 'text',
  'http.method': 'text',
  'http.host': 'host',
  'http.path': 'text',
  'http.query': 'text',
  'http.request.headers': 'text',
  'http.request.trailers': 'text',
  'http.request.body': 'body',
  'http.request.part.name': 'text',
  'http.request.file.name': 'text',
  'http.request.file.type': 'text',
  'http.request.file.declared': 'text',
  'http.request.file.sha256': 'text',
  'http.request.file.size': 'number',
  'http.request.file.member': 'text',
  'http.request.file.member.type': 'text',
  'http.request.file.archive': 'text',
  'http.response.status': 'number',
  'http.response.headers': 'text',
  'http.response.trailers': 'text',
  'http.response.body': 'body',
  'http.response.file.name': 'text',
  'http.response.file.type': 'text',
  'http.response.file.declared': 'text',
  'http.response.file.sha256': 'text',
  'http.response.file.size': 'number',
  'http.response.file.member': 'text',
  'http.response.file.member.type': 'text',
  'http.response.file.archive': 'text',
  'asset.id': 'text',
  'asset.kind': 'text',
  'client.ip': 'address',
  'origin.ip': 'address',
  'origin.port': 'number',
  'tls.sni': 'host',
  'websocket.message': 'body',
  'websocket.from': 'text',
  'websocket.type': 'text',
  'mail.helo': 'text',
  'mail.auth.mechanism': 'text',
  'mail.auth.identity': 'text',
  'mail.from': 'text',
  'mail.to': 'text',
  'mail.recipients': 'number',
  'mail.subject': 'text',
  'mail.headers': 'text',
  'mail.part.type': 'text',
  'mail.part.body': 'body',
  'mail.attachment.name': 'text',
  'mail.attachment.type': 'text',
  'mail.attachment.declared': 'text',
  'mail.attachment.sha256': 'text',
  'mail.attachment.size': 'number',
  'mail.attachment.member': 'text',
  'mail.attachment.member.type': 'text',
  'mail.attachment.archive': 'text',
  'mail.size': 'number',
  'ftp.command': 'text',
  'ftp.direction': 'text',
  'ftp.path': 'text',
  'ftp.user': 'text',
  'ftp.body': 'body',
  'ftp.file.name': 'text',
  'ftp.file.type': 'text',
  'ftp.file.sha256': 'text',
  'ftp.file.size': 'number',
  'ftp.file.member': 'text',
  'ftp.file.member.type': 'text',
  'ftp.file.archive': 'text',
} as const satisfies Record<Exclude<RuleField, `${string}.${'header' | 'trailer' | 'form'}.${string}`>, FieldKind>;

type PlainField = keyof typeof plainFields;

/** Names of all fields that carry no header name. */
export const plainFieldNames = Object.keys(plainFields);

/** One header of a message (RFC 9110 section 5.1: tokens). */
const headerField = /^http\.(request|response)\.header\.([!#$%&'*+.^_`|~0-9A-Za-z-]+)$/;

/** One field of the trailers of a message. */
const trailerField = /^http\.(?:request|response)\.trailer\.([!#$%&'*+.^_`|~0-9A-Za-z-]+)$/;
/** The value of one field of a form. Names are what a form calls them. */
const formField = /^http\.request\.form\.([\x21-\x7e]{1,100})$/;
/** One header of a mail (RFC 5322 section 2.2: printable characters without the colon). */
const mailHeaderField = /^mail\.header\.([!-9;-~]+)$/;
const namedFields = [headerField, trailerField, formField, mailHeaderField];
/** All that is known of a mail or of an FTP transfer turns up as it passes. */
const passingField = /^(?:mail|ftp)\.(?!part\.body$|body$)(?:(?:attachment|file)\.(.+)|.+)$/;
const foundField = /^http\.(request|response)\.(?:(part|form)\.|(trailer)|file\.(.+))/;

/** How a field is found that becomes known while a body passes or behind it; undefined for all others. */
export function foundFieldOf(field: string): FoundField | undefined {
  const [, message, kind, trailer, fact] = foundField.exec(field) ?? [];
  if (message === undefined) {
    const [isPassing, fileFact] = passingField.exec(field) ?? [];
    return isPassing === undefined
      ? undefined
      : { message: 'request', kind: (fileFact ?? 'part') as FoundField['kind'] };
  }
  return { message: message as FoundField['message'], kind: (kind ?? trailer ?? fact) as FoundField['kind'] };
}

/** What may be asked of a field; undefined when there is no such field. */
export function fieldKind(field: string): FieldKind | undefined {
  if (Object.hasOwn(plainFields, field)) return plainFields[field as PlainField];
  return namedFields.some((named) => named.test(field)) ? 'text' : undefined;
}

/** Makes what takes the values of a trailer field from trailers. */
export function trailerReader(field: string): (trailers: readonly Header[]) => readonly string[] {
  const name = trailerField.exec(field)?.[1]?.toLowerCase();
  if (name !== undefined) return (trailers) => headerValues(trailers, name);
  return (trailers) => (trailers.length === 0 ? absent : [headerText(trailers)]);
}

/** Makes the reader of a field that is not a body. Throws on an unknown field. */
export function fieldReader(field: RuleField): FieldReader {
  const [, message, name] = headerField.exec(field) ?? [];
  if (name !== undefined) return headerReader(message === 'request' ? 'request' : 'response', name.toLowerCase());
  const reader = readers[field as PlainField];
  if (reader === undefined) throw new RangeError(`not a field that can be read: ${field}`);
  return reader;
}

const absent: readonly string[] = [];

const readers: Readonly<Partial<Record<PlainField, FieldReader>>> = {
  'http.request.line': ofRequest(({ method, target, version }) => `${method} ${target} HTTP/${version}`),
  'http.method': ofRequest((head) => head.method),
  'http.host': ofRequest((head) => (head.host === '' ? undefined : head.host)),
  'http.path': ofRequest((head) => pathOf(head.target)),
  'http.query': ofRequest((head) => queryOf(head.target)),
  'http.request.headers': ofRequest((head) => headerText(head.headers)),
  'http.response.status': ofResponse((head) => String(head.status)),
  'http.response.headers': ofResponse((head) => headerText(head.headers)),
  'asset.id': ofContext(({ assetId }) => (assetId === undefined ? undefined : byteText(assetId))),
  'asset.kind': ofContext((context) => context.assetKind),
  'client.ip': ofContext((context) => context.clientIp),
  'origin.ip': ofContext((context) => context.originIp),
  'origin.port': ofContext((context) => context.originPort?.toString()),
  'tls.sni': ofContext((context) => context.sni?.toLowerCase()),
  'websocket.from': ofContext(({ message }) => message?.from),
  'websocket.type': ofContext(({ message }) => message?.type),
};

function ofContext(value: (context: TransactionContext) => string | undefined): FieldReader {
  return { origin: 'context', read: ({ context }) => one(value(context)) };
}

function ofRequest(value: (head: RequestHead) => string | undefined): FieldReader {
  return { origin: 'request-head', read: ({ request }) => (request === undefined ? absent : one(value(request))) };
}

function ofResponse(value: (head: ResponseHead) => string | undefined): FieldReader {
  return { origin: 'response-head', read: ({ response }) => (response === undefined ? absent : one(value(response))) };
}

function one(value: string | undefined): readonly string[] {
  return value === undefined ? absent : [value];
}

function headerReader(message: 'request' | 'response', name: string): FieldReader {
  return { origin: `${message}-head`, read: (heads) => headerValues(heads[message]?.headers ?? [], name) };
}

/** A header may stand in several lines; each is a value (RFC 9110 section 5.3). */
function headerValues(headers: readonly Header[], name: string): readonly string[] {
  let values: string[] | undefined;
  for (const [present, value] of headers) {
    // Lengths first: lower-casing every name of every head would cost more than all else here.
    if (present.length !== name.length || (present !== name && present.toLowerCase() !== name)) continue;
    if (values === undefined) values = [value];
    else values.push(value);
  }
  return values ?? absent;
}

function headerText(headers: readonly Header[]): string {
  let text = '';
  for (const [name, value] of headers) text += `${name}: ${value}\r\n`;
  return text;
}
