import type { FailureCode } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { ClientHello } from '../core/tls.ts';
import { parseClientHelloBody } from './client-hello-body.ts';
import { canonicalHostName } from './host.ts';

/** What a prefix of a TLS client's stream holds. */
export type ClientHelloParse =
  | {
      readonly kind: 'complete';
      readonly hello: ClientHello;
      /** Body of the handshake message, reassembled, without its header of four bytes. */
      readonly helloBytes: Buffer;
    }
  /** Fewer than `neededBytes` in all cannot complete it: asking again before that is of no use. */
  | { readonly kind: 'partial'; readonly neededBytes: number }
  | { readonly kind: 'malformed'; readonly code: FailureCode; readonly detail: string };

/**
 * Parses the ClientHello at the start of a stream of TLS records. The message may be split over any number of records and
 * segments. A prefix is judged by its record headers alone; the message is copied and read once, when all of it is there.
 */
export function parseClientHello(bytes: Buffer): ClientHelloParse {
  const walk = walkRecords(bytes);
  if (walk.kind !== 'whole') return walk;
  const message = gatherFragments(bytes, walk.messageBytes);
  const helloBytes = message.subarray(messageHeaderBytes);
  const body = parseClientHelloBody(helloBytes);
  if (body.kind === 'fault') return malformed(body.detail);
  return { kind: 'complete', hello: body.hello, helloBytes };
}

/**
 * The canonical host name of a server_name, or undefined when it is not one: IP addresses (RFC 6066 section 3 forbids
 * them), NUL, slashes, bytes beyond ASCII. Such a name must reach no cache key, certificate, file name or log unescaped.
 */
export function validServerName(name: string): string | undefined {
  return canonicalHostName(name);
}

const recordHeaderBytes = 5;
const messageHeaderBytes = 4;
const handshakeRecord = 22;
const clientHelloMessage = 1;
/** RFC 8446 section 5.1. */
const recordBytesMax = 16_384;

type Walk = { readonly kind: 'whole'; readonly messageBytes: number } | Exclude<ClientHelloParse, { kind: 'complete' }>;

/** Goes from record header to record header, without reading the payload beyond the header of the message. */
function walkRecords(bytes: Buffer): Walk {
  const header = firstPayloadBytes(bytes, messageHeaderBytes);
  const isKnown = header.length === messageHeaderBytes;
  const messageBytes = messageHeaderBytes + (isKnown ? header.readUIntBE(1, 3) : 0);
  let offset = 0;
  let gathered = 0;
  for (let records = 0; gathered < messageBytes; records++) {
    const start = offset + recordHeaderBytes;
    const neededBytes = start + messageBytes - gathered;
    if (!isHandshakeRecord(bytes, offset)) return unexpectedRecord(bytes, offset);
    if (start > bytes.length) return partial(neededBytes);
    const length = recordLength(bytes, offset);
    if (length === 0 || length > recordBytesMax) return malformed(`record of ${length} bytes`);
    if (header.length > 0 && header[0] !== clientHelloMessage) return malformed(`handshake message ${header[0]}`);
    // What follows a ClientHello is under other keys or waits for an answer: never in its record (RFC 8446 section 5.1).
    if (isKnown && gathered + length > messageBytes)
      return malformed('trailing bytes in the record of the ClientHello');
    if (records === limits.openingRecords) return tooLarge();
    if (start + length > bytes.length) return partial(neededBytes);
    offset = start + length;
    gathered += length;
  }
  return offset > limits.openingBytes ? tooLarge() : { kind: 'whole', messageBytes };
}

/** As far as the record header is there. The minor version means nothing (RFC 8446 section 5.1). */
function isHandshakeRecord(bytes: Buffer, offset: number): boolean {
  return (bytes[offset] ?? handshakeRecord) === handshakeRecord && (bytes[offset + 1] ?? 3) === 3;
}

function unexpectedRecord(bytes: Buffer, offset: number): Walk {
  if (offset === 0) return { kind: 'malformed', code: 'CLIENT_NOT_TLS', detail: 'the first bytes are no TLS record' };
  return malformed(`record of type ${bytes[offset]} within the ClientHello`);
}

/** The first bytes of the handshake stream, at most `count`, however small the records are. */
function firstPayloadBytes(bytes: Buffer, count: number): Buffer {
  const first = bytes.subarray(recordHeaderBytes, recordHeaderBytes + count);
  if (bytes.length < recordHeaderBytes || recordLength(bytes, 0) >= count) return first;
  return gatherFragments(bytes, count);
}

/** Joins the fragments of the handshake stream, at most `count` bytes; a view when the first record holds them all. */
function gatherFragments(bytes: Buffer, count: number): Buffer {
  const fragments: Buffer[] = [];
  let missing = count;
  let offset = 0;
  while (missing > 0 && offset + recordHeaderBytes < bytes.length) {
    const start = offset + recordHeaderBytes;
    const length = recordLength(bytes, offset);
    fragments.push(bytes.subarray(start, start + Math.min(length, missing)));
    offset = start + length;
    missing -= length;
  }
  const [only] = fragments;
  return fragments.length === 1 && only !== undefined ? only : Buffer.concat(fragments);
}

function recordLength(bytes: Buffer, offset: number): number {
  return ((bytes[offset + 3] ?? 0) << 8) | (bytes[offset + 4] ?? 0);
}

function partial(neededBytes: number): Walk {
  return neededBytes > limits.openingBytes ? tooLarge() : { kind: 'partial', neededBytes };
}

function tooLarge(): Walk {
  const detail = `a ClientHello of more than ${limits.openingBytes} bytes or ${limits.openingRecords} records`;
  return { kind: 'malformed', code: 'CLIENT_OPENING_TOO_LARGE', detail };
}

function malformed(detail: string): { kind: 'malformed'; code: FailureCode; detail: string } {
  return { kind: 'malformed', code: 'CLIENT_HELLO_MALFORMED', detail };
}
