import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldedField, maskedField } from '../../src/codec/mail-field-mask.ts';
import { decodeWords } from '../../src/codec/mime-header.ts';

const find = (wanted: string) => (text: string) => {
  const offset = text.indexOf(wanted);
  return offset < 0 ? [] : [{ offset, length: wanted.length }];
};

describe('a field of a mail', () => {
  it('shows nothing of what was found, however it is cut into encoded words, and keeps the rest', () => {
    const text = fc.array(fc.constantFrom('secret', 'ü', ' ', 'word', '日本', '='), { maxLength: 12 });
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 9 }), fc.boolean(), (parts, size, isQuoted) => {
        const bytes = Buffer.from(parts.join('x'));
        const words: string[] = [];
        for (let at = 0; at < bytes.length; at += size) {
          const piece = bytes.subarray(at, at + size);
          const quoted = [...piece].map((byte) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
          words.push(isQuoted ? `=?utf-8?Q?${quoted}?=` : `=?utf-8?b?${piece.toString('base64')}?=`);
        }
        const value = words.join(' ');
        const masked = maskedField(value, find('secret'));
        const shown = Buffer.from(decodeWords(masked ?? value), 'latin1').toString();
        expect(shown).toBe(bytes.toString().replaceAll('secret', '******'));
        for (const word of (masked ?? '').split(' ')) expect(word.length).toBeLessThanOrEqual(75);
      }),
    );
  });

  it('is masked by whole characters, as sent where it is found in no other way, and without end in bounded time', () => {
    const bytes = Buffer.from('aüb').toString('latin1');
    expect(maskedField(bytes, (text) => (text.includes('*') ? [] : [{ offset: 2, length: 1 }]))).toBe('a**b');
    expect(maskedField('=?utf-8?Q?x?=', find('utf-8'))).toBe('=?*****?Q?x?=');
    expect(maskedField('a * b', find('*'))).toBeUndefined();
    expect(maskedField('nothing', find('secret'))).toBeUndefined();
  });

  it('shows nothing of what is found more often than anybody looks, nor of what is found in both forms', () => {
    expect(maskedField('secret '.repeat(1_003), find('secret'))).not.toContain('secret');
    const both = (text: string) =>
      [...text.matchAll(/secret|utf-8/g)].map(({ 0: { length }, index }) => ({ offset: index, length }));
    const masked = maskedField('=?utf-8?Q?a=20secret?= =?utf-8?Q?b?=', both);
    expect(masked).not.toContain('utf-8');
    expect(masked).not.toContain('secret');
    expect(masked).not.toContain(Buffer.from('secret').toString('base64'));
  });

  it('is folded where it is too long for a line, and is the same unfolded', () => {
    expect(foldedField('Subject', 'short one')).toBe('short one');
    const long = `${'x'.repeat(200)} ${'word '.repeat(300)}end`;
    const folded = foldedField('Subject', long);
    expect(folded.replaceAll('\r\n', '')).toBe(long);
    const [first = '', ...rest] = folded.split('\r\n');
    expect(first).toHaveLength(200);
    for (const line of rest) expect(line.length).toBeLessThanOrEqual(78);
  });
});
