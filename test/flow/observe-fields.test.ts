import { describe, expect, test } from 'vitest';
import { observeParts } from '../../src/flow/observe-parts.ts';

/** What rules are shown of a form, in pieces of so many bytes. */
function found(
  type: string,
  body: string,
  pieceBytes = body.length,
): { fields: string[]; problem: string | undefined } {
  const fields: string[] = [];
  const wanted = { forms: true, files: false, hashes: false, members: false };
  const described = { headers: [['Content-Type', type] as const], target: '/', isPartial: false };
  const observer = observeParts('request', described, wanted, false, (field, values) => {
    if (!field.startsWith('http.request.form.')) return;
    for (const value of values) fields.push(`${field.slice(18)}=${value}`);
  });
  const bytes = Buffer.from(body, 'latin1');
  for (let at = 0; at < bytes.length; at += pieceBytes) observer?.push(bytes.subarray(at, at + pieceBytes));
  observer?.end(true);
  return { fields: fields.map((field) => Buffer.from(field, 'latin1').toString('utf8')), problem: observer?.problem };
}

const form = 'application/x-www-form-urlencoded';
const wide = Buffer.from('a=1&evil=s%65cret', 'utf16le').toString('latin1');

describe('fields of a urlencoded form', () => {
  test('are shown as they came alone where no charset is named', () => {
    expect(found(form, 'a=%C3%A9&b=x+y')).toEqual({ fields: ['a=é', 'b=x y'], problem: undefined });
    expect(found(`${form}; charset=UTF-8`, 'a=%C3%A9').fields).toEqual(['a=é']);
  });

  test('are shown in the charset of the type too, names and values', () => {
    const { fields } = found(`${form}; charset=windows-1251`, 'a=%F1%E5&%F1=x');
    expect(fields).toEqual(expect.arrayContaining(['a=се', 'с=x']));
  });

  test.each([1, 2, 3, 64])('are found in a form of wide characters that comes in pieces of %i', (pieceBytes) => {
    expect(found(`${form}; charset=utf-16le`, wide, pieceBytes).fields).toEqual(
      expect.arrayContaining(['a=1', 'evil=secret']),
    );
  });

  test('are found where wide characters are escaped byte by byte', () => {
    expect(found(`${form}; charset=utf-16le`, 'e%00v%00i%00l%00=s%00e%00c%00r%00e%00t%00').fields).toContain(
      'evil=secret',
    );
  });

  test('are shown in the charset of the field _charset_ behind it', () => {
    expect(found(form, '_charset_=koi8-r&a=%D3').fields).toContain('a=с');
    expect(found(form, '_charset_=koi8-r&a=%D3').problem).toBeUndefined();
  });

  test.each([
    ['_charset_=ibm037&a=b', 'charset ibm037 of a form'],
    ['_charset_=utf-7&a=b', 'charset utf-7 of a form'],
    ['a=%D3&_charset_=koi8-r', 'charset koi8-r of a form'],
    ['_charset_=koi8-r&_charset_=utf-16le&a=b', 'charset utf-16le of a form'],
  ])('%s is told of', (body, problem) => {
    expect(found(form, body).problem).toBe(problem);
  });

  test('that are ASCII may have their charset named behind them', () => {
    expect(found(form, 'a=b&_charset_=windows-1252').problem).toBeUndefined();
  });
});
