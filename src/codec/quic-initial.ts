import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import { limits } from '../core/limits.ts';
import type { ClientHello } from '../core/tls.ts';
import { parseClientHelloBody } from './client-hello-body.ts';

/** A piece of the TLS handshake that an Initial packet carries. */
export interface CryptoPiece {
  readonly offset: number;
  readonly bytes: Buffer;
}

/** Connection ids that the client chose, of the server and of itself. */
export interface QuicIds {
  readonly destinationId: Buffer;
  readonly sourceId: Buffer;
}

/** What is read of the first packets of a QUIC client. */
export interface QuicInitial extends QuicIds {
  readonly version: number;
  readonly pieces: readonly CryptoPiece[];
}

/**
 * Opens the Initial packet of a client (RFC 9001 section 5, RFC 9369): its keys follow from the connection id in it, so
 * that anyone on the way may. Undefined for whatever is none, or of a version that is not known. `firstId`: the id in the
 * first packet of this client, which keeps deciding the keys when later packets carry another (RFC 9001 section 5.2).
 */
export function openQuicInitial(datagram: Buffer, firstId?: Buffer): QuicInitial | undefined {
  const header = readHeader(datagram);
  if (header === undefined) return undefined;
  const keys = packetKeys(header.keys, firstId ?? header.destinationId);
  const payload = decrypt(datagram, header, keys);
  if (payload === undefined) return undefined;
  const { version, destinationId, sourceId } = header;
  const others = coalesced(datagram.subarray(header.end), header, keys);
  return { version, destinationId, sourceId, pieces: [payload, ...others].flatMap(cryptoPieces) };
}

/** What further Initial packets of the same connection hold that came in the same datagram (RFC 9000 section 12.2). */
function coalesced(rest: Buffer, first: InitialHeader, keys: PacketKeys): readonly Buffer[] {
  const payloads: Buffer[] = [];
  for (let bytes = rest; payloads.length < mostCoalesced; ) {
    const header = readHeader(bytes);
    if (header?.version !== first.version || !header.destinationId.equals(first.destinationId)) break;
    const payload = decrypt(bytes, header, keys);
    if (payload === undefined) break;
    payloads.push(payload);
    bytes = bytes.subarray(header.end);
  }
  return payloads;
}

/** The ids in what looks like an Initial packet. No key is made, so it may be none; a peer that sent none knows no such ids. */
export function quicIdsOf(datagram: Buffer): QuicIds | undefined {
  return readHeader(datagram);
}

/** The ClientHello that the pieces hold, in whatever order they came; undefined while it is not whole, or when it is none. */
export function helloOfPieces(pieces: readonly CryptoPiece[]): ClientHello | undefined {
  const message = Buffer.alloc(limits.quicCryptoBytes);
  let end = 0;
  for (const { offset, bytes } of [...pieces].sort((a, b) => a.offset - b.offset)) {
    if (offset > end || offset + bytes.length > message.length) break;
    bytes.copy(message, offset);
    end = Math.max(end, offset + bytes.length);
  }
  if (end < 4 || message[0] !== clientHelloMessage || message.readUIntBE(1, 3) > end - 4) return undefined;
  const body = parseClientHelloBody(message.subarray(4, 4 + message.readUIntBE(1, 3)));
  return body.kind === 'fault' ? undefined : body.hello;
}

/**
 * The answer that makes a client give up at once: a Version Negotiation packet (RFC 9000 section 17.2.1) that offers none
 * of the versions that there are, only one that is reserved (section 15).
 */
export function refuseQuic({ destinationId, sourceId }: QuicIds): Buffer {
  return Buffer.concat([
    Buffer.from([0xc0, 0, 0, 0, 0, sourceId.length]),
    sourceId,
    Buffer.from([destinationId.length]),
    destinationId,
    Buffer.from([0x1a, 0x2a, 0x3a, 0x4a]),
  ]);
}

const clientHelloMessage = 1;
const mostIdBytes = 20;
/** Further packets of one datagram that are opened: clients send one or two. */
const mostCoalesced = 7;

interface VersionKeys {
  readonly salt: Buffer;
  /** Before `key`, `iv` and `hp` in the labels. */
  readonly label: string;
  /** Type of Initial packets in the first byte. */
  readonly initial: number;
}

const draft29: VersionKeys = {
  salt: Buffer.from('afbfec289993d24c9e9786f19c6111e04390a899', 'hex'),
  label: 'quic',
  initial: 0,
};
const versions: ReadonlyMap<number, VersionKeys> = new Map([
  [1, { salt: Buffer.from('38762cf7f55934b34d179ae6a4c80cadccbb7f0a', 'hex'), label: 'quic', initial: 0 }],
  [0x6b3343cf, { salt: Buffer.from('0dede3def700a6db819381be6e269dcbf9bd2ed9', 'hex'), label: 'quicv2', initial: 1 }],
  [0xff00001d, draft29],
  [0xff00001e, draft29],
  [0xff00001f, draft29],
  [0xff000020, draft29],
]);

interface InitialHeader {
  readonly version: number;
  readonly keys: VersionKeys;
  readonly destinationId: Buffer;
  readonly sourceId: Buffer;
  /** Where the packet number begins, and where the packet ends. */
  readonly numberAt: number;
  readonly end: number;
}

function readHeader(bytes: Buffer): InitialHeader | undefined {
  if (bytes.length < 7 || ((bytes[0] ?? 0) & 0xc0) !== 0xc0) return undefined;
  const version = bytes.readUInt32BE(1);
  const keys = versions.get(version);
  if (keys === undefined || (((bytes[0] ?? 0) >> 4) & 3) !== keys.initial) return undefined;
  const cursor = new VarintCursor(bytes, 5);
  const destinationId = cursor.take(cursor.byte());
  const sourceId = cursor.take(cursor.byte());
  cursor.take(cursor.varint());
  const length = cursor.varint();
  if (cursor.isBroken || destinationId.length > mostIdBytes || sourceId.length > mostIdBytes) return undefined;
  const end = cursor.at + length;
  // The sample that protects the header lies behind the longest packet number (RFC 9001 section 5.4.2).
  if (end > bytes.length || length < 20) return undefined;
  return { version, keys, destinationId, sourceId, numberAt: cursor.at, end };
}

interface PacketKeys {
  readonly key: Buffer;
  readonly iv: Buffer;
  readonly hp: Buffer;
}

function packetKeys({ salt, label }: VersionKeys, id: Buffer): PacketKeys {
  const initial = createHmac('sha256', salt).update(id).digest();
  const secret = expandLabel(initial, 'client in', 32);
  return {
    key: expandLabel(secret, `${label} key`, 16),
    iv: expandLabel(secret, `${label} iv`, 12),
    hp: expandLabel(secret, `${label} hp`, 16),
  };
}

function decrypt(datagram: Buffer, { numberAt, end }: InitialHeader, { key, iv: base, hp }: PacketKeys) {
  const iv = Buffer.from(base);
  const sample = datagram.subarray(numberAt + 4, numberAt + 20);
  const mask = createCipheriv('aes-128-ecb', hp, null).update(sample);
  const first = (datagram[0] ?? 0) ^ ((mask[0] ?? 0) & 0x0f);
  const numberBytes = (first & 3) + 1;
  const additional = Buffer.from(datagram.subarray(0, numberAt + numberBytes));
  additional[0] = first;
  for (let index = 0; index < numberBytes; index += 1) {
    const byte = (additional[numberAt + index] ?? 0) ^ (mask[index + 1] ?? 0);
    additional[numberAt + index] = byte;
    const at = 12 - numberBytes + index;
    iv[at] = (iv[at] ?? 0) ^ byte;
  }
  const decipher = createDecipheriv('aes-128-gcm', key, iv).setAAD(additional);
  decipher.setAuthTag(datagram.subarray(end - 16, end));
  try {
    const payload = decipher.update(datagram.subarray(numberAt + numberBytes, end - 16));
    decipher.final();
    return payload;
  } catch {
    return undefined;
  }
}

/** HKDF-Expand-Label of TLS 1.3 (RFC 8446 section 7.1) for what one block of SHA-256 gives. */
function expandLabel(secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const purpose = Buffer.concat([Buffer.from([0, length, name.length]), name, Buffer.from([0, 1])]);
  return createHmac('sha256', secret).update(purpose).digest().subarray(0, length);
}

/** The CRYPTO frames of an Initial packet (RFC 9000 section 19.6); reading ends at what may not stand in one. */
function cryptoPieces(payload: Buffer): readonly CryptoPiece[] {
  const pieces: CryptoPiece[] = [];
  const cursor = new VarintCursor(payload, 0);
  while (cursor.at < payload.length && !cursor.isBroken) {
    const type = cursor.byte();
    if (type === 0x00 || type === 0x01) continue;
    if (type === 0x06) {
      const offset = cursor.varint();
      const bytes = cursor.take(cursor.varint());
      if (!cursor.isBroken) pieces.push({ offset, bytes });
    } else if (type === 0x02 || type === 0x03) skipAck(cursor, type === 0x03);
    else break;
  }
  return pieces;
}

function skipAck(cursor: VarintCursor, hasCounts: boolean): void {
  cursor.varint();
  cursor.varint();
  const ranges = cursor.varint();
  cursor.varint();
  for (let left = ranges * 2 + (hasCounts ? 3 : 0); left > 0 && !cursor.isBroken; left -= 1) cursor.varint();
}

/** Reads variable-length integers (RFC 9000 section 16); what is missing breaks it, and everything after reads as nothing. */
class VarintCursor {
  readonly #bytes: Buffer;
  at: number;
  isBroken = false;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  byte(): number {
    const byte = this.#bytes[this.at];
    if (byte === undefined) this.isBroken = true;
    this.at += 1;
    return byte ?? 0;
  }

  varint(): number {
    const first = this.byte();
    let value = first & 0x3f;
    for (let more = (1 << (first >> 6)) - 1; more > 0; more -= 1) value = value * 256 + this.byte();
    return value;
  }

  take(length: number): Buffer {
    const end = this.at + length;
    if (this.isBroken || end > this.#bytes.length) this.isBroken = true;
    const part = this.isBroken ? this.#bytes.subarray(0, 0) : this.#bytes.subarray(this.at, end);
    this.at = end;
    return part;
  }
}
