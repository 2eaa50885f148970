/** Frames of RFC 6455 as a peer would send them. */
export interface FrameWishes {
  readonly opcode?: number;
  readonly payload?: Buffer | string;
  /** False for a fragment that others follow. */
  readonly fin?: boolean;
  readonly rsv1?: boolean;
  /** Key of a client's frame. */
  readonly mask?: readonly [number, number, number, number];
}

const key = [0x37, 0xfa, 0x21, 0x3d] as const;

/** A frame of a client, masked. */
export function fromClient(wishes: FrameWishes): Buffer {
  return frame({ mask: key, ...wishes });
}

/** A frame of an origin. */
export function frame({ opcode = 1, payload = '', fin = true, rsv1 = false, mask }: FrameWishes): Buffer {
  const bytes = Buffer.from(payload);
  const first = (fin ? 0x80 : 0) | (rsv1 ? 0x40 : 0) | opcode;
  const flag = mask === undefined ? 0 : 0x80;
  const length = bytes.length;
  const head =
    length < 126
      ? Buffer.from([first, flag | length])
      : length < 65_536
        ? Buffer.from([first, flag | 126, length >> 8, length & 0xff])
        : Buffer.from([
            first,
            flag | 127,
            0,
            0,
            0,
            0,
            length >>> 24,
            (length >> 16) & 0xff,
            (length >> 8) & 0xff,
            length & 0xff,
          ]);
  if (mask === undefined) return Buffer.concat([head, bytes]);
  return Buffer.concat([head, Buffer.from(mask), bytes.map((byte, index) => byte ^ (mask[index & 3] ?? 0))]);
}

export interface ReadFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** The frames that stand in bytes; whole ones alone. */
export function framesIn(bytes: Buffer): readonly ReadFrame[] {
  const frames: ReadFrame[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const [first = 0, second = 0] = bytes.subarray(at);
    const short = second & 0x7f;
    const length = short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? bytes.readUInt32BE(at + 6) : short;
    const start = at + 2 + (short === 126 ? 2 : short === 127 ? 8 : 0);
    const mask = second & 0x80 ? bytes.subarray(start, start + 4) : undefined;
    const from = start + (mask === undefined ? 0 : 4);
    const payload = Buffer.from(bytes.subarray(from, from + length)).map(
      (byte, index) => byte ^ (mask?.[index & 3] ?? 0),
    );
    frames.push({ opcode: first & 0x0f, payload: Buffer.from(payload) });
    at = from + length;
  }
  return frames;
}
