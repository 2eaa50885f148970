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

const tooLarge: Walk = {
  kind: 'malformed',
  code: 'CLIENT_OPENING_TOO_LARGE',
  detail: `a ClientHello of more than ${limits.openingBytes} bytes or ${limits.openingRecords} records`,
};

/**
 * Goes from record header to record header, without reading the payload beyond the header of the message. What it says of
 * a prefix it says of the whole: every check stands where the bytes that it needs have come.
 */
function walkRecords(bytes: Buffer): Walk {
  let messageBytes = messageHeaderBytes;
  let isKnown = false;
  let gathered = 0;
  let offset = 0;
  for (let records = 0; !isKnown || gathered < messageBytes; records++) {
    const start = offset + recordHeaderBytes;
    if (start + messageBytes - gathered > limits.openingBytes || records === limits.openingRecords) return tooLarge;
    if (start > bytes.length) {
      return startsRecord(bytes, offset) ? partial(start + messageBytes - gathered) : unexpectedRecord(bytes, offset);
    }
    if (bytes[offset] !== handshakeRecord || bytes[offset + 1] !== 3) return unexpectedRecord(bytes, offset);
    const length = recordLength(bytes, offset);
    if (length === 0 || length > recordBytesMax) return malformed(`record of ${length} bytes`);
    const present = Math.min(length, bytes.length - start);
    if (gathered === 0 && present > 0 && bytes[start] !== clientHelloMessage) return malformed('not a ClientHello');
    if (!isKnown && gathered + present >= messageHeaderBytes) {
      isKnown = true;
      messageBytes += gatherFragments(bytes, messageHeaderBytes).readUIntBE(1, 3);
      if (start + messageBytes - gathered > limits.openingBytes) return tooLarge;
    }
    // What follows a ClientHello is under other keys or waits for an answer: never in its record (RFC 8446 section 5.1).
    if (isKnown && gathered + length > messageBytes)
      return malformed('trailing bytes in the record of the ClientHello');
    if (present < length) return partial(start + messageBytes - gathered);
    offset = start + length;
    gathered += length;
  }
  return { kind: 'whole', messageBytes };
}

/** As far as the record header is there. The minor version means nothing (RFC 8446 section 5.1). */
function startsRecord(bytes: Buffer, offset: number): boolean {
  return (bytes[offset] ?? handshakeRecord) === handshakeRecord && (bytes[offset + 1] ?? 3) === 3;
}

function unexpectedRecord(bytes: Buffer, offset: number): Walk {
  if (offset === 0) return { kind: 'malformed', code: 'CLIENT_NOT_TLS', detail: 'the first bytes are no TLS record' };
  return malformed(`record of type ${bytes[offset]} within the ClientHello`);
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
  return { kind: 'partial', neededBytes };
}

function malformed(detail: string): { kind: 'malformed'; code: FailureCode; detail: string } {
  return { kind: 'malformed', code: 'CLIENT_HELLO_MALFORMED', detail };
}
