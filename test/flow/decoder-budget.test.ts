import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ContentDecoder } from '../../src/codec/content-decoder.ts';
import { limits } from '../../src/core/limits.ts';
import { DecoderBudget } from '../../src/flow/decoder-budget.ts';

afterEach(() => void vi.restoreAllMocks());

/** Decodes a body in pieces, between which and in which a clock goes on; returns what is wrong with it. */
function problemOf(body: Buffer, limit: number, betweenMs: number, withinMs: number): string | undefined {
  let nowMs = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  const budget = new DecoderBudget(limit, '192.0.2.1');
  const decoder = new ContentDecoder(['gzip'], budget, () => {
    nowMs += withinMs;
    return true;
  });
  for (let at = 0; at < body.length; at += 1_000) {
    nowMs += betweenMs;
    const piece = body.subarray(at, at + 1_000);
    budget.resume(piece.length);
    decoder.push(piece);
    budget.pause();
  }
  budget.resume(0);
  decoder.end();
  return decoder.problem;
}

describe('undoing the codings of a body is given up', () => {
  const text = gzipSync(Buffer.from(Array.from({ length: 100_000 }, (_, n) => (n * n) % 251)));

  test('after its time, and waiting for the sender does not count', () => {
    expect(problemOf(text, 1e9, 60_000, 0)).toBeUndefined();
    expect(problemOf(text, 1e9, 0, limits.decodedBodyMs / 4)).toBeUndefined();
    expect(problemOf(text, 1e9, 0, limits.decodedBodyMs + 1)).toBe('decoding takes too long');
  });

  test('beyond its size', () => {
    expect(problemOf(text, 100_000, 0, 0)).toBeUndefined();
    expect(problemOf(text, 99_999, 0, 0)).toBe('more than 99999 bytes when decoded');
  });

  test('beyond a growth that no text has, once it is large enough to matter', () => {
    const few = limits.decodedRatioFromBytes;
    expect(problemOf(gzipSync(Buffer.alloc(few)), 1e9, 0, 0)).toBeUndefined();
    expect(problemOf(gzipSync(Buffer.alloc(few * 2)), 1e9, 0, 0)).toBe('more than 200 times as large when decoded');
  });

  test('where the memory of all decoders is taken, which comes back', () => {
    const [one, other] = ['192.0.2.2', '192.0.2.3'].map((address) => new DecoderBudget(1e9, address));
    const share = limits.decoderMemoryBytes * limits.clientShare;
    expect(one?.reserve(share)).toBe(true);
    expect(other?.reserve(limits.decoderMemoryBytes - share - 1_000)).toBe(true);
    expect(problemOf(text, 1e9, 0, 0)).toBe('no memory left to undo codings');
    one?.release(share);
    expect(problemOf(text, 1e9, 0, 0)).toBeUndefined();
    other?.release(limits.decoderMemoryBytes - share - 1_000);
  });

  test('where one client address has its share of it, for that one alone', () => {
    const one = new DecoderBudget(1e9, '192.0.2.1');
    expect(one.reserve(limits.decoderMemoryBytes * limits.clientShare)).toBe(true);
    expect(problemOf(text, 1e9, 0, 0)).toBe('no memory left to undo codings');
    const another = new DecoderBudget(1e9, '192.0.2.2');
    expect(another.reserve(1_000)).toBe(true);
    another.release(1_000);
    one.release(limits.decoderMemoryBytes * limits.clientShare);
    expect(problemOf(text, 1e9, 0, 0)).toBeUndefined();
  });
});
