import { deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { ContentCoding } from '../../src/codec/content-coding.ts';
import { GrpcMessageDecoder } from '../../src/codec/grpc-messages.ts';

function framed(flags: number, message: Buffer): Buffer {
  const prefix = Buffer.from([flags, 0, 0, 0, 0]);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

interface Read {
  readonly text: string;
  readonly problem: string | undefined;
  readonly reserved: number;
}

/** What is read of a body in pieces; at most so many bytes may be made of it. */
function read(body: Buffer, pieceBytes: number, coding: ContentCoding = 'gzip', mostBytes = 1e9): Read {
  let [text, made, reserved] = ['', 0, 0];
  const decoder = new GrpcMessageDecoder(
    coding,
    {
      spend: (bytes) => {
        made += bytes;
        return made > mostBytes ? 'too much' : undefined;
      },
      reserve: (bytes) => {
        reserved += bytes;
        return true;
      },
      release: (bytes) => {
        reserved -= bytes;
      },
    },
    (bytes) => {
      text += bytes.toString('latin1');
      return true;
    },
  );
  for (let at = 0; at < body.length; at += pieceBytes) decoder.push(body.subarray(at, at + pieceBytes));
  decoder.end();
  return { text: text.replace(/[^a-z ]+/g, '|'), problem: decoder.problem, reserved };
}

const first = Buffer.from('the falcon flies at dawn '.repeat(40));
const body = Buffer.concat([
  framed(1, gzipSync(first)),
  framed(0, Buffer.from('plain')),
  framed(1, Buffer.alloc(0)),
  framed(1, gzipSync('last')),
]);
const text = `|${first.toString()}|plain|last`;

describe('messages of gRPC', () => {
  test('are read one by one, coded or not, however they are cut', () => {
    for (const pieceBytes of [1, 2, 3, 5, 7, 11, 64, body.length]) {
      expect(read(body, pieceBytes)).toEqual({ text, problem: undefined, reserved: 0 });
    }
  });

  test('are read as deflate, too', () => {
    expect(read(framed(1, deflateSync('zlib')), 3, 'deflate').text).toBe('|zlib');
  });

  test.each<[string, Buffer, string | undefined]>([
    ['that are cut short', body.subarray(0, -3), 'a message of gRPC is cut short'],
    ['whose prefix is cut short', framed(0, Buffer.from('x')).subarray(0, 3), 'a message of gRPC is cut short'],
    [
      'that are not what their prefix says',
      framed(1, Buffer.from('plain all the same')),
      'not gzip, although labelled so',
    ],
    ['that are none', Buffer.from('{"a": "falcon"}'), 'not gRPC, although labelled so'],
    [
      'of gRPC-Web, with trailers',
      Buffer.concat([framed(1, gzipSync('x')), framed(0x80, Buffer.from('y'))]),
      undefined,
    ],
  ])('%s are told', (_what, bytes, problem) => {
    for (const pieceBytes of [1, 4, bytes.length]) {
      const { problem: told, reserved } = read(bytes, pieceBytes);
      expect([told, reserved]).toEqual([problem, 0]);
    }
    expect(read(Buffer.from('{"a": "falcon"}'), 2).text).toContain('falcon');
  });

  test('cost what is made of them, and something each', () => {
    const bomb = framed(1, gzipSync(Buffer.alloc(1_000_000)));
    expect(read(bomb, 1_000, 'gzip', 100_000)).toMatchObject({ problem: 'too much', reserved: 0 });
    const empty = Buffer.concat(Array.from({ length: 200 }, () => framed(1, Buffer.alloc(0))));
    expect(read(empty, 1_000, 'gzip', 100_000)).toMatchObject({ problem: 'too much', reserved: 0 });
  });
});
