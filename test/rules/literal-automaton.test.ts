import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
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

test('and in literals that the filter knows', () => {
  const literals = fc.array(fc.uint8Array({ minLength: 3, maxLength: 5, max: 3 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(literals, fc.uint8Array({ minLength: 64, maxLength: 300, max: 4 }), fc.nat(255), (few, bytes, mask) => {
      const moved = (part: Uint8Array) => part.map((byte) => byte ^ mask);
      expect(hitsIn(few.map(moved), moved(bytes))).toEqual(naiveHits(few.map(moved), moved(bytes)));
    }),
    { numRuns: 500 },
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

describe('a text is not walked where no literal may stand', () => {
  const letter = fc.constantFrom('a', 'b', 'A', '-', '\u00e9');
  const word = fc.array(letter, { minLength: 3, maxLength: 14 }).map((parts) => parts.join(''));
  const words = fc.array(word, { minLength: 1, maxLength: 9 });
  /** Literals, their starts and ends, and what holds none of their bytes, so that places are near and far apart. */
  const bodyOf = (literals: readonly string[]) =>
    fc
      .array(
        fc.oneof(
          fc.constantFrom(...literals),
          fc.tuple(fc.constantFrom(...literals), fc.nat(13)).map(([text, cut]) => text.slice(cut)),
          fc.tuple(fc.constantFrom(...literals), fc.nat(13)).map(([text, cut]) => text.slice(0, cut).toUpperCase()),
          letter,
          fc.nat(40).map((count) => '.'.repeat(count)),
        ),
        { minLength: 10, maxLength: 60 },
      )
      .map((parts) => parts.join(''));
  const cuts = fc.array(fc.nat(1_000), { maxLength: 3 });
  const input = words.chain((literals) => fc.record({ literals: fc.constant(literals), body: bodyOf(literals), cuts }));

  test.each([
    ['even', 0],
    ['odd', 1],
  ])('the same hits in the same order and the same state as byte by byte, from an %s address on', (_, skew) => {
    fc.assert(
      fc.property(input, ({ literals, body, cuts: places }) => {
        const automaton = new LiteralAutomaton(literals.map((text) => Buffer.from(text)));
        const bytes = atAddress(Buffer.from(body), skew);
        const cut = [0, ...places.map((place) => Math.min(place, bytes.length)).sort((a, b) => a - b), bytes.length];
        const chunks = cut.slice(1).map((end, index) => bytes.subarray(cut[index], end));
        expect(scanOf(automaton, chunks)).toEqual(
          scanOf(
            automaton,
            [...bytes].map((byte) => Uint8Array.of(byte)),
          ),
        );
      }),
      { numRuns: 2_000 },
    );
  });

  test('cut at every byte', () => {
    const automaton = new LiteralAutomaton(['-----BEGIN', 'secret_access_key', 'SG.'].map((text) => Buffer.from(text)));
    const filler = '. '.repeat(50);
    const bytes = Buffer.from(`${filler}-----begin${filler}x${filler}SECRET_access_key-----BEGINsg.SG.${filler}`);
    const whole = scanOf(automaton, [bytes]);
    expect(whole.hits).toHaveLength(5);
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(scanOf(automaton, [bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(whole);
    }
  });

  test.each([
    ['where a literal may stand everywhere, all is walked', 'secret_access_ke', 0],
    ['and found what is there', 'x secret_access_key', 1],
    ['also far apart', `secret_access_key${'.'.repeat(60)}`, 1],
  ])('%s', (_, unit, each) => {
    const automaton = new LiteralAutomaton([Buffer.from('secret_access_key')]);
    const bytes = Buffer.from(unit.repeat(1_000));
    expect(scanOf(automaton, [bytes]).hits).toHaveLength(1_000 * each);
  });
});

/** The same bytes at an even or odd place of a larger buffer. */
function atAddress(bytes: Buffer, skew: number): Buffer {
  const whole = Buffer.from(new ArrayBuffer(bytes.length + 2));
  whole.set(bytes, skew);
  return whole.subarray(skew, skew + bytes.length);
}

function scanOf(automaton: LiteralAutomaton, chunks: readonly Uint8Array[]) {
  const hits: string[] = [];
  let offset = 0;
  let state = LiteralAutomaton.start;
  for (const chunk of chunks) {
    state = automaton.scan(state, chunk, { literal: (id, end) => hits.push(`${id}@${offset + end}`) });
    offset += chunk.length;
  }
  return { hits, state };
}

/** In no order. */
function hitsIn(literals: readonly Uint8Array[], ...chunks: readonly Uint8Array[]): readonly string[] {
  return scanOf(new LiteralAutomaton(literals), chunks).hits.toSorted();
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
