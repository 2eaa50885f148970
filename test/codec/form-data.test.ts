import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDisposition } from '../../src/codec/disposition.ts';
import { FormDataReader, multipartBoundary } from '../../src/codec/form-data.ts';
import { FormFieldReader } from '../../src/codec/form-fields.ts';

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
      const { name, fileNames, type } = head;
      parts.push({ name, fileNames, type, content: '' });
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
    const lfOnly = '--x\nContent-Disposition: form-data;\n name="a"\n\nvalue\n--x  \t\nX: y\n\n2\n--x--';
    expect(partsOf(lfOnly)).toEqual({
      parts: [part('a', 'value'), { name: undefined, fileNames: [], type: undefined, content: '2' }],
      problem: undefined,
    });
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

  test('has the boundary that its type names', () => {
    expect(multipartBoundary('multipart/form-data; boundary=----WebKit12')).toBe('----WebKit12');
    expect(multipartBoundary('Multipart/Mixed;charset=x; Boundary = "a \\"b"')).toBe('a "b');
    expect(multipartBoundary('text/plain; boundary=x')).toBeUndefined();
    expect(multipartBoundary('multipart/form-data')).toBeUndefined();
    expect(multipartBoundary(`multipart/form-data; boundary=${'x'.repeat(300)}`)).toBeUndefined();
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
  ])('%s', (value, name, fileNames) => {
    expect(parseDisposition(value)).toEqual({ name, fileNames });
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
