import { describe, expect, test } from 'vitest';
import { partial } from '../../src/codec/http1-bytes.ts';
import { bareLineFeed, findHeadEnd, outgrown, SectionBuffer } from '../../src/codec/http1-section.ts';

describe('a section in pieces', () => {
  const text = 'A: b\r\nC: d\r\n\r\n';

  test.each([1, 2, 3, 5, 13, 14, 20])('of %i bytes is put together', (pieceBytes) => {
    const section = new SectionBuffer(1_000);
    const bytes = Buffer.from(`${text}next`);
    let after = partial;
    let at = 0;
    for (; after === partial; at += pieceBytes) {
      const piece = bytes.subarray(at, at + pieceBytes);
      after = section.append(piece, 0, piece.length);
      if (after === partial) expect(section.isActive).toBe(true);
    }
    expect(at - pieceBytes + after).toBe(text.length);
    expect(section.take().toString()).toBe(text);
    expect(section.isActive).toBe(false);
    expect(section.lines).toBe(0);
  });

  test('may be empty', () => {
    const section = new SectionBuffer(10);
    expect(section.append(Buffer.from('\r'), 0, 1)).toBe(partial);
    expect(section.append(Buffer.from('\nx'), 0, 2)).toBe(1);
    expect(section.take().toString()).toBe('\r\n');
  });

  test('counts its lines', () => {
    const section = new SectionBuffer(100);
    section.append(Buffer.from('A: b\r\nC'), 0, 7);
    expect(section.lines).toBe(1);
  });

  test('is refused at a bare LF, wherever the cut', () => {
    for (const [first, second] of [
      ['A: b', '\n'],
      ['A: b\n', ''],
      ['', 'A\n'],
      ['A\r\n', '\n'],
    ] as const) {
      const section = new SectionBuffer(100);
      const result = section.append(Buffer.from(first), 0, first.length);
      expect(result === bareLineFeed || section.append(Buffer.from(second), 0, second.length) === bareLineFeed).toBe(
        true,
      );
    }
  });

  test('is as long as its limit and no longer', () => {
    const bytes = Buffer.from(`${'x'.repeat(96)}\r\n\r\n`);
    for (const [limit, expected] of [
      [100, 100],
      [99, outgrown],
    ] as const) {
      expect(new SectionBuffer(limit).append(bytes, 0, bytes.length)).toBe(expected);
      const section = new SectionBuffer(limit);
      const results = Array.from(bytes, (_, at) => section.append(bytes, at, at + 1));
      expect(results.at(-1)).toBe(expected);
    }
  });

  test('of 64 KiB byte by byte takes linear time', () => {
    const section = new SectionBuffer(65_536);
    const piece = Buffer.from('x');
    const started = performance.now();
    for (let sent = 0; sent < 65_536; sent++) section.append(piece, 0, 1);
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

test('the end of a head is found in a growing prefix', () => {
  const bytes = Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\nbody');
  const end = bytes.indexOf('body');
  for (let length = 0; length < end; length++) expect(findHeadEnd(bytes.subarray(0, length), length - 1)).toBe(partial);
  for (let length = end; length <= bytes.length; length++)
    expect(findHeadEnd(bytes.subarray(0, length), end - 1)).toBe(end);
  expect(findHeadEnd(bytes)).toBe(end);
});
