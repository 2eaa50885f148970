import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { textStream } from '../../src/codec/text-decoder.ts';
import { TextReader, textDeclaration } from '../../src/codec/text-encoding.ts';

const declared = (...types: string[]) => textDeclaration(types.map((type) => ['Content-Type', type]));

describe('a Content-Type', () => {
  test.each([
    ['text/html; charset=utf-8', undefined],
    ['text/html; charset = "UTF-8" ;', undefined],
    ['application/json;charset=ISO-8859-1', 'windows-1252'],
    ['text/html; x=", y"; charset=big5', 'big5'],
    ['application/vnd.acme; charset=utf-16le', 'utf-16le'],
    ['application/octet-stream;charset=ISO-8859-1', undefined],
    ['image/png; charset=utf-16', undefined],
  ])('says the encoding of its text: %s', (type, encoding) => {
    expect(declared(type)).toMatchObject({ encoding });
    expect(declared(type).doubt).toBeUndefined();
    expect(declared(type, type).doubt).toBeUndefined();
  });

  test.each([
    ['text/html; x=";charset=utf-8"; charset=utf-16le', 'utf-16le', 'several charsets'],
    ['text/html; charset=utf-8; charset=big5', undefined, 'several charsets'],
    ['text/html; charset =big5', 'big5', 'several charsets'],
    ["text/html; charset='big5'", 'big5', 'several charsets'],
    ['text/html; charset=utf-8, text/html; charset=big5', undefined, 'several content types'],
    ['text/html; charset=none-such', undefined, 'charset none-such'],
  ])('is in doubt where its readers may find another: %s', (type, encoding, doubt) => {
    expect(declared(type)).toMatchObject({ encoding, doubt });
  });

  test('is in doubt where there are two', () => {
    expect(declared('text/html; charset=utf-8', 'text/html; charset=utf-16le').doubt).toBe('several content types');
  });
});

const read = (bytes: Buffer, pieceBytes: number, markup?: 'xml') => {
  const reader = new TextReader(undefined, markup);
  const text: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) text.push(reader.push(bytes.subarray(at, at + pieceBytes)));
  text.push(reader.end());
  return { text: Buffer.concat(text).toString(), problem: reader.problem };
};

describe('text of wide characters without a byte order mark', () => {
  const json = '{"a":"Moonbeam"}';
  const little = Buffer.from(json, 'utf16le');

  test.each([1, 2, 3, 5, 100])('is known by its begin, in pieces of %i', (pieceBytes) => {
    expect(read(little, pieceBytes)).toEqual({ text: json, problem: undefined });
    expect(read(Buffer.from(little).swap16(), pieceBytes)).toEqual({ text: json, problem: undefined });
    expect(read(Buffer.from('<?xml version="1.0"?><a/>', 'utf16le'), pieceBytes, 'xml').text).toContain('<a/>');
  });

  test.each([
    ['charset utf-32', Buffer.from([...Buffer.from(json)].flatMap((byte) => [byte, 0, 0, 0])), undefined],
    ['charset utf-32', Buffer.from([0, 0, 0xfe, 0xff, 0, 0, 0, 0x7b]), undefined],
    ['charset ebcdic', Buffer.from('4c6fa7945c', 'hex'), 'xml' as const],
    ['charset utf-7', Buffer.from('<?xml version="1.0" encoding="utf-7"?>+ADw-a/>'), 'xml' as const],
  ])('is told of where it cannot be read: %s', (problem, bytes, markup) => {
    for (const pieceBytes of [1, 3, 100]) expect(read(bytes, pieceBytes, markup).problem).toBe(problem);
  });

  test.each(['{"a":1}', '', '<', '\0\0\0 ftypmp42', '\0\x01\0\0', 'MZ\x90\0\x03\0'])('is not %j', (text) => {
    const bytes = Buffer.from(text, 'latin1');
    expect(read(bytes, 1)).toEqual({ text: bytes.toString(), problem: undefined });
  });
});

describe('text of pairs of bytes', () => {
  test.each([
    ['big5', 'a4a4a4e5', '中文'],
    ['shift_jis', '93fa967bb1', '日本ｱ'],
  ])('in %s is what it is everywhere', (label, hex, text) => {
    expect(textStream(label).decode(Buffer.from(hex, 'hex'), { stream: false })).toBe(text);
  });

  test.each([
    ['big5', '\x81'],
    ['big5', '\x81\x81'],
    ['big5', '\xff'],
    ['shift_jis', '\x85'],
    ['shift_jis', '\x85\xff'],
  ])('in %s keeps the ASCII behind bytes that mean nothing with it, as browsers do: %j', (label, before) => {
    const bytes = Buffer.from(`<${before}Secret>`, 'latin1');
    for (const pieceBytes of [1, 2, 3, 100]) {
      const stream = textStream(label);
      let text = '';
      for (let at = 0; at < bytes.length; at += pieceBytes)
        text += stream.decode(bytes.subarray(at, at + pieceBytes), { stream: true });
      expect(text + stream.decode(Buffer.alloc(0), { stream: false })).toMatch(/^<\ufffd*Secret>$/);
    }
  });

  test('never loses ASCII that stands behind ASCII', () => {
    const bytes = fc.uint8Array({ maxLength: 12 });
    fc.assert(
      fc.property(fc.constantFrom('big5', 'shift_jis'), bytes, bytes, (label, one, other) => {
        const all = Buffer.concat([one, Buffer.from('<secret>'), other]);
        expect(textStream(label).decode(all, { stream: false })).toContain('<secret>');
      }),
    );
  });
});
