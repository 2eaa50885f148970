import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LineQueue } from '../../src/records/line-queue.ts';

/** Takes up to `most` bytes at a time until the queue is empty. */
function drain(queue: LineQueue, most: number): string {
  const parts: Buffer[] = [];
  for (let bytes = queue.take(); bytes !== undefined; bytes = queue.take()) {
    const part = Buffer.from(bytes.subarray(0, most));
    parts.push(part);
    queue.wrote(part.length);
  }
  return Buffer.concat(parts).toString();
}

describe('a queue of lines', () => {
  test('gives out what was put in, in order, whatever is taken at once', () => {
    const lines = fc.array(fc.string({ unit: 'binary', maxLength: 40 }).map((text) => JSON.stringify(text)));
    fc.assert(
      fc.property(lines, fc.integer({ min: 1, max: 90 }), (texts, most) => {
        const queue = new LineQueue(1_000_000);
        for (const text of texts) expect(queue.add(text)).toBe(true);
        expect(queue.lines).toBe(texts.length);
        expect(drain(queue, most)).toBe(texts.map((text) => `${text}\n`).join(''));
        expect([queue.bytes, queue.lines, queue.linesWritten]).toEqual([0, 0, texts.length]);
      }),
    );
  });

  test('takes lines while its first part is being written', () => {
    const queue = new LineQueue(1_000_000);
    queue.add('one');
    const first = queue.take()?.toString();
    queue.add('two');
    queue.wrote(4);
    expect([first, drain(queue, 100)]).toEqual(['one\n', 'two\n']);
  });

  test('takes no more than its bound', () => {
    const queue = new LineQueue(10);
    expect([queue.add('1234'), queue.add('1234'), queue.add('')]).toEqual([true, true, false]);
    expect(drain(queue, 3)).toBe('1234\n1234\n');
    expect(queue.add('1234')).toBe(true);
  });

  test('holds a line larger than a chunk', () => {
    const queue = new LineQueue(10_000_000);
    const line = 'é'.repeat(400_000);
    queue.add('a');
    queue.add(line);
    queue.add('b');
    expect(drain(queue, 65_536)).toBe(`a\n${line}\nb\n`);
  });

  test('skips the rest of a line that was begun, at every place', () => {
    for (let written = 0; written <= 12; written += 1) {
      const queue = new LineQueue(1_000);
      for (const line of ['one', 'two', 'six']) queue.add(line);
      queue.take();
      queue.wrote(written);
      const isBegun = written % 4 !== 0;
      expect(queue.skipBegunLine()).toBe(isBegun);
      expect(drain(queue, 100)).toBe('one\ntwo\nsix\n'.slice(Math.ceil(written / 4) * 4));
      expect(queue.linesWritten).toBe(isBegun ? 2 : 3);
    }
  });
});
