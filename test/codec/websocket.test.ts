import { constants, createDeflateRaw, deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Utf8Stream } from '../../src/codec/utf8-stream.ts';
import { closeFault } from '../../src/codec/websocket-close.ts';
import { closeFrame, FrameReader, unmasked } from '../../src/codec/websocket-frame.ts';
import { readConnectHandshake, readHandshake } from '../../src/codec/websocket-handshake.ts';
import { MessageInflater } from '../../src/codec/websocket-inflate.ts';
import type { Header, RequestHead, ResponseHead } from '../../src/core/http.ts';
import { requestHead, responseHead } from '../support/record-facts.ts';

describe('the header of a frame', () => {
  const read = (from: 'client' | 'origin', hex: string): FrameReader & { size: number } => {
    const reader = new FrameReader(from);
    return Object.assign(reader, { size: reader.read(Buffer.from(hex, 'hex'), 0) });
  };

  // The examples of RFC 6455 section 5.7.
  it.each([
    ['an unmasked text', 'origin', '810548656c6c6f', { size: 2, opcode: 1, length: 5, isFinal: true, fault: '' }],
    ['a masked text', 'client', '818537fa213d7f9f4d5158', { size: 6, opcode: 1, length: 5, isFinal: true, fault: '' }],
    ['a first fragment', 'origin', '010348656c', { size: 2, opcode: 1, length: 3, isFinal: false, fault: '' }],
    ['256 bytes', 'origin', '827e0100', { size: 4, opcode: 2, length: 256, fault: '' }],
    ['64 KiB', 'origin', '827f0000000000010000', { size: 10, opcode: 2, length: 65_536, fault: '' }],
    [
      'a compressed text (RFC 7692)',
      'origin',
      'c107f248cdc9c90700',
      { size: 2, isCompressed: true, length: 7, fault: '' },
    ],
  ] as const)('is read: %s', (_name, from, hex, expected) => {
    expect(read(from, hex)).toMatchObject(expected);
  });

  it.each([
    ['a reserved bit', 'origin', 'a100', 'a reserved bit is set'],
    ['another reserved bit', 'origin', '9100', 'a reserved bit is set'],
    ['a reserved opcode', 'origin', '8300', 'a reserved opcode: 3'],
    ['a reserved control opcode', 'origin', '8b00', 'a reserved opcode: 11'],
    ['a client that does not mask', 'client', '810548656c6c6f', 'a frame without mask'],
    ['an origin that masks', 'origin', '818537fa213d7f9f4d5158', 'a masked frame'],
    ['a fragment of a ping', 'origin', '0900', 'a control frame in fragments'],
    ['a compressed ping', 'origin', 'c900', 'a compressed control frame'],
    ['a ping of 126 bytes', 'origin', '897e007e', 'a control frame beyond 125 bytes'],
    ['125 in two bytes', 'origin', '827e007d', 'a length that is not in its shortest form'],
    ['65535 in eight bytes', 'origin', '827f000000000000ffff', 'a length that is not in its shortest form'],
    ['the highest bit of a length', 'origin', '827f8000000000000000', 'a length beyond all bounds'],
  ] as const)('is refused: %s', (_name, from, hex, fault) => {
    expect(read(from, hex)).toMatchObject({ size: 0, fault });
  });

  it('waits for the bytes that it lacks', () => {
    const whole = 'c2fe7fff01020304';
    for (let length = 0; length < whole.length; length += 2) {
      expect(read('client', whole.slice(0, length))).toMatchObject({ size: 0, fault: '' });
    }
    expect(read('client', whole)).toMatchObject({ size: 8, length: 0x7fff });
  });
});

describe('masking', () => {
  it('is undone from any offset of the payload', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        fc.nat(300),
        (plain, key, at) => {
          const masked = Buffer.from(plain.map((byte, index) => byte ^ (key[index & 3] ?? 0)));
          const from = Math.min(at, plain.length);
          const mask = Buffer.from(key).readInt32LE(0);
          expect(unmasked(masked, from, plain.length, mask, from)).toEqual(Buffer.from(plain.subarray(from)));
        },
      ),
    );
  });

  it('hides what the gateway says to an origin', () => {
    expect(closeFrame(1008, 'no', undefined).toString('hex')).toBe('880403f06e6f');
    const masked = closeFrame(1008, 'no', Buffer.from([1, 2, 3, 4]));
    expect(masked.toString('hex')).toBe('88840102030402f26d6b');
    expect(closeFrame(1008, 'x'.repeat(500), undefined)).toHaveLength(127);
  });
});

describe('a Close frame', () => {
  it.each([
    ['', ''],
    ['03e8', ''],
    ['0bb8', ''],
    ['1387616263', ''],
    ['03', 'a Close frame of one byte'],
    ['03ed', 'a close code that no peer may send: 1005'],
    ['03ee', 'a close code that no peer may send: 1006'],
    ['03f7', 'a close code that no peer may send: 1015'],
    ['03e7', 'a close code that no peer may send: 999'],
    ['0bb7', 'a close code that no peer may send: 2999'],
    ['1388', 'a close code that no peer may send: 5000'],
    ['03e8ff', 'a close reason that is no UTF-8'],
  ])('%s: %s', (hex, fault) => {
    expect(closeFault(Buffer.from(hex, 'hex'))).toBe(fault);
  });
});

describe('text in pieces', () => {
  const isText = (bytes: Buffer, cuts: readonly number[]): boolean => {
    const stream = new Utf8Stream();
    const ends = [...new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
    let from = 0;
    for (const end of ends) {
      if (!stream.push(bytes.subarray(from, end))) return false;
      from = end;
    }
    return stream.end();
  };

  it('is judged as the whole is, wherever it is cut', () => {
    const decoder = new TextDecoder('utf-8', { fatal: true });
    const bytes = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }).map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 8 }).map((array) => Buffer.from(array)),
    );
    fc.assert(
      fc.property(bytes, fc.array(fc.nat(100), { maxLength: 6 }), (text, cuts) => {
        let isUtf8 = true;
        try {
          decoder.decode(text);
        } catch {
          isUtf8 = false;
        }
        expect(isText(text, cuts)).toBe(isUtf8);
      }),
      { numRuns: 500 },
    );
  });

  it('is refused as soon as nothing can mend it', () => {
    for (const hex of ['eda0', 'f490', 'c0', 'f8', 'e080', 'f08f']) {
      expect(new Utf8Stream().push(Buffer.from(hex, 'hex')), hex).toBe(false);
    }
  });
});

describe('the handshake', () => {
  // The example of RFC 6455 section 1.3.
  const asked: readonly Header[] = [
    ['Upgrade', 'websocket'],
    ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
    ['Sec-WebSocket-Version', '13'],
  ];
  const answered: readonly Header[] = [['Sec-WebSocket-Accept', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=']];
  const request = (...more: Header[]): RequestHead => requestHead({ headers: [...asked, ...more] });
  const response = (...more: Header[]): ResponseHead => responseHead({ status: 101, headers: [...answered, ...more] });
  const offer: Header = ['Sec-WebSocket-Extensions', 'permessage-deflate; client_max_window_bits, x-other'];
  const agree = (value: string): Header => ['sec-websocket-extensions', value];

  it('without an extension', () => {
    expect(readHandshake(request(offer), response())).toEqual({ kind: 'agreed', agreement: { deflate: undefined } });
  });

  it.each([
    ['permessage-deflate', { client: true, origin: true }],
    ['permessage-deflate; server_no_context_takeover', { client: true, origin: false }],
    ['permessage-deflate;client_no_context_takeover;server_max_window_bits="9"', { client: false, origin: true }],
  ])('with %s', (value, keepsContext) => {
    const agreement = { deflate: { keepsContext } };
    expect(readHandshake(request(offer), response(agree(value)))).toEqual({ kind: 'agreed', agreement });
  });

  it.each([
    ['a parameter that nobody knows', 'permessage-deflate; turbo'],
    ['a window that does not exist', 'permessage-deflate; server_max_window_bits=7'],
    ['a parameter twice', 'permessage-deflate; server_no_context_takeover; server_no_context_takeover'],
    ['an extension twice', 'permessage-deflate, permessage-deflate'],
    ['an extension that was not offered', 'x-webkit-deflate-frame'],
  ])('is refused with %s', (_name, value) => {
    expect(readConnectHandshake(request(offer), response(agree(value)))).toMatchObject({ kind: 'fault' });
  });

  it('with an extension that nobody here reads is a foreign one', () => {
    expect(readHandshake(request(offer), response(agree('x-other')))).toEqual({
      kind: 'foreign',
      extension: 'x-other',
    });
  });

  it.each([
    ['another key', response().headers, [['Sec-WebSocket-Key', 'AAAAAAAAAAAAAAAAAAAAAA=='], asked[2]]],
    ['no key', response().headers, [asked[2]]],
    ['another version', response().headers, [asked[1], ['Sec-WebSocket-Version', '8']]],
    ['no answer', [], asked],
  ])('is refused with %s', (_name, answer, question) => {
    const broken = readHandshake(
      requestHead({ headers: question as Header[] }),
      responseHead({ status: 101, headers: answer as Header[] }),
    );
    expect(broken.kind).toBe('fault');
  });
});

describe('a compressed message', () => {
  const inflate = (hex: string) => new MessageInflater(true).inflate(Buffer.from(hex, 'hex'));

  // RFC 7692 section 7.2.3.
  it.each([
    ['one block', 'f248cdc9c90700', 'Hello'],
    ['a block without compression', '000500faff48656c6c6f00', 'Hello'],
    ['two blocks', 'f248050000 00ffffcac9c90700'.replace(' ', ''), 'Hello'],
    ['nothing', '00', ''],
  ])('is inflated: %s', (_name, hex, text) => {
    expect(inflate(hex)).toEqual({ kind: 'inflated', bytes: Buffer.from(text) });
  });

  it('may refer to those before it', () => {
    const inflater = new MessageInflater(true);
    inflater.inflate(Buffer.from('f248cdc9c90700', 'hex'));
    expect(inflater.inflate(Buffer.from('f200110000', 'hex'))).toEqual({
      kind: 'inflated',
      bytes: Buffer.from('Hello'),
    });
    expect(new MessageInflater(false).inflate(Buffer.from('f200110000', 'hex')).kind).toBe('fault');
  });

  it.each([
    ['a final block, behind which receivers differ', 'f348cdc9c9070000'],
    ['a block that goes on into the next message', '000e00f1ff48656c6c6f'],
    ['a block that ends within the next message', '001400ebff48656c6c6f'],
    ['a block that ends within what the gateway puts behind it', '000a00f5ff48656c6c6f'],
    ['a block that is cut', 'f248cd'],
    ['garbage', 'ffffffff'],
  ])('is refused: %s', (_name, hex) => {
    expect(inflate(hex).kind).toBe('fault');
  });

  it('is refused when it grows beyond all measure', () => {
    const bomb = deflateRawSync(Buffer.alloc(8_000_000), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
    expect(bomb.length).toBeLessThan(10_000);
    expect(new MessageInflater(true).inflate(bomb)).toEqual({ kind: 'too-large' });
  });

  it('is inflated as zlib wrote it, over many messages and a window of any size', async () => {
    for (const windowBits of [9, 12, 15]) {
      const deflate = createDeflateRaw({ windowBits });
      const inflater = new MessageInflater(true);
      for (let index = 0; index < 60; index += 1) {
        const text = Buffer.from(
          `${'the same words again '.repeat(index * 20)}${index} ${Math.imul(index, 0x9e3779b1)}`,
        );
        deflate.write(text);
        await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, resolve));
        const compressed = deflate.read() as Buffer;
        const inflated = inflater.inflate(compressed.subarray(0, -4));
        expect(inflated.kind === 'inflated' && inflated.bytes.equals(text)).toBe(true);
      }
      deflate.destroy();
    }
  });
});
