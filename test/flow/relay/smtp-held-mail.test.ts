import { expect, it } from 'vitest';
import { limits } from '../../../src/core/limits.ts';
import { HeldMail } from '../../../src/flow/relay/smtp-held-mail.ts';
import { holdShare } from '../../support/hold-share.ts';

const text = Buffer.from('A mail of single bytes, each received for itself. '.repeat(1_000));

it('a mail of very many pieces is taken in order, all but what is kept, and its memory given back', () => {
  const mostBytes = text.length * (1 + limits.heldPieceBytes);
  const budget = holdShare(mostBytes);
  const held = new HeldMail({ budget, holdBytes: text.length, spool: undefined }, () => {});
  const taken: Buffer[] = [];
  for (let at = 0; at < text.length; at++) {
    held.push(text.subarray(at, at + 1), 1);
    if (at % 10_000 === 9_999) {
      taken.push(...held.take(1_000));
      expect(Buffer.concat(taken)).toEqual(text.subarray(0, at + 1 - 1_000));
    }
  }
  expect(held.mayWait(0)).toBe(true);
  taken.push(...held.take(0));
  expect(Buffer.concat(taken)).toEqual(text);
  expect(budget.take(mostBytes)).toBe(true);
  expect(budget.take(1)).toBe(false);
});

it('a mail of small pieces is counted with what each of them takes', () => {
  const held = new HeldMail({ budget: holdShare(1_048_576), holdBytes: 1_048_576, spool: undefined }, () => {});
  let pieces = 0;
  for (; held.mayWait(0) && pieces < 10_000; pieces++) held.push(text.subarray(pieces, pieces + 1), 1);
  expect(pieces).toBe(Math.ceil(1_048_577 / (1 + limits.heldPieceBytes)));
  held.drop();
});
