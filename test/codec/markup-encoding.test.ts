import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { declaredEncoding, markupHeadBytes } from '../../src/codec/markup-encoding.ts';

const htmlOf = (text: string): string | undefined => declaredEncoding(Buffer.from(text), 'html');
const xmlOf = (text: string): string | undefined => declaredEncoding(Buffer.from(text), 'xml');

describe('the encoding that HTML declares', () => {
  test.each<[string, string | undefined]>([
    ['<meta charset=euc-kr>', 'euc-kr'],
    ['<!doctype html><html lang=ko><head><META\nCharSet = "EUC-KR" />', 'euc-kr'],
    ["<meta http-equiv='Content-Type' content='text/html; charset = big5; x'>", 'big5'],
    ['<meta content="text/html;charset=\'gbk\'" http-equiv=content-type>', 'gbk'],
    ['<meta content="text/html; charset=big5">', undefined],
    ['<meta charset=nonsense><meta charset=koi8-r>', 'koi8-r'],
    ['<meta charset="" charset=koi8-r>', undefined],
    ['<!-- <meta charset=big5> --><meta charset=koi8-r>', 'koi8-r'],
    ['<!--><meta charset=big5>', 'big5'],
    ['<p title="<meta charset=big5>"><meta charset=koi8-r>', 'koi8-r'],
    ['</p title="<meta charset=big5>"><meta charset=koi8-r>', 'koi8-r'],
    ['<? <meta charset=big5> ?><meta charset=koi8-r>', 'koi8-r'],
    ['<metal charset=big5>', undefined],
    ['<meta charset=utf-16le>', 'utf-8'],
    ['<meta charset=x-user-defined>', 'windows-1252'],
    ['<?xml version="1.0" encoding="shift_jis"?><html>', 'shift_jis'],
    ['<meta charset=big5', undefined],
    ['<meta charset="big5>', undefined],
    ['charset=big5', undefined],
    [`${' '.repeat(markupHeadBytes)}<meta charset=big5>`, undefined],
  ])('%j: %s', (text, label) => {
    expect(htmlOf(text)).toBe(label);
  });
});

test('XML declares it in its first line alone', () => {
  expect(xmlOf('<?xml version="1.0" encoding=\'euc-jp\'?><a/>')).toBe('euc-jp');
  expect(xmlOf('<?xml version="1.0" encoding="utf-16"?><a/>')).toBe('utf-8');
  expect(xmlOf(' <?xml version="1.0" encoding="euc-jp"?>')).toBeUndefined();
  expect(xmlOf('<a encoding="euc-jp"/>')).toBeUndefined();
  expect(xmlOf('<meta charset=big5>')).toBeUndefined();
});

test('any bytes come to an end, and the whole begin says what a longer one says', () => {
  const parts = fc.constantFrom(
    '<meta ',
    'charset=',
    'big5',
    '"',
    "'",
    '>',
    '<!--',
    '-->',
    '<?xml ',
    'encoding="gbk"',
    '/',
    ' ',
    '<p ',
    '\0',
  );
  fc.assert(
    fc.property(fc.array(parts, { maxLength: 400 }), fc.boolean(), (chosen, isXml) => {
      const text = chosen.join('');
      const label = declaredEncoding(Buffer.from(text), isXml ? 'xml' : 'html');
      if (label !== undefined && (isXml || !text.startsWith('<?xml')))
        expect(declaredEncoding(Buffer.from(`${text}<meta charset=koi8-r>`), isXml ? 'xml' : 'html')).toBe(label);
    }),
    { numRuns: 500 },
  );
});
