import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDisposition } from '../../src/codec/disposition.ts';
import { FormDataReader } from '../../src/codec/form-data.ts';
import { FormFieldReader } from '../../src/codec/form-fields.ts';
import { multipartType } from '../../src/codec/multipart-type.ts';

interface Part {
  readonly name: string | undefined;
  readonly fileNames: readonly string[];
  readonly type: string | undefined;
  readonly content: string;
}

function partsOf(body: string, pieceBytes = 65_536, boundary = 'x'): { parts: Part[]; problem: string | undefined } {
  const parts: Part[] = [];
  let isOpen = false;
  const reader = new FormDataReader(boundary, {
    part(head) {
      if (isOpen) throw new Error('a part within a part');
      isOpen = true;
      const { names, fileNames, type } = head;
      parts.push({ name: names[0], fileNames, type, content: '' });
    },
    bytes(chunk) {
      const last = parts.pop();
      if (last === undefined || chunk.length === 0) throw new Error('bytes out of place');
      parts.push({ ...last, content: last.content + chunk.toString('latin1') });
    },
    partEnd() {
      isOpen = false;
    },
  });
  const bytes = Buffer.from(body, 'latin1');
  for (let at = 0; at < bytes.length; at += pieceBytes) reader.push(bytes.subarray(at, at + pieceBytes));
  reader.end();
  if (isOpen) throw new Error('a part without its end');
  return { parts, problem: reader.problem };
}

const field = (name: string, content: string): string =>
  `--x\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${content}\r\n`;
const part = (name: string, content: string): Part => ({ name, fileNames: [], type: undefined, content });

describe('multipart', () => {
  const upload =
    `preamble\r\n${field('a', 'one')}${field('empty', '')}` +
    `--x\r\nContent-Type: application/pdf\r\ncontent-disposition: form-data; name=f; filename="a b.pdf"\r\n\r\n%PDF\r\n--y\r\n\n-\r\n` +
    `${field('last', '\r\n--xyz\n\r')}--x--\r\nepilogue --x`;
  const expected = [
    part('a', 'one'),
    part('empty', ''),
    { name: 'f', fileNames: ['a b.pdf'], type: 'application/pdf', content: '%PDF\r\n--y\r\n\n-' },
    part('last', '\r\n--xyz\n\r'),
  ];

  test('is cut into its parts, in pieces of any size', () => {
    for (const pieceBytes of [1, 2, 3, 5, 8, 13, 65_536]) {
      expect(partsOf(upload, pieceBytes)).toEqual({ parts: expected, problem: undefined });
    }
  });

  test('keeps any content that does not hold the boundary', () => {
    const content = fc.string({ unit: fc.constantFrom('\r', '\n', '-', 'x', 'y', 'z', ' '), maxLength: 40 });
    fc.assert(
      fc.property(
        fc.array(content, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 20 }),
        (contents, piece) => {
          // With a letter before each x no boundary can come about.
          const safe = contents.map((text) => text.replaceAll('x', 'qx'));
          const body = `${safe.map((text) => field('n', text)).join('')}--x--`;
          expect(partsOf(body, piece)).toEqual({ parts: safe.map((text) => part('n', text)), problem: undefined });
        },
      ),
      { numRuns: 300 },
    );
  });

  test('is read as leniently as recipients read it', () => {
    const lfOnly = '--x\nContent-Disposition: form-data;\n name="a"\n\nvalue\n--x\nX: y\n\n2\n--x--';
    expect(partsOf(lfOnly)).toEqual({
      parts: [part('a', 'value'), { name: undefined, fileNames: [], type: undefined, content: '2' }],
      problem: undefined,
    });
  });

  test.each([
    ['multipart with line ends of two kinds', `${field('a', `one\n${field('b', '2')}`)}--x--`],
    ['multipart with line ends of two kinds', `${field('a', 'one')}--x\n${field('b', '2').slice(5)}--x--`],
    ['multipart with line ends of two kinds', `${field('a', 'one')}--x\r\nX: y\n\n${field('b', '2')}--x--`],
    ['multipart with blanks behind a boundary', `${field('a', 'one')}--x \r\n${field('b', '2').slice(5)}--x--`],
    ['multipart with a bare CR in a head', `--x\r\nX: y\rContent-Disposition: form-data; name="b"\r\n\r\n2\r\n--x--`],
    ['parts behind the end of multipart', `${field('a', 'one')}--x--\r\n${field('b', '2')}--x--`],
    ['parts behind the end of multipart', `${field('a', 'one')}--x--junk\r\n${field('b', '2')}`],
  ])('is read on, and told of, where recipients read it in several ways: %s', (problem, body) => {
    for (const pieceBytes of [1, 2, 3, 7, 65_536]) {
      const read = partsOf(body, pieceBytes);
      expect(read.problem).toBe(problem);
      expect(read.parts.map(({ content }) => content.trim())).toContain('2');
    }
  });

  test.each([
    ['multipart without its end', field('a', 'one')],
    ['multipart without its end', '--x\r\nContent-Disposition: form-data; name="a"'],
    ['multipart without its end', 'nothing of the kind'],
    ['multipart with a long head', `--x\r\n${'A: b\r\n'.repeat(4_000)}`],
    ['multipart with a long boundary line', `--x${' '.repeat(1_000)}`],
    ['more than 1000 parts', field('a', '').repeat(1_001)],
  ])('says of what it cannot read: %s', (problem, body) => {
    for (const pieceBytes of [100, 65_536]) expect(partsOf(body, pieceBytes).problem).toBe(problem);
  });

  test.each([
    ['multipart/form-data; boundary=----WebKitFormBoundary12', '----WebKitFormBoundary12'],
    ['multipart/form-data; boundary="=_a, b"; charset=utf-8', '=_a, b'],
    ['Multipart/Mixed;charset=x;BOUNDARY=x ;y=z', 'x'],
  ])('has the boundary that its type names: %s', (type, boundary) => {
    expect(multipartType(type)).toEqual({ boundary, doubt: undefined });
  });

  const several = 'multipart with several boundaries';
  const readings = 'multipart with a boundary of several readings';
  const unread = 'multipart without a boundary that can be read';
  test.each([
    // PHP searches the text for the word, and ends what is not quoted at a comma.
    ['multipart/form-data; xboundary=z; boundary=x', 'x', several],
    ['multipart/form-data; boundaryx=z; boundary=x', 'x', several],
    ['multipart/form-data; boundary=x,y', 'x,y', readings],
    ['multipart/form-data; boundary=x y', 'x', readings],
    ['multipart/form-data; boundary="x\\y"', 'xy', readings],
    ['Multipart/Mixed;charset=x; Boundary = "a \\"b"', 'a "b', readings],
    // Werkzeug puts pieces together (RFC 2231).
    ['multipart/form-data; boundary=x; boundary*0=y', 'x', several],
    ["multipart/form-data; boundary=x; boundary*=utf-8''y", 'x', several],
    ['multipart/form-data; boundary*0=x;boundary*1=y', undefined, unread],
    ['multipart/form-data', undefined, unread],
    ['multipart/form-data, boundary=x', undefined, unread],
    [`multipart/form-data; boundary=${'x'.repeat(300)}`, undefined, unread],
  ])('is in doubt where recipients may find another: %s', (type, boundary, doubt) => {
    expect(multipartType(type)).toEqual({ boundary, doubt });
  });

  test('is nothing else', () => {
    expect(multipartType('text/plain; boundary=x')).toBeUndefined();
  });
});

describe('Content-Disposition', () => {
  test.each<[string, string | undefined, readonly string[]]>([
    ['attachment; filename="a.exe"', undefined, ['a.exe']],
    ['form-data; name="f"; filename="a\\"b.txt"', 'f', ['a"b.txt']],
    ['attachment; filename=plain.exe; x=y', undefined, ['plain.exe']],
    ['attachment; filename="a.txt"; filename*=UTF-8\'\'b%2eexe', undefined, ['a.txt', 'b.exe']],
    ["attachment; filename*=utf-8'de'm%C3%BCll.exe", undefined, ['m\xc3\xbcll.exe']],
    ["attachment; filename*=ISO-8859-1''m%FCll.exe", undefined, ['m\xc3\xbcll.exe']],
    ['attachment; FileName="a%22.txt"', undefined, ['a%22.txt', 'a".txt']],
    ['attachment; filename="cut', undefined, ['cut']],
    ['inline', undefined, []],
    ['form-data; name=a; filename=""', 'a', []],
    ['filename=a.exe', undefined, ['a.exe']],
    ['attachment; filename*0="a"; filename*1=".exe"', undefined, ['a.exe']],
    ["attachment; filename*0*=UTF-8''%61; filename*1=.exe", undefined, ['a.exe']],
    ['attachment; filename="=?UTF-8?B?YS5leGU=?="', undefined, ['=?UTF-8?B?YS5leGU=?=', 'a.exe']],
    ['attachment; filename="a.exe. ."', undefined, ['a.exe. .', 'a.exe']],
    ['attachment; filename="a.php\0.txt"', undefined, ['a.php\0.txt', 'a.php']],
    ['attachment; filename="C:\\\\x\\\\a.exe"', undefined, ['C:\\x\\a.exe', 'a.exe']],
  ])('%s', (value, name, fileNames) => {
    expect(parseDisposition(value)).toEqual({ names: name === undefined ? [] : [name], fileNames });
  });

  test.each([
    ['form-data; name="a"; name="b"', ['a', 'b']],
    ['form-data; name="a"; name*=utf-8\'\'b', ['a', 'b']],
    ['form-data; name*0="a"; name*1="b"', ['ab']],
    ["form-data; name='a'", ["'a'", 'a']],
    ['form-data; name="a\\b"', ['ab', 'a\\b']],
    ['form-data; name="a\0b"', ['a\0b', 'a']],
    ['form-data; name=" a"', [' a', 'a']],
    ['name="a"', ['a']],
  ])('has every name that a recipient makes of it: %j', (value, names) => {
    expect(parseDisposition(value).names).toEqual(names);
  });
});

describe('a urlencoded form', () => {
  const fieldsOf = (body: string, pieceBytes = 65_536) => {
    const fields: [string, string][] = [];
    const reader = new FormFieldReader((name, value) => fields.push([name, value]));
    const bytes = Buffer.from(body, 'latin1');
    for (let at = 0; at < bytes.length; at += pieceBytes) reader.push(bytes.subarray(at, at + pieceBytes));
    reader.end();
    return { fields, problem: reader.problem };
  };

  test('is read field by field, in pieces of any size', () => {
    for (const pieceBytes of [1, 2, 5, 100]) {
      expect(fieldsOf('a=1&b+c=%41+%zz&&d&=e&f=g=h', pieceBytes).fields).toEqual([
        ['a', '1'],
        ['b c', 'A %zz'],
        ['d', ''],
        ['', 'e'],
        ['f', 'g=h'],
      ]);
    }
  });

  test('is bounded in fields and in their length', () => {
    expect(fieldsOf('a=1&'.repeat(2_000))).toMatchObject({ problem: 'more than 1000 fields' });
    expect(fieldsOf('a=1&'.repeat(2_000)).fields).toHaveLength(1_000);
    const { fields, problem } = fieldsOf(`a=${'%41'.repeat(20_000)}&b=2`, 1_000);
    expect(fields).toEqual([
      ['a', 'A'.repeat(8_192)],
      ['b', '2'],
    ]);
    expect(problem).toBe('a form field beyond the limit');
  });
});
