import { describe, expect, test } from 'vitest';
import { FrameReader } from '../../src/codec/http2-frame-reader.ts';
import {
  commonFrameBytes,
  dataFrame,
  flags,
  frameTypes,
  goawayFrame,
  headersFrames,
  windowUpdateFrame,
  writeFrameHeader,
} from '../../src/codec/http2-frames.ts';

function read(reader: FrameReader, chunk: Buffer): Buffer[] {
  reader.push(chunk);
  const frames: Buffer[] = [];
  while (reader.next()) frames.push(Buffer.from(reader.bytes.subarray(reader.from, reader.to)));
  reader.release();
  return frames;
}

function rawFrame(type: number, flag: number, streamId: number, payload: Buffer): Buffer {
  const frame = Buffer.alloc(9 + payload.length);
  writeFrameHeader(frame, 0, payload.length, type, flag, streamId);
  payload.copy(frame, 9);
  return frame;
}

const frames = [
  dataFrame(1, Buffer.from('hello'), false),
  dataFrame(1, Buffer.alloc(0), true),
  windowUpdateFrame(0, 65_535),
  goawayFrame(7, 0),
  headersFrames(0x7fffffff, Buffer.from('block'), true),
];

describe('frames', () => {
  test('come out whole, split at every byte', () => {
    const bytes = Buffer.concat(frames);
    for (let at = 0; at <= bytes.length; at++) {
      const reader = new FrameReader();
      expect([...read(reader, bytes.subarray(0, at)), ...read(reader, bytes.subarray(at))]).toEqual(frames);
      expect(reader.isBetweenFrames).toBe(true);
    }
    const reader = new FrameReader();
    expect([...bytes].flatMap((byte) => read(reader, Buffer.from([byte])))).toEqual(frames);
  });

  test('within a chunk are views on it', () => {
    const reader = new FrameReader();
    const chunk = Buffer.concat(frames);
    reader.push(chunk);
    while (reader.next()) expect(reader.bytes).toBe(chunk);
  });

  test('larger than their receiver takes are refused', () => {
    const reader = new FrameReader();
    expect(read(reader, rawFrame(frameTypes.data, 0, 1, Buffer.alloc(commonFrameBytes + 1)))).toEqual([]);
    expect(reader.isTooLarge).toBe(true);
  });

  test('that would have to be held whole are refused however much the receiver takes', () => {
    const reader = new FrameReader();
    reader.mostFrameBytes = 2 ** 24 - 1;
    expect(read(reader, rawFrame(0xab, 0, 1, Buffer.alloc(65_537)))).toEqual([]);
    expect(reader.isTooLarge).toBe(true);
  });
});

describe('a large DATA frame comes out in pieces that count the same', () => {
  const body = Buffer.from(Array.from({ length: 70_000 }, (_, at) => at & 0xff));

  test.each([
    ['without padding', 0, body],
    ['with padding', flags.padded, Buffer.concat([Buffer.from([255]), body, Buffer.alloc(255)])],
    ['with no bytes of padding', flags.padded, Buffer.concat([Buffer.from([0]), body])],
  ])('%s', (_name, flag, payload) => {
    for (const step of [1_000, 16_393, 100_000]) {
      const reader = new FrameReader();
      reader.mostFrameBytes = 2 ** 20;
      const bytes = Buffer.concat([
        rawFrame(frameTypes.data, flag | flags.endStream, 3, payload),
        windowUpdateFrame(3, 1),
      ]);
      const pieces: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += step) pieces.push(...read(reader, bytes.subarray(at, at + step)));
      expect(pieces.pop()).toEqual(windowUpdateFrame(3, 1));
      expect(pieces.every(({ length }) => length <= 9 + commonFrameBytes)).toBe(true);
      expect(pieces.reduce((sum, piece) => sum + piece.length - 9, 0)).toBe(payload.length);
      expect(pieces.map((piece) => piece[4])).toEqual([...pieces.slice(1).map(() => 0), flag | flags.endStream]);
      expect(pieces.every((piece) => piece.readUInt32BE(5) === 3)).toBe(true);
      const last = pieces.at(-1) ?? Buffer.alloc(0);
      const padding = flag === 0 ? 0 : (last[9] ?? 0);
      const rest = last.subarray(flag === 0 ? 9 : 10, last.length - padding);
      expect(Buffer.concat([...pieces.slice(0, -1).map((piece) => piece.subarray(9)), rest]).equals(body)).toBe(true);
    }
  });
});

test('a long header block is cut into frames that every endpoint takes', () => {
  const block = Buffer.alloc(40_000, 7);
  const pieces = read(new FrameReader(), headersFrames(5, block, true, Buffer.from([0, 0, 0, 3, 16])));
  expect(pieces.map((piece) => [piece[3], piece[4], piece.length - 9])).toEqual([
    [frameTypes.headers, flags.endStream | flags.priority, commonFrameBytes],
    [frameTypes.continuation, 0, commonFrameBytes],
    [frameTypes.continuation, flags.endHeaders, 40_005 - 2 * commonFrameBytes],
  ]);
  expect(Buffer.concat(pieces.map((piece, at) => piece.subarray(at === 0 ? 14 : 9))).equals(block)).toBe(true);
});
