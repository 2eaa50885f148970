import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileSpans } from '../../src/rules/head-test.ts';
import { planRedaction, RedactionScan } from '../../src/rules/redaction.ts';

const rule = { id: 'r', title: 't', severity: 'high' } as never;

/** What is left of a text that comes in chunks. Bytes go on as soon as the scan lets them: a place told later comes too late. */
function masked(
  regex: string,
  near: readonly string[],
  text: string,
  sizes: readonly number[] = [text.length],
): string {
  const plan = planRedaction([
    { leaf: 0, test: { field: 'http.request.body', regex, near: [...near] } as never, rule },
  ]);
  if (plan === undefined) throw new Error('no plan');
  const scan = new RedactionScan(plan, () => true);
  const bytes = Buffer.from(text, 'latin1');
  let passed = 0;
  let at = 0;
  const mask = (ranges: ReturnType<RedactionScan['push']>): void => {
    for (const { from, to } of ranges) {
      expect(from).toBeGreaterThanOrEqual(passed);
      bytes.fill('*', from, to);
    }
  };
  for (let index = 0; at < bytes.length; index++) {
    const chunk = Buffer.from(text.slice(at, at + (sizes[index % sizes.length] ?? 1)), 'latin1');
    at += chunk.length;
    mask(scan.push(chunk));
    passed = Math.max(passed, at - scan.pendingBytes);
  }
  mask(scan.end());
  return bytes.toString('latin1');
}

const chunkings = [[1], [2], [3, 1], [7], [64], [1_000]];

describe('a redact rule with an expression', () => {
  test.each([
    ['no: \\d{4,16}', 'no: 1234567890123456 x', '******************** x'],
    ['no: \\d{4,16}', 'no: 12345678', '************'],
    ['no: \\d{4}( \\d{4}){2,4}', 'no: 1111 2222 3333 4444.', '***********************.'],
    ['no: \\d{4}( \\d{4}){2,4}\\b', 'no: 1111 2222 3333 4444 5x', '*********************** 5x'],
    ['no: \\d+\\b', 'no: 12 no: 345x', '****** no: 345x'],
    ['no: \\d+$', 'no: 12', '******'],
    ['no: (ab|abcde)?f?', 'no: abcdx', '******cdx'],
    ['no: a+', `no: ${'a'.repeat(900)}b no: aa`, `${'*'.repeat(904)}b ******`],
  ])('%s masks all of a match in %s, however it comes', (regex, text, expected) => {
    for (const sizes of chunkings) expect([sizes, masked(regex, ['no: '], text, sizes)]).toEqual([sizes, expected]);
  });

  test('lets go what would have to be held for longer than it may', () => {
    const text = `no: ${'a'.repeat(3_000)}`;
    for (const sizes of chunkings)
      expect(masked('no: a+', ['no: '], text, sizes).startsWith('*'.repeat(1_024))).toBe(true);
  });

  test('comes to an end where every match might go on for long, and does not', () => {
    const text = 'abcx'.repeat(3_000);
    for (const sizes of [[100], [1_000], [1_023], [4_096], [text.length]])
      expect(masked('abc(.*Z)?', ['abc'], text, sizes)).toBe('***x'.repeat(3_000));
  });

  test('masks what V8 finds, in any chunks', () => {
    const piece = fc.constantFrom('id-', 'id-1', '12', '345', ' ', 'x', 'id-77 88', '-');
    const size = fc.integer({ min: 1, max: 9 });
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 40 }),
        fc.array(size, { minLength: 1, maxLength: 5 }),
        (pieces, sizes) => {
          const text = pieces.join('');
          const expected = text.replace(/id-\d{1,5}(?: \d{2,3})*/g, (all) => '*'.repeat(all.length));
          expect(masked('id-\\d{1,5}( \\d{2,3})*', ['id-'], text, sizes)).toBe(expected);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('masks all of a match in the head of a mail', () => {
    const find = compileSpans({ field: 'mail.subject', regex: '\\d{4,16}' } as never, 'longest');
    expect([...find('a 12345678 b 1234')].map(({ offset, length }) => [offset, length])).toEqual([
      [2, 8],
      [13, 4],
    ]);
  });
});
