import { expect, test } from 'vitest';
import { nearest } from '../../src/core/suggest.ts';

const keys = ['listeners', 'authority', 'originTrust', 'rules', 'records', 'relays'];

test.each([
  ['listener', 'listeners'],
  ['autority', 'authority'],
  ['origintrust', 'originTrust'],
  ['rlues', 'rules'],
  ['lis', 'listeners'],
  ['record', 'records'],
])('%s was meant to be %s', (word, meant) => {
  expect(nearest(word, keys)).toBe(meant);
});

test.each(['', 'x', 'certificates', 'a'.repeat(1000)])('"%s" was meant to be none of them', (word) => {
  expect(nearest(word, keys)).toBeUndefined();
});
