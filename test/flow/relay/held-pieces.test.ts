import { expect, test } from 'vitest';
import { HeldPieces } from '../../../src/flow/relay/held-pieces.ts';

const body = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index & 0xff));

test('a message of single bytes becomes few pieces, of the same bytes', () => {
  const held = new HeldPieces();
  for (let at = 0; at < body.length; at++) held.push(body.subarray(at, at + 1), at + 1);
  const taken = held.takeAll();
  expect(taken.length).toBeLessThan(1_000);
  expect(Buffer.concat(taken)).toEqual(body);
});

test('nothing behind an offset is taken, however small the pieces and however they are taken', () => {
  const held = new HeldPieces();
  const taken: Buffer[] = [];
  let length = 0;
  for (let at = 0; at < 20_000; at++) {
    held.push(body.subarray(at, at + 1), at + 1);
    if (at % 7 !== 0) continue;
    const offset = Math.max(at - 300, 0);
    const more = held.takeUpTo(offset);
    taken.push(...more);
    for (const piece of more) length += piece.length;
    expect(length).toBeLessThanOrEqual(offset);
    // What is joined waits for its end, no longer.
    expect(length).toBeGreaterThan(offset - 257);
  }
  expect(Buffer.concat([...taken, ...held.takeAll()])).toEqual(body.subarray(0, 20_000));
});
