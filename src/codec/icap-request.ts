import type { Header, RequestHead, ResponseHead } from '../core/http.ts';

export type IcapMethod = 'REQMOD' | 'RESPMOD';

/** A scanner's service as requests name it. */
export interface IcapService {
  /** Absolute URL, e.g. `icap://127.0.0.1:1344/avscan`. */
  readonly url: string;
  /** Host and port of it. */
  readonly authority: string;
}

/** An HTTP message as a scanner is shown it. */
export interface IcapMessage {
  readonly method: IcapMethod;
  readonly requestHead: Buffer;
  /** Of a response alone. */
  readonly responseHead: Buffer | undefined;
  readonly body: readonly Buffer[];
  readonly bodyBytes: number;
}

/** Asks a service for what it supports (RFC 3507 section 4.10). */
export function icapOptions(service: IcapService): Buffer {
  return Buffer.from(
    `OPTIONS ${service.url} ICAP/1.0\r\nHost: ${service.authority}\r\nEncapsulated: null-body=0\r\n\r\n`,
    'latin1',
  );
}

/** Head of a request with the HTTP heads in it (RFC 3507 section 4.4.1). `previewBytes` undefined: all of the body follows. */
export function icapHead(service: IcapService, message: IcapMessage, previewBytes: number | undefined): Buffer {
  const { method, requestHead, responseHead } = message;
  const parts =
    responseHead === undefined
      ? `req-hdr=0, req-body=${requestHead.length}`
      : `req-hdr=0, res-hdr=${requestHead.length}, res-body=${requestHead.length + responseHead.length}`;
  const preview = previewBytes === undefined ? '' : `Preview: ${previewBytes}\r\n`;
  const head = `${method} ${service.url} ICAP/1.0\r\nHost: ${service.authority}\r\nAllow: 204\r\n${preview}Encapsulated: ${parts}\r\n\r\n`;
  return Buffer.concat([
    Buffer.from(head, 'latin1'),
    requestHead,
    ...(responseHead === undefined ? [] : [responseHead]),
  ]);
}

/** Bytes `from` to `to` of a body as chunks, without the last one. */
export function icapChunks(body: readonly Buffer[], from: number, to: number): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const piece of body) {
    const part = piece.subarray(Math.max(0, from - at), Math.max(0, to - at));
    at += piece.length;
    if (part.length === 0) continue;
    chunks.push(Buffer.from(`${part.length.toString(16)}\r\n`, 'latin1'), part, lineEnd);
  }
  return chunks;
}

const lineEnd = Buffer.from('\r\n');
/** Ends a body, or a preview behind which more would follow. */
export const lastChunk = Buffer.from('0\r\n\r\n');
/** Ends a preview that is the whole body (RFC 3507 section 4.5). */
export const lastChunkOfAll = Buffer.from('0; ieof\r\n\r\n');

/** The head of a request for a scanner's eyes. */
export function scannedRequestHead(head: RequestHead, scheme: string): Buffer {
  const target =
    head.target.startsWith('/') && head.host !== '' ? `${scheme}://${head.host}${head.target}` : head.target;
  // HTTP/2 names the host in a field of its own.
  const headers: readonly Header[] = head.version === '2' ? [['Host', head.host], ...withoutHost(head)] : head.headers;
  return headBytes(`${head.method} ${target} HTTP/1.1`, headers);
}

function withoutHost({ headers }: RequestHead): readonly Header[] {
  return headers.filter(([name]) => name !== 'host');
}

/** A part of a mail as the upload of a file, for a scanner's eyes: ICAP knows HTTP alone. */
export function scannedPartHead(host: string, type: string, fileName: string | undefined): Buffer {
  const name = (fileName ?? '').replace(/[^\x20-\x7e]|["\\]/g, '_').slice(0, 200);
  const media = /^[\w.+-]{1,100}\/[\w.+-]{1,100}$/.test(type) ? type : 'application/octet-stream';
  const at = /^[\w.:[\]-]{1,255}$/.test(host) ? host : 'mail.invalid';
  return headBytes(`PUT http://${at}/mail HTTP/1.1`, [
    ['Host', at],
    ['Content-Type', media],
    ...(name === '' ? [] : [['Content-Disposition', `attachment; filename="${name}"`] as const]),
  ]);
}

/** The head of a response for a scanner's eyes. */
export function scannedResponseHead(head: ResponseHead): Buffer {
  return headBytes(`HTTP/1.1 ${head.status} ${head.reason}`, head.headers);
}

function headBytes(startLine: string, headers: readonly Header[]): Buffer {
  const lines = headers
    .filter(([name]) => !withheld.has(name.toLowerCase()))
    .map(([name, value]) => `${name}: ${value}`);
  return Buffer.from(`${[startLine, ...lines].join('\r\n')}\r\n\r\n`, 'latin1');
}

/** What says nothing of the content: fields of the connection (RFC 3507 section 4.4.2), and secrets, which ICAP carries in plain. */
const withheld: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'proxy-authenticate',
  'proxy-authorization',
  'authorization',
  'cookie',
  'set-cookie',
]);
