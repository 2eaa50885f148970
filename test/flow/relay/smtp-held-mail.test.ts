import { expect, it } from 'vitest';
import { HeldMail } from '../../../src/flow/relay/smtp-held-mail.ts';
import { HoldBudget } from '../../../src/flow/relay/smtp-hold.ts';

const text = Buffer.from('A mail of single bytes, each received for itself. '.repeat(1_000));

it('a mail of very many pieces is taken in order, all but what is kept, and its memory given back', () => {
  const budget = new HoldBudget(text.length);
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
  expect(budget.take(text.length)).toBe(true);
  expect(budget.take(1)).toBe(false);
});
