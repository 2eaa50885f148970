import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CardNumber, CardNumberScanner } from '../../src/core/card-number.ts';

/** Numbers that card networks and payment services publish for tests, and others made with a right check digit. */
const cards: readonly (readonly [issuer: string, digits: string])[] = [
  ['Visa, 16 digits', '4111111111111111'],
  ['Visa, 13 digits', '4222222222222'],
  ['Visa, 19 digits', withCheckDigit('400000000000000000')],
  ['Mastercard', '5555555555554444'],
  ['Mastercard, 2-series', '2223003122003222'],
  ['American Express', '378282246310005'],
  ['Discover', '6011111111111117'],
  ['Diners Club', '30569309025904'],
  ['Diners Club, 36', '36227206271667'],
  ['JCB', '3530111333300000'],
  ['UnionPay', '6200000000000005'],
  ['Maestro', '6759649826438453'],
  ['Mir', withCheckDigit('220000000000000')],
];

describe('card numbers are found', () => {
  test.each(cards)('%s', (_, digits) => {
    expect(digitsIn(digits)).toEqual([digits]);
    expect(digitsIn(`{"pan":"${digits}"}`)).toEqual([digits]);
  });

  test.each([
    ['4111 1111 1111 1111', 'spaces'],
    ['4111-1111-1111-1111', 'hyphens'],
    ['4111+1111+1111+1111', 'form encoding'],
    ['4111%201111%201111%201111', 'percent encoding'],
    ['4111%2b1111%2b1111%2b1111', 'escapes in lower case'],
    ['4111%2d1111%2d1111%2d1111', 'escaped hyphens in lower case'],
    ['card%3D4111111111111111%26cvv', 'percent escapes around it'],
    ['%204111111111111111', 'a percent escape that ends in a digit before it'],
    ['\\n4111111111111111', 'a JSON escape before it'],
    ['4111111111111111.', 'the end of a sentence'],
    ['No.4111111111111111', 'a dot that is no decimal point'],
    ['卡号4111111111111111。', 'text that is not ASCII'],
    ['123 4111 1111 1111 1111 12/29 456', 'numbers around it'],
    ['1234-4111111111111111', 'a number joined to it'],
    ['4111 1111-4111111111111111', 'another separator before it'],
    ['7411111111111111 4111111111111111', 'a number of the same shape before it'],
  ])('in %j: %s', (text) => {
    expect(digitsIn(text)).toEqual(['4111111111111111']);
  });

  test('with their place and length as written', () => {
    const [found] = numbersIn('pan: 4111 1111 1111 1111;');
    expect(found).toEqual({ digits: '4111111111111111', offset: 5, bytes: 19, readTo: 25 });
  });

  test('several in one text', () => {
    const all = cards.map(([, digits]) => digits);
    expect(digitsIn(all.join('\n'))).toEqual(all);
    expect(digitsIn(all.join(', '))).toEqual(all);
  });
});

describe('other numbers are not', () => {
  test.each([
    ['4111111111111112', 'a wrong check digit'],
    ['41111111111111110', 'a length that the issuer does not use'],
    ['9111111111111111', 'no issuer'],
    ['04111111111111111', 'a part of a longer run'],
    ['4111111111111111000000', 'a run of more than 19 digits'],
    ['x4111111111111111', 'a letter before'],
    ['4111111111111111x', 'a letter after'],
    ['_4111111111111111', 'an underscore before'],
    ['0.4111111111111111', 'a fraction'],
    ['3.14111111111111111', 'a fraction of another number'],
    ['4111  1111  1111  1111', 'two spaces between groups'],
    ['4111 1111-1111 1111', 'mixed separators'],
    ['41 11 11 11 11 11 11 11', 'pairs'],
    ['4,111,111,111,111,111', 'thousands'],
    ['1700000000000', 'a time in milliseconds'],
    ['550e8400-e29b-41d4-a716-446655440000', 'a UUID'],
    ['sha256:4111111111111111a4111111111111111', 'a digest'],
    ['0000000000000000', 'zeros'],
  ])('%s: %s', (text) => {
    expect(digitsIn(text)).toEqual([]);
  });
});

test('the cut of a stream into chunks changes nothing', () => {
  const text =
    'a=4111+1111+1111+1111&b=%204222222222222%0A378282246310005 x4111111111111111 0.4111111111111111 ' +
    '5555-5555-5555-4444%%4%2 1234 6011111111111117 4111 1111-4111111111111111\\n30569309025904';
  const whole = numbersIn(text);
  expect(whole.map(({ digits }) => digits)).toEqual([
    '4111111111111111',
    '4222222222222',
    '378282246310005',
    '5555555555554444',
    '6011111111111117',
    '4111111111111111',
    '30569309025904',
  ]);
  for (let cut = 0; cut <= text.length; cut++) expect(numbersIn(text.slice(0, cut), text.slice(cut))).toEqual(whole);
  expect(numbersIn(...text)).toEqual(whole);
});

test('any text, cut anywhere: the same numbers, all of them in the text', () => {
  const piece = fc.constantFrom(
    '4111111111111111',
    '4111',
    '1111',
    '378282246310005',
    ' ',
    '-',
    '+',
    '%20',
    '%',
    '%3',
    '.',
    'a',
    '0',
    '\\n',
    '_',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), fc.array(fc.nat(200), { maxLength: 4 }), (pieces, cuts) => {
      const text = pieces.join('');
      const whole = numbersIn(text);
      expect(numbersIn(...cutAt(text, cuts))).toEqual(whole);
      for (const { digits, offset, bytes } of whole) {
        const written = text.slice(offset, offset + bytes);
        expect(decodeURIComponent(written).replace(/[ +-]/g, '')).toBe(digits);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('what is jumped over changes nothing: the same numbers as byte by byte', () => {
  const piece = fc.oneof(
    fc.constantFrom(...cards.map(([, digits]) => digits)),
    fc.constantFrom('4111 1111-1111+1111', '4111%2d1111%2D1111%2B1111', escaped('4111111111111111'), '41111111'),
    fc.constantFrom('%5C', '%5Cn', '%0A', '%7E', '%D', '%B4', '%2', '%', '%%', '%3', '%34', '%2E', '%30%2E', '%61'),
    fc.constantFrom(' ', '-', '+', '  ', 'D', 'd', 'B', 'b', 'a', 'A', 'n', '\\', '\\n', '.', '0.', '_', '5', '41'),
    fc.constantFrom(' '.repeat(30), '0'.repeat(30), 'x'.repeat(30), 'DB'.repeat(9), '%2'.repeat(9), '12 '.repeat(8)),
  );
  const input = fc.tuple(fc.array(piece, { maxLength: 40 }), fc.array(fc.nat(400), { maxLength: 3 }));
  fc.assert(
    fc.property(input, ([pieces, cuts]) => {
      const text = pieces.join('');
      expect(numbersIn(...cutAt(text, cuts))).toEqual(numbersIn(...text));
    }),
    { numRuns: 5_000 },
  );
});

test.each([
  '%5Cn',
  '\\n',
  '%20',
  '%0A',
  '%3D',
  '%41',
  '%2E',
  '0.',
  '%30.',
  '.',
  'x',
  '%%',
  '%3',
  'D',
  '%D',
  '%2 ',
  '%5C%6E',
])('what stands before a number decides, wherever the text before it ends: %j', (before) => {
  for (let filler = 0; filler < 40; filler++) {
    for (const card of ['4111111111111111', '4111 1111 1111 1111', escaped('4222222222222')]) {
      const text = `${'x'.repeat(filler)}${before}${card};${'~'.repeat(filler)}${before}${card}`;
      expect(numbersIn(text)).toEqual(numbersIn(...text));
    }
  }
});

function escaped(text: string): string {
  return [...text].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join('');
}

function numbersIn(...chunks: readonly string[]): readonly CardNumber[] {
  const scanner = new CardNumberScanner();
  return [...chunks.flatMap((chunk) => scanner.push(Buffer.from(chunk))), ...scanner.end()];
}

function digitsIn(text: string): readonly string[] {
  return numbersIn(text).map(({ digits }) => digits);
}

function cutAt(text: string, cuts: readonly number[]): readonly string[] {
  const at = [0, ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b), text.length];
  return at.slice(1).map((end, index) => text.slice(at[index], end));
}

function withCheckDigit(digits: string): string {
  const sum = [...digits].reverse().reduce((total, digit, index) => {
    const value = Number(digit) * (index % 2 === 0 ? 2 : 1);
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return digits + ((10 - (sum % 10)) % 10);
}
