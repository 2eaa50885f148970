import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mask } from '../../src/core/mask.ts';
import { maskSensitive, sensitiveLiterals } from '../../src/core/sensitive.ts';
import { headerMaskOf, maskHeaderValue, maskText } from '../../src/records/redact.ts';
import { isSuspect, screenBytes } from '../../src/records/screen.ts';

const anyCase = (literal: string) =>
  fc
    .array(fc.boolean(), { minLength: literal.length, maxLength: literal.length })
    .map((upper) =>
      [...literal].map((char, index) => (upper[index] ? char.toUpperCase() : char.toLowerCase())).join(''),
    );
const literal = fc.constantFrom(...sensitiveLiterals).chain(anyCase);
const filler = fc.string({ unit: fc.constantFrom(...'abc xyz 019 .,;:=&?/"{}[]<>%+-_é\n'), maxLength: 24 });
const cardDigits = fc.constantFrom('4111111111111111', '378282246310005', '6011000990139424', '30569309025904');
const separators = fc.constantFrom('', ' ', '-', '+', '%20', '%2B', '%2d');
const card = fc
  .tuple(cardDigits, separators)
  .map(([digits, separator]) => digits.replace(/(\d{4})(?=\d)/g, `$1${separator}`));
const text = fc.array(fc.oneof(filler, filler, literal, card), { maxLength: 6 }).map((parts) => parts.join(''));

describe('the screen', () => {
  test('lets nothing pass that would be masked', () => {
    fc.assert(
      fc.property(text, (sample) => {
        if (isSuspect(sample)) return;
        expect(maskSensitive(sample)).toBe(sample);
      }),
      { numRuns: 3_000 },
    );
  });

  test('judges bytes as it judges text', () => {
    fc.assert(
      fc.property(text, (sample) => {
        expect(screenBytes(Buffer.from(sample)) !== 'clear').toBe(isSuspect(Buffer.from(sample).toString('latin1')));
      }),
    );
  });

  test('finds every literal at every alignment, in any case, and at the very end', () => {
    for (const word of sensitiveLiterals) {
      for (const before of ['', 'x', 'xy', 'é ']) {
        for (const after of ['', 'z', '=1']) {
          expect([word, before, after, isSuspect(before + word.toUpperCase() + after)]).toEqual([
            word,
            before,
            after,
            true,
          ]);
          expect(screenBytes(Buffer.from(before + word + after))).toBe('suspect');
        }
      }
    }
  });

  test('passes what is plain', () => {
    for (const plain of ['', 'a', '/api/v1/items/42?limit=10', 'Thu, 15 Jan 2026 09:30:00 GMT', 'W/"65a4f1c2-400"']) {
      expect(isSuspect(plain)).toBe(false);
    }
  });

  test('takes a control character for the mark of what is no text', () => {
    expect(screenBytes(Buffer.from('plain text\twith tabs\r\nand lines'))).toBe('clear');
    expect(screenBytes(Buffer.from([0x50, 0x4b, 0x03, 0x04]))).toBe('binary');
    expect(screenBytes(Buffer.from([0x41, 0x7f]))).toBe('binary');
  });

  test('looks at what is too long to be screened', () => {
    expect(isSuspect('x'.repeat(70_000))).toBe(true);
    expect(screenBytes(Buffer.alloc(70_000, 'x'))).toBe('suspect');
  });
});

describe('header values', () => {
  test.each([
    ['Authorization', 'Basic dXNlcjpodW50ZXIy', 'Basic ****'],
    ['authorization', 'bearer abc.def.ghi', 'bearer ****'],
    ['Authorization', 'tokenwithoutscheme', '****'],
    ['Proxy-Authorization', 'Digest username="u", response="6629fae4"', 'Digest ****'],
    ['Cookie', 'sid=abc; theme=dark;x', 'sid=****; theme=****;****'],
    ['Cookie', 'lonely', '****'],
    ['Set-Cookie', 'sid=31d4d96e; Path=/; HttpOnly; SameSite=Lax', 'sid=****; Path=/; HttpOnly; SameSite=Lax'],
    ['Set-Cookie', '31d4d96e', '****'],
    ['X-Api-Key', '1234', '****'],
    ['X-Auth-Token', 'gAAAA', '****'],
    ['X-Csrf-Token', 'gAAAA', '****'],
    ['x-amz-security-token', 'IQoJ', '****'],
    ['Ocp-Apim-Subscription-Key', '0f1e', '****'],
    ['Location', 'https://shop.example/back?access_token=abc&x=1', 'https://shop.example/back?access_token=****&x=1'],
    ['Referer', 'https://user:pa55@shop.example/', 'https://user:****@shop.example/'],
    [
      'Referer',
      'https://shop.example/go?to=https%3A%2F%2Fu%3Apa55%40host%2F',
      'https://shop.example/go?to=https%3A%2F%2Fu%3A****%40host%2F',
    ],
    ['X-Card', '4111 1111 1111 1111', '411111******1111'],
    ['Access-Control-Allow-Headers', 'authorization, x-csrf-token', 'authorization, x-csrf-token'],
    ['User-Agent', 'curl/8.5.0', 'curl/8.5.0'],
    ['Content-Type', 'text/html', 'text/html'],
  ])('%s: %s', (name, value, shown) => {
    expect(maskHeaderValue(headerMaskOf(name), value)).toBe(shown);
  });

  test('a credential never survives in any of the fields that hold one', () => {
    const secret = fc.string({ unit: fc.constantFrom(...'abcdefXYZ0189+/=._-~'), minLength: 8, maxLength: 40 });
    const name = fc.constantFrom('Authorization', 'PROXY-AUTHORIZATION', 'Cookie', 'Set-Cookie', 'X-Secret', 'Api-Key');
    fc.assert(
      fc.property(name, secret, (header, value) => {
        fc.pre(!value.includes('='));
        const sent = /cookie/i.test(header) ? `n=${value}` : `Bearer ${value}`;
        expect(maskHeaderValue(headerMaskOf(header), sent)).not.toContain(value);
      }),
    );
  });
});

describe('text', () => {
  test.each([
    ['/login?user=ann&password=hunter2', `/login?user=ann&password=${mask}`],
    ['/x?api_key=abc&card=4111111111111111', `/x?api_key=${mask}&card=411111******1111`],
    ['ftp://ann:hunter2@files.example/', `ftp://ann:${mask}@files.example/`],
    ['mail ann@example.com', 'mail ann@example.com'],
    ['/plain', '/plain'],
  ])('%s', (given, shown) => {
    expect(maskText(given)).toBe(shown);
  });
});

test.each([
  ['Cookie2', 'SID=abc', `SID=${mask}`],
  ['Set-Cookie2', 'SID=abc; Version=1', `SID=${mask}; Version=1`],
])('%s is masked as its successor is', (name, value, masked) => {
  expect(maskHeaderValue(headerMaskOf(name), value)).toBe(masked);
});
