import type { Side } from '../core/side.ts';

/** Opcodes of RFC 6455 section 5.2; all others are reserved. */
export const opcodes = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;

/** Longest payload of a control frame (RFC 6455 section 5.5). */
const mostControlBytes = 125;

/**
 * Reads the headers of the frames that one side sends (RFC 6455 section 5.2). The fields hold the header that was read
 * last: one reader serves a whole connection without an object per frame.
 */
export class FrameReader {
  readonly #isMasked: boolean;
  isFinal = false;
  isCompressed = false;
  opcode = 0;
  /** Bytes of payload. */
  length = 0;
  /** Masking key, first byte lowest; 0 for what the origin sends. */
  mask = 0;
  /** Why the header is refused; empty when it is not. */
  fault = '';

  constructor(from: Side) {
    this.#isMasked = from === 'client';
  }

  get isControl(): boolean {
    return this.opcode >= opcodes.close;
  }

  /** Reads the header at `at`; returns its length, or 0 when more bytes are needed or `fault` says why it is refused. */
  read(bytes: Buffer, at: number): number {
    const first = bytes[at];
    const second = bytes[at + 1];
    if (first === undefined || second === undefined) return 0;
    this.isFinal = (first & 0x80) !== 0;
    this.isCompressed = (first & 0x40) !== 0;
    this.opcode = first & 0x0f;
    const shortLength = second & 0x7f;
    this.fault = this.#faultOf(first, second, shortLength);
    if (this.fault !== '') return 0;
    const maskAt = at + (shortLength === 126 ? 4 : shortLength === 127 ? 10 : 2);
    const end = this.#isMasked ? maskAt + 4 : maskAt;
    if (bytes.length < end) return 0;
    this.mask = this.#isMasked ? bytes.readInt32LE(maskAt) : 0;
    return this.#readLength(bytes, at + 2, shortLength) ? end - at : 0;
  }

  #faultOf(first: number, second: number, shortLength: number): string {
    if ((first & 0x30) !== 0) return 'a reserved bit is set';
    if ((this.opcode > opcodes.binary && this.opcode < opcodes.close) || this.opcode > opcodes.pong) {
      return `a reserved opcode: ${this.opcode}`;
    }
    // RFC 6455 section 5.1: a client masks every frame, a server none.
    if (((second & 0x80) !== 0) !== this.#isMasked) return this.#isMasked ? 'a frame without mask' : 'a masked frame';
    if (!this.isControl) return '';
    if (!this.isFinal) return 'a control frame in fragments';
    if (this.isCompressed) return 'a compressed control frame';
    return shortLength > mostControlBytes ? 'a control frame beyond 125 bytes' : '';
  }

  /** RFC 6455 section 5.2: the shortest form must be used, and the highest bit of the longest form is 0. */
  #readLength(bytes: Buffer, at: number, shortLength: number): boolean {
    if (shortLength < 126) this.length = shortLength;
    else if (shortLength === 126) {
      this.length = bytes.readUInt16BE(at);
      if (this.length < 126) this.fault = 'a length that is not in its shortest form';
    } else {
      const high = bytes.readUInt32BE(at);
      this.length = high * 0x1_0000_0000 + bytes.readUInt32BE(at + 4);
      if (this.length < 0x1_0000) this.fault = 'a length that is not in its shortest form';
      else if (!Number.isSafeInteger(this.length)) this.fault = 'a length beyond all bounds';
    }
    return this.fault === '';
  }
}

/** Bytes that are unmasked at once. */
export const unmaskBytes = 65_536;
const scratch = Buffer.from(new ArrayBuffer(unmaskBytes));
const words = new Int32Array(scratch.buffer);

/**
 * Unmasks up to 64 KiB of payload into one buffer that the next call uses again; `phase` is the offset of the first byte
 * in the payload (RFC 6455 section 5.3). Four bytes at a time: bytewise it takes four times as long.
 */
export function unmasked(bytes: Buffer, from: number, to: number, mask: number, phase: number): Buffer {
  const length = bytes.copy(scratch, 0, from, to);
  const shift = (phase & 3) * 8;
  const key = shift === 0 ? mask : (mask >>> shift) | (mask << (32 - shift));
  const count = (length + 3) >> 2;
  for (let index = 0; index < count; index += 1) words[index] = (words[index] ?? 0) ^ key;
  return scratch.subarray(0, length);
}

/** A Close frame (RFC 6455 section 5.5.1) as the gateway sends it; towards an origin it is masked. */
export function closeFrame(code: number, reason: string, maskingKey: Buffer | undefined): Buffer {
  const text = Buffer.from(reason).subarray(0, mostControlBytes - 2);
  const payload = Buffer.concat([Buffer.from([code >> 8, code & 0xff]), text]);
  const head = [0x80 | opcodes.close, payload.length | (maskingKey === undefined ? 0 : 0x80)];
  if (maskingKey === undefined) return Buffer.concat([Buffer.from(head), payload]);
  const masked = payload.map((byte, index) => byte ^ (maskingKey[index & 3] ?? 0));
  return Buffer.concat([Buffer.from(head), maskingKey, masked]);
}
