import { hash } from 'node:crypto';
import type { Header, RequestHead, ResponseHead } from '../core/http.ts';
import type { DeflateParameters, WebSocketAgreement } from '../core/websocket.ts';

/** What both sides agreed on, or why what follows cannot be read as WebSocket frames. */
export type Handshake =
  | { readonly kind: 'agreed'; readonly agreement: WebSocketAgreement }
  /** An extension that changes what frames mean in a way that nobody here knows. */
  | { readonly kind: 'foreign'; readonly extension: string }
  | { readonly kind: 'fault'; readonly detail: string };

/** Value that is hashed with the client's key (RFC 6455 section 1.3). */
const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/**
 * Reads the opening handshake of a WebSocket over HTTP/1.1, once the origin has switched (RFC 6455 section 4): what a
 * client would have to refuse is a fault.
 */
export function readHandshake(request: RequestHead, response: ResponseHead): Handshake {
  const keys = fieldsOf(request.headers, 'sec-websocket-key');
  const accepts = fieldsOf(response.headers, 'sec-websocket-accept');
  const versions = fieldsOf(request.headers, 'sec-websocket-version');
  if (request.method !== 'GET') return { kind: 'fault', detail: 'a WebSocket that was not asked for with GET' };
  if (versions.length !== 1 || versions[0] !== '13') return { kind: 'fault', detail: 'a WebSocket of another version' };
  if (keys.length !== 1 || accepts.length !== 1) return { kind: 'fault', detail: 'a WebSocket key or its answer' };
  if (accepts[0] !== hash('sha1', `${keys[0]}${guid}`, 'base64')) {
    return { kind: 'fault', detail: 'an answer that does not fit the WebSocket key' };
  }
  return agreedExtensions(request, response);
}

/** The same for a WebSocket over HTTP/2 (RFC 8441 section 5), which has no key. */
export function readConnectHandshake(request: RequestHead, response: ResponseHead): Handshake {
  const versions = fieldsOf(request.headers, 'sec-websocket-version');
  if (versions.length !== 1 || versions[0] !== '13') return { kind: 'fault', detail: 'a WebSocket of another version' };
  return agreedExtensions(request, response);
}

function agreedExtensions(request: RequestHead, response: ResponseHead): Handshake {
  const agreed = extensionsOf(response.headers);
  const offered = new Set(extensionsOf(request.headers).map(({ name }) => name));
  let deflate: DeflateParameters | undefined;
  for (const extension of agreed) {
    if (!offered.has(extension.name)) return { kind: 'fault', detail: 'a WebSocket extension that was not offered' };
    if (extension.name !== 'permessage-deflate') return { kind: 'foreign', extension: extension.name.slice(0, 64) };
    if (deflate !== undefined) return { kind: 'fault', detail: 'permessage-deflate was agreed on twice' };
    deflate = deflateParameters(extension.parameters);
    if (deflate === undefined) return { kind: 'fault', detail: 'parameters of permessage-deflate' };
  }
  return { kind: 'agreed', agreement: { deflate } };
}

interface Extension {
  readonly name: string;
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

/** Sec-WebSocket-Extensions (RFC 6455 section 9.1). No known parameter is longer than a token, so a quoted one is cut open too. */
function extensionsOf(headers: readonly Header[]): readonly Extension[] {
  return fieldsOf(headers, 'sec-websocket-extensions')
    .flatMap((value) => value.split(','))
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const [name = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
      return { name, parameters: parameters.map(pairOf) };
    });
}

function pairOf(text: string): readonly [name: string, value: string] {
  const at = text.indexOf('=');
  if (at < 0) return [text, ''];
  return [
    text.slice(0, at).trim(),
    text
      .slice(at + 1)
      .trim()
      .replace(/^"(.*)"$/, '$1'),
  ];
}

/** RFC 7692 section 7.1: each parameter once, known, and with a value that it may have. */
function deflateParameters(parameters: Extension['parameters']): DeflateParameters | undefined {
  const names = parameters.map(([name]) => name);
  if (new Set(names).size !== names.length) return undefined;
  for (const [name, value] of parameters) {
    const isBits = name === 'server_max_window_bits' || name === 'client_max_window_bits';
    if (isBits && !/^(?:[89]|1[0-5])$/.test(value)) return undefined;
    if (!isBits && (!/^(?:server|client)_no_context_takeover$/.test(name) || value !== '')) return undefined;
  }
  return {
    keepsContext: {
      client: !names.includes('client_no_context_takeover'),
      origin: !names.includes('server_no_context_takeover'),
    },
  };
}

function fieldsOf(headers: readonly Header[], wanted: string): readonly string[] {
  return headers
    .filter(([name]) => name.length === wanted.length && name.toLowerCase() === wanted)
    .map(([, value]) => value.trim());
}
