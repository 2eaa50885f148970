import { describe, expect, test } from 'vitest';
import { excerptText } from '../../src/records/excerpt.ts';

const excerpt = (bytes: Buffer | string, more = 0, coding?: string): unknown => {
  const buffer = Buffer.from(bytes);
  const text = excerptText({ excerpt: buffer, bytes: buffer.length + more, coding });
  return text === undefined ? undefined : JSON.parse(text);
};

describe('an excerpt of a body', () => {
  test('is text when it is UTF-8', () => {
    expect(excerpt('Grüße, 世界 🌍\n')).toEqual({ text: 'Grüße, 世界 🌍\n' });
  });

  test('is text when it is ISO 8859-1', () => {
    expect(excerpt(Buffer.from('Grüße', 'latin1'))).toEqual({ text: 'Grüße' });
  });

  test('says that it was cut, also through a character, at every place', () => {
    const whole = Buffer.from('a€🌍b');
    for (let end = 1; end < whole.length; end += 1) {
      const shown = excerpt(whole.subarray(0, end), whole.length - end) as { text: string; is_truncated: boolean };
      expect(shown.is_truncated).toBe(true);
      expect('a€🌍b'.startsWith(shown.text)).toBe(true);
    }
  });

  test('is the first bytes in hex when it is no text', () => {
    expect(excerpt(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]))).toEqual({ hex: '89504e470d0a1a0a' });
    expect(excerpt(Buffer.alloc(100, 1))).toEqual({ hex: '01'.repeat(32), is_truncated: true });
    expect(excerpt(Buffer.from([0xff, 0xfe, 0x80]))).toEqual({ hex: 'fffe80' });
  });

  test('shows no secret in the bytes of what is no text, of any width', () => {
    const narrow = excerpt('password=hunter2\u0001') as { hex: string };
    const wide = excerpt(Buffer.from('password=hunter2', 'utf16le')) as { hex: string };
    for (const { hex } of [narrow, wide]) expect(hex).toHaveLength(16);
  });

  test('is left out when the body is coded: nothing could be found in it', () => {
    expect(excerpt(Buffer.from([0x1f, 0x8b]), 0, 'gzip')).toEqual({ omitted: 'content-encoding gzip' });
  });

  test('is nothing when there is no body', () => {
    expect(excerptText({ excerpt: undefined, bytes: 10, coding: undefined })).toBeUndefined();
    expect(excerpt('')).toBeUndefined();
  });

  test.each([
    ['{"user":"ann","password":"hunter2","nested":{"api_key":"abc"}}', ['hunter2', 'abc'], ['ann']],
    ['user=ann&passwd=hunter2&card=4111-1111-1111-1111', ['hunter2', '4111-1111'], ['ann', '411111******1111']],
    ['<password>hunter2</password>', ['hunter2'], ['<password>']],
    ['-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg', ['MIIEvQ'], ['PRIVATE KEY']],
    ['id = AKIAIOSFODNN7EXAMPLE', ['IOSFODNN7EXAMPLE'], ['AKIA']],
  ])('masks %s', (body, hidden, shown) => {
    const { text } = excerpt(body) as { text: string };
    for (const secret of hidden) expect(text).not.toContain(secret);
    for (const plain of shown) expect(text).toContain(plain);
  });

  test('masks the first part of a card number at its cut end', () => {
    expect(excerpt('card=4111 1111 1111 11', 2)).toEqual({ text: 'card=4111 1****', is_truncated: true });
    expect(excerpt('n=4111 111', 0)).toEqual({ text: 'n=4111 111' });
  });
});
