import { crc32, deflateRawSync } from 'node:zlib';

/** A member of a zip archive. */
export interface ZipWish {
  readonly name: string | Buffer;
  readonly data?: Buffer;
  readonly method?: number;
  /** The data as they stand in the archive. */
  readonly packed?: Buffer;
  readonly flags?: number;
  readonly extra?: Buffer;
  /** What the header in front says, where that is not so. */
  readonly told?: { readonly compressed?: number };
  /** What the directory says. */
  readonly listed?: { readonly name?: string; readonly at?: number } | 'not';
}

/** Deflate that packs nothing, in two blocks. */
export function unpackedBlocks(data: Buffer, cutAt: number): Buffer {
  const block = (bytes: Buffer, isLast: boolean): Buffer[] => {
    const head = Buffer.alloc(5);
    head.writeUInt8(isLast ? 1 : 0);
    head.writeUInt16LE(bytes.length, 1);
    head.writeUInt16LE(bytes.length ^ 0xffff, 3);
    return [head, bytes];
  };
  return Buffer.concat([...block(data.subarray(0, cutAt), false), ...block(data.subarray(cutAt), true)]);
}

/** A zip archive as the wishes have it; flag 8 puts the sizes behind the data. */
export function zip(wishes: readonly ZipWish[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  const add = (...buffers: Buffer[]): void => {
    for (const buffer of buffers) {
      parts.push(buffer);
      at += buffer.length;
    }
  };
  for (const wish of wishes) {
    const { name, data = Buffer.alloc(0), method = 8, flags = 0, extra = Buffer.alloc(0), told, listed } = wish;
    const nameBytes = Buffer.from(name);
    const packed = wish.packed ?? (method === 8 ? deflateRawSync(data) : data);
    const head = Buffer.alloc(30);
    head.write('PK\x03\x04', 'latin1');
    head.writeUInt16LE(20, 4);
    head.writeUInt16LE(flags, 6);
    head.writeUInt16LE(method, 8);
    const isStreamed = (flags & 8) !== 0;
    if (!isStreamed) {
      head.writeUInt32LE(crc32(data), 14);
      head.writeUInt32LE(told?.compressed ?? packed.length, 18);
      head.writeUInt32LE(data.length, 22);
    }
    head.writeUInt16LE(nameBytes.length, 26);
    head.writeUInt16LE(extra.length, 28);
    const memberAt = at;
    add(head, nameBytes, extra, packed);
    if (isStreamed) {
      const descriptor = Buffer.alloc(16);
      descriptor.write('PK\x07\x08', 'latin1');
      descriptor.writeUInt32LE(crc32(data), 4);
      descriptor.writeUInt32LE(packed.length, 8);
      descriptor.writeUInt32LE(data.length, 12);
      add(descriptor);
    }
    if (listed === 'not') continue;
    const entry = Buffer.alloc(46);
    entry.write('PK\x01\x02', 'latin1');
    entry.writeUInt16LE(20, 6);
    entry.writeUInt16LE(flags, 8);
    entry.writeUInt16LE(method, 10);
    entry.writeUInt32LE(packed.length, 20);
    entry.writeUInt32LE(data.length, 24);
    const listedName = Buffer.from(listed?.name ?? nameBytes);
    entry.writeUInt16LE(listedName.length, 28);
    entry.writeUInt32LE(listed?.at ?? memberAt, 42);
    directory.push(entry, listedName);
  }
  const from = at;
  add(...directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(directory.length / 2, 8);
  end.writeUInt16LE(directory.length / 2, 10);
  end.writeUInt32LE(at - from, 12);
  end.writeUInt32LE(from, 16);
  add(end);
  return Buffer.concat(parts);
}

/** A tar archive: name, content and kind of each member. */
export function tar(
  members: readonly { name: string; data?: Buffer; kind?: string; prefix?: string }[],
  ends = true,
): Buffer {
  const blocks = members.flatMap(({ name, data = Buffer.alloc(0), kind = '0', prefix = '' }) => {
    const head = Buffer.alloc(512);
    head.write(name, 0, 100, 'latin1');
    head.write(`${data.length.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
    head.write('        ', 148, 'latin1');
    head.write(kind, 156, 'latin1');
    head.write('ustar\x0000', 257, 'latin1');
    head.write(prefix, 345, 155, 'latin1');
    const sum = head.reduce((total, byte) => total + byte, 0);
    head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    return [head, data, Buffer.alloc((512 - (data.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(ends ? 1_024 : 0)]);
}
