import { createContext, Script } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Expression } from '../../../src/rules/expression/expression.ts';
import { ExpressionError } from '../../../src/rules/expression/syntax.ts';

describe('an expression finds the match that ends first', () => {
  test.each([
    ['foo', 'a foo', 'foo'],
    ['a|bc', 'zbc', 'bc'],
    ['x[0-9]{3,5}y', 'x12y x1234y', 'x1234y'],
    ['\\bfoo\\b', 'foobar foo', 'foo'],
    ['\\Boo', 'foo', 'oo'],
    ['^ab', 'abab', 'ab'],
    ['ab$', 'abab', 'ab'],
    ['a.c', 'a\nc abc', 'abc'],
    ['[^a-y ]+z', 'az zz', 'zz'],
    ['\\d+-\\w+', 'a12-b', '12-b'],
    ['\\x41\\u0042', 'AB', 'AB'],
    ['a\\.b', 'axb a.b', 'a.b'],
    ['[\\]\\-a]b', '-b', '-b'],
    ['[a-]b', '-b', '-b'],
    ['(?:ab){2}', 'abab', 'abab'],
    ['(?<name>a)b', 'ab', 'ab'],
    ['(?i:AB)c', 'abC aBc', 'aBc'],
    ['机密|绝密', '这是绝密', '绝密'],
    ['[机绝]密', '绝密', '绝密'],
    ['a{,2}', 'a{,2}', 'a{,2}'],
    ['\\/\\*', '/*', '/*'],
  ])('%s in %j', (source, text, match) => {
    const bytes = Buffer.from(text);
    const found = firstMatch(new Expression(source, false), bytes);
    expect(bytes.subarray(found?.offset, (found?.offset ?? 0) + (found?.length ?? 0)).toString()).toBe(match);
  });

  test('without case', () => {
    expect(firstMatch(new Expression('passWord', true), Buffer.from('PASSWORD'))).toEqual({ offset: 0, length: 8 });
    expect(firstMatch(new Expression('[^a]b', true), Buffer.from('Ab'))).toBeUndefined();
    expect(firstMatch(new Expression('a(?-i:B)', true), Buffer.from('Ab'))).toBeUndefined();
  });

  test('all matches that do not overlap', () => {
    const found = [...new Expression('a\\d|b', false).matches(Buffer.from('a1a2b a'))];
    expect(found).toEqual([
      { offset: 0, length: 2 },
      { offset: 2, length: 2 },
      { offset: 4, length: 1 },
    ]);
  });

  test('any bytes', () => {
    expect(firstMatch(new Expression('\\xff[\\x80-\\x8f]\\0', false), Buffer.from([1, 0xff, 0x85, 0]))).toEqual({
      offset: 1,
      length: 3,
    });
  });
});

describe('an expression is refused', () => {
  test.each([
    ['(a)\\1', 'back-references'],
    ['\\k<a>', 'back-references'],
    ['(?=a)', 'lookahead'],
    ['(?!a)b', 'lookahead'],
    ['(?<=a)b', 'lookbehind'],
    ['(?<!a)b', 'lookbehind'],
    ['(?m:a)', 'are groups'],
    ['a**', 'nothing to repeat'],
    ['*a', 'nothing to repeat'],
    ['^*', 'nothing to repeat'],
    ['(a', 'has no ")"'],
    ['a)', 'has no "("'],
    ['[a', 'has no "]"'],
    ['[b-a]', 'out of order'],
    ['a{3,2}', 'out of order'],
    ['a{501}', 'more than 500'],
    ['(?:a{1,30}){1,30}', 'too large'],
    ['a*', 'the empty text'],
    ['\\b', 'the empty text'],
    ['a|', 'the empty text'],
    ['\\q', 'not an escape'],
    ['a\\', 'at the end'],
    ['[^机]', 'negated class'],
    ['[a-机]', 'ASCII'],
    [`${'('.repeat(60)}a${')'.repeat(60)}`, 'groups in each other'],
  ])('%s: %s', (source, reason) => {
    expect(() => new Expression(source, false)).toThrow(ExpressionError);
    expect(() => new Expression(source, false)).toThrow(reason);
  });
});

describe('agreement with RegExp', () => {
  const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\w', '\\W', ' ', '_', '\\b', '\\B', '^', '$');
  const repeat = fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,2}', '{0,1}', '*?');
  const { source } = fc.letrec<{ source: string; part: string }>((tie) => ({
    source: fc.array(tie('part'), { minLength: 1, maxLength: 4 }).map((parts) => parts.join('')),
    part: fc.oneof(
      { depthSize: 'small', maxDepth: 2, withCrossShrink: true },
      fc.tuple(atom, repeat).map(([one, many]) => (/^(?:\\[bB]|\^|\$)$/.test(one) ? one : one + many)),
      fc.tuple(tie('source'), tie('source'), repeat).map(([a, b, many]) => `(?:${a}|${b})${many}`),
    ),
  }));
  const text = fc.array(fc.constantFrom('a', 'b', ' ', '_', '-', 'B'), { maxLength: 8 }).map((parts) => parts.join(''));

  test('the same texts match; the end is the first at which a match can end, the start one from which it can', () => {
    fc.assert(
      fc.property(source, fc.array(text, { minLength: 1, maxLength: 3 }), fc.boolean(), (pattern, texts, nocase) => {
        const expression = compiled(pattern, nocase);
        if (expression === undefined) return;
        for (const each of texts) {
          const found = firstMatch(expression, Buffer.from(each));
          const end = inTime(() => firstEnd(pattern, each, nocase));
          expect(found === undefined ? undefined : found.offset + found.length).toBe(end);
          if (found === undefined || end === undefined) continue;
          expect(inTime(() => startsOf(pattern, each, end, nocase))).toContain(found.offset);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('a cut of the text into chunks changes nothing', () => {
    fc.assert(
      fc.property(source, text, fc.nat(9), (pattern, whole, cut) => {
        const expression = compiled(pattern, false);
        if (expression === undefined) return;
        const bytes = Buffer.from(whole);
        const at = Math.min(cut, bytes.length);
        const cursor = expression.cursor(0, undefined);
        const found =
          expression.advance(cursor, bytes.subarray(0, at), 0, at) ??
          expression.advance(cursor, bytes.subarray(at), at, bytes.length);
        const end = found?.end ?? (expression.matchesAtEnd(cursor) ? bytes.length : undefined);
        expect(end).toBe(inTime(() => firstEnd(pattern, whole, false)));
      }),
      { numRuns: 500 },
    );
  });
});

describe('no expression and no text can make it slow', () => {
  test.each([
    ['(a+)+$', `${'a'.repeat(100_000)}b`],
    ['(a|aa)+$', `${'a'.repeat(100_000)}b`],
    ['(x+x+)+y', 'x'.repeat(100_000)],
    ['^(\\w+\\s?)*!$', 'word '.repeat(20_000)],
    ['.*\\.php\\?.*=.*;', '.php?='.repeat(170_000)],
    ['a.*b.*c.*d.*e', 'abcd'.repeat(50_000)],
  ])('%s reads every byte once', (source, text) => {
    const expression = new Expression(source, false);
    const bytes = Buffer.from(text);
    const cursor = expression.cursor(0, undefined);
    // A text given in one piece is read by one pass of this loop; the bound on states makes each step bounded.
    expect(expression.advance(cursor, bytes, 0, bytes.length)).toBeUndefined();
    expect(cursor.at).toBe(bytes.length);
  });

  test('not even one whose states are more than can be kept', () => {
    const expression = new Expression('a[ab]{60}c', false);
    const random = Buffer.from(fc.sample(fc.constantFrom(0x61, 0x62), { numRuns: 20_000, seed: 1 }));
    expect(firstMatch(expression, random)).toBeUndefined();
    expect(firstMatch(expression, Buffer.concat([random, Buffer.from(`a${'b'.repeat(60)}c`)]))).toBeDefined();
  });
});

function firstMatch(expression: Expression, text: Uint8Array): { offset: number; length: number } | undefined {
  const [first] = expression.matches(text);
  return first;
}

function compiled(pattern: string, nocase: boolean): Expression | undefined {
  try {
    return new Expression(pattern, nocase);
  } catch (error) {
    if (error instanceof ExpressionError) return undefined;
    throw error;
  }
}

const askScript = new Script('ask()');
const watched = createContext({});

/**
 * RegExp tries every way of sharing a text among repetitions in each other, which took it 14 minutes once: what it does not
 * know in time is left out.
 */
function inTime<Result>(ask: () => Result): Result {
  try {
    return askScript.runInContext(Object.assign(watched, { ask }), { timeout: 1_000 });
  } catch (error) {
    fc.pre((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT');
    throw error;
  }
}

/** First offset at which a match that is not empty can end, by trying all of them. */
function firstEnd(pattern: string, text: string, nocase: boolean): number | undefined {
  for (let end = 1; end <= text.length; end++) {
    if (startsOf(pattern, text, end, nocase).length > 0) return end;
  }
  return undefined;
}

function startsOf(pattern: string, text: string, end: number, nocase: boolean): readonly number[] {
  return Array.from({ length: end }, (_, start) => start).filter((start) =>
    new RegExp(`(?<=^[^]{${start}})(?:${pattern})(?=[^]{${text.length - end}}$)`, nocase ? 'i' : '').test(text),
  );
}
