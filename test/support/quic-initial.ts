import { createCipheriv } from 'node:crypto';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

/** Keys of the examples: RFC 9001 appendix A.1 and RFC 9369 appendix A.1. */
const keys = {
  v1: {
    version: '00000001',
    first: 0xc3,
    key: hex('1f369613dd76d5467730efcbe3b1a22d'),
    iv: hex('fa044b2f42a3fd3b46fb255c'),
    hp: hex('9f50449e04a0e810283a1e9933adedd2'),
  },
  v2: {
    version: '6b3343cf',
    first: 0xd3,
    key: hex('8b1a0bc121284290a29e0971b5cd045d'),
    iv: hex('91f73e2351d8fa91660e909f'),
    hp: hex('45b95e15235d6f45a6b19cbcb0294ba9'),
  },
} as const;

/** Protects a payload as those appendices do: packet number 2, connection id 8394c8f03e515708. */
export function sealInitial(example: keyof typeof keys, payload: Buffer): Buffer {
  const { version, first, key, iv, hp } = keys[example];
  const length = payload.length + 4 + 16;
  const header = Buffer.concat([
    Buffer.from([first]),
    hex(`${version}088394c8f03e51570800`),
    Buffer.from([0x00, 0x40 | (length >> 8), length & 0xff]),
    hex('00000002'),
  ]);
  const nonce = Buffer.from(iv);
  nonce[11] = (nonce[11] ?? 0) ^ 2;
  const cipher = createCipheriv('aes-128-gcm', key, nonce).setAAD(header);
  const sealed = Buffer.concat([cipher.update(payload), cipher.final(), cipher.getAuthTag()]);
  const mask = createCipheriv('aes-128-ecb', hp, null).update(sealed.subarray(0, 16));
  header[0] = first ^ ((mask[0] ?? 0) & 0x0f);
  for (let index = 0; index < 4; index += 1) {
    const at = header.length - 4 + index;
    header[at] = (header[at] ?? 0) ^ (mask[index + 1] ?? 0);
  }
  return Buffer.concat([header, sealed]);
}

/** The first datagram of a client: its ClientHello (a handshake message) in CRYPTO frames of two halves, the second first. */
export function quicHello(message: Buffer): Buffer {
  const half = message.length >> 1;
  const frame = (offset: number, bytes: Buffer): Buffer =>
    Buffer.concat([
      Buffer.from([6, 0x40 | (offset >> 8), offset & 0xff, 0x40 | (bytes.length >> 8), bytes.length & 0xff]),
      bytes,
    ]);
  const frames = Buffer.concat([
    frame(half, message.subarray(half)),
    Buffer.from([1]),
    frame(0, message.subarray(0, half)),
  ]);
  return sealInitial('v1', Buffer.concat([frames, Buffer.alloc(Math.max(0, 1_180 - frames.length))]));
}
