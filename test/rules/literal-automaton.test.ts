import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LiteralAutomaton } from '../../src/rules/literal-automaton.ts';

test('finds what a search for each literal finds, at the same places, whatever the chunks', () => {
  const letters = fc.constantFrom('a', 'b', 'A', 'B', 'c', '\u00e9', '-');
  const word = fc.array(letters, { minLength: 1, maxLength: 5 }).map((parts) => parts.join(''));
  const text = fc.array(letters, { maxLength: 60 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 12 }), text, fc.nat(60), (words, haystack, cut) => {
      const literals = words.map((each) => Buffer.from(each));
      const bytes = Buffer.from(haystack);
      expect(hitsIn(literals, bytes.subarray(0, cut), bytes.subarray(cut))).toEqual(naiveHits(literals, bytes));
    }),
    { numRuns: 3_000 },
  );
});

test('all bytes may stand in literals and text', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 20 }),
      fc.uint8Array({ maxLength: 300 }),
      (literals, bytes) => {
        expect(hitsIn(literals, bytes)).toEqual(naiveHits(literals, bytes));
      },
    ),
  );
});

test('literals within literals are all reported', () => {
  const literals = ['she', 'he', 'hers', 'his', 'e'].map((word) => Buffer.from(word));
  expect(hitsIn(literals, Buffer.from('uSHErs'))).toEqual(['0@4', '1@4', '2@6', '4@4']);
});

test('more literals than a 16-bit table can number', () => {
  const literals = Array.from({ length: 9_000 }, (_, index) => Buffer.from(`${index}:${(index * 7_919) % 1_000_003}`));
  expect(literals.reduce((sum, { length }) => sum + length, 0)).toBeGreaterThan(65_536);
  const text = Buffer.from(`x${literals[8_999]}y${literals[3]}`);
  expect(hitsIn(literals, text)).toEqual(naiveHits(literals, text));
});

test('no literal at all finds nothing', () => {
  expect(hitsIn([], Buffer.from('anything'))).toEqual([]);
});

function hitsIn(literals: readonly Uint8Array[], ...chunks: readonly Uint8Array[]): readonly string[] {
  const automaton = new LiteralAutomaton(literals);
  const hits: string[] = [];
  let offset = 0;
  let state = LiteralAutomaton.start;
  for (const chunk of chunks) {
    state = automaton.scan(state, chunk, { literal: (id, end) => hits.push(`${id}@${offset + end}`) });
    offset += chunk.length;
  }
  return hits.sort();
}

function naiveHits(literals: readonly Uint8Array[], bytes: Uint8Array): readonly string[] {
  const haystack = folded(bytes);
  return literals
    .flatMap((literal, id) => {
      const needle = folded(literal);
      const hits: string[] = [];
      for (let at = haystack.indexOf(needle); at >= 0; at = haystack.indexOf(needle, at + 1)) {
        hits.push(`${id}@${at + needle.length}`);
      }
      return hits;
    })
    .sort();
}

function folded(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('latin1')
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
