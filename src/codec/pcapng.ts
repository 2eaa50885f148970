/** Blocks of the pcapng format (draft-ietf-opsawg-pcapng), little endian. */

/** Packets begin with their IP header: no link layer is made up. */
const rawIp = 101;
const options = { end: 0, comment: 1, application: 4, interfaceName: 2 } as const;

/** What every file and stream begins with: a section with a comment, and one interface with times in microseconds. */
export function sectionHeader(comment: string, application: string): Buffer {
  const section = Buffer.concat([
    Buffer.from([0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0]),
    // The length of the section is not known.
    Buffer.alloc(8, 0xff),
    option(options.comment, comment),
    option(options.application, application),
    endOfOptions,
  ]);
  const link = Buffer.concat([
    Buffer.from([rawIp, 0, 0, 0, 0, 0, 0, 0]),
    option(options.interfaceName, 'daylight'),
    endOfOptions,
  ]);
  return Buffer.concat([block(0x0a0d0d0a, section), block(1, link)]);
}

/** A packet with its time, and a comment where it has one. */
export function packetBlock(packet: Buffer, timeMicroseconds: number, comment?: string): Buffer {
  const head = Buffer.alloc(20);
  head.writeUInt32LE(Math.floor(timeMicroseconds / 0x1_0000_0000), 4);
  head.writeUInt32LE(timeMicroseconds % 0x1_0000_0000, 8);
  head.writeUInt32LE(packet.length, 12);
  head.writeUInt32LE(packet.length, 16);
  const parts = [head, packet, Buffer.alloc(-packet.length & 3)];
  if (comment !== undefined) parts.push(option(options.comment, comment), endOfOptions);
  return block(6, Buffer.concat(parts));
}

const endOfOptions = Buffer.alloc(4, options.end);

function option(code: number, text: string): Buffer {
  const value = Buffer.from(text);
  const head = Buffer.from([code & 0xff, code >> 8, value.length & 0xff, value.length >> 8]);
  return Buffer.concat([head, value, Buffer.alloc(-value.length & 3)]);
}

function block(type: number, body: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(body.length + 12);
  const head = Buffer.alloc(4);
  head.writeUInt32LE(type);
  return Buffer.concat([head, length, body, length]);
}
