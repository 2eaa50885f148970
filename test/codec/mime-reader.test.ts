import { describe, expect, it } from 'vitest';
import { decodeWords, mimeHead, mimeHeaders } from '../../src/codec/mime-header.ts';
import { MimeReader } from '../../src/codec/mime-reader.ts';
import { transferDecoder } from '../../src/codec/transfer-encoding.ts';
import { limits } from '../../src/core/limits.ts';

/** Parts of a mail, decoded, and what the reader complains of. */
function read(mail: string, piece = Number.POSITIVE_INFINITY) {
  const parts: { type: string; names: readonly string[]; body: string }[] = [];
  let decoder: ReturnType<typeof transferDecoder>;
  let subject = '';
  const add = (bytes: Buffer) => {
    const part = parts.at(-1);
    if (part !== undefined) part.body += bytes.toString('latin1');
  };
  const reader = new MimeReader({
    head: ({ headers }) => {
      subject = headers.find(([name]) => name === 'Subject')?.[1] ?? '';
    },
    part: (head) => {
      decoder = transferDecoder(head.transferEncoding);
      parts.push({ type: head.type, names: head.fileNames, body: '' });
    },
    bytes: (chunk) => add(decoder?.push(chunk) ?? chunk),
    partEnd: () => add(decoder?.end() ?? Buffer.alloc(0)),
  });
  for (let at = 0; at < mail.length; at += piece) reader.push(Buffer.from(mail.slice(at, at + piece), 'latin1'));
  reader.end();
  return { parts, subject, problem: reader.problem };
}

const nested = [
  'Subject: nested',
  'Content-Type: multipart/mixed; boundary="out--er"',
  '',
  'preamble',
  '--out--er',
  'Content-Type: multipart/alternative;',
  ' boundary=inner',
  '',
  '--inner',
  'Content-Type: text/plain; charset=utf-8',
  'Content-Transfer-Encoding: quoted-printable',
  '',
  'caf=C3=A9 soft=',
  'ly broken =3D',
  '--not a delimiter',
  '-',
  '--inner  ',
  'Content-Type: text/html',
  '',
  '<p>x</p>',
  '--inner--',
  'epilogue of the inner',
  '--out--er',
  'Content-Type: application/octet-stream; name="a.bin"',
  'Content-Disposition: attachment; filename="a.bin"',
  'Content-Transfer-Encoding: base64',
  '',
  'aGVsbG8gd29',
  'ybGQ=',
  '--out--er',
  'Content-Type: message/rfc822',
  '',
  'Subject: within',
  '',
  'a mail in a mail',
  '--out--er--',
  'epilogue',
].join('\r\n');

const expected = [
  { type: 'text/plain', names: [], body: 'caf\xc3\xa9 softly broken =\r\n--not a delimiter\r\n-' },
  { type: 'text/html', names: [], body: '<p>x</p>' },
  { type: 'application/octet-stream', names: ['a.bin'], body: 'hello world' },
  { type: 'message/rfc822', names: [], body: '' },
  { type: 'text/plain', names: [], body: 'a mail in a mail' },
];

describe('a mail', () => {
  it.each([1, 2, 3, 5, 16, 77, 100_000])('is read into its parts, cut into pieces of %i', (piece) => {
    expect(read(nested, piece)).toEqual({ parts: expected, subject: 'nested', problem: undefined });
  });

  it('with bare line feeds reads alike', () => {
    const parts = read(nested.replaceAll('\r\n', '\n')).parts.map(({ type }) => type);
    expect(parts).toEqual(expected.map(({ type }) => type));
  });

  it('without MIME is one part', () => {
    expect(read('Subject: x\r\n\r\nhello\r\n')).toMatchObject({ parts: [{ type: 'text/plain', body: 'hello\r\n' }] });
    expect(read('no header at all').parts[0]).toMatchObject({ body: 'no header at all' });
    expect(read('X: y\nodd line\nContent-Type: text/html\n\nz')).toMatchObject({
      problem: 'a line in a head that is no field',
      parts: [{ body: 'X: y\nodd line\nContent-Type: text/html\n' }, { type: 'text/html', body: 'z' }],
    });
    expect(read('')).toMatchObject({ parts: [{ type: 'text/plain', body: '' }] });
  });

  it('whose multipart never ends is told of, with what there is', () => {
    const cut = nested.slice(0, nested.indexOf('ybGQ='));
    expect(read(cut)).toMatchObject({ problem: 'multipart without its end' });
    expect(read(cut).parts[2]?.body).toBe('hello wo');
  });

  it('with an outer delimiter inside an unended inner multipart ends both', () => {
    const mail =
      'Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--a\n\ntwo\n--a--\n';
    expect(read(mail).parts.map(({ body }) => body)).toEqual(['one', 'two']);
  });

  it('beyond a limit is content as it stands, and told of', () => {
    expect(read(`X: ${'y'.repeat(limits.mailHeadBytes + 10)}\r\n\r\nbody`).problem).toMatch(/head/);
    const many = `Content-Type: multipart/mixed; boundary=a\n\n${'--a\n\nx\n'.repeat(limits.mailParts + 5)}`;
    expect(read(many).problem).toMatch(/parts/);
    let deep = '';
    for (let level = 0; level < limits.mailDepth + 5; level += 1) {
      deep += `Content-Type: multipart/mixed; boundary=b${level}\n\n--b${level}\n`;
    }
    expect(read(`${deep}\nSECRET`)).toMatchObject({ problem: expect.stringMatching(/multiparts/) });
    expect(read(`${deep}\nSECRET`).parts.at(-1)?.body).toContain('SECRET');
  });

  it('of 20 MB in base64 takes linear time', () => {
    const line = `${Buffer.alloc(57, 7).toString('base64')}\r\n`;
    const mail = `Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Transfer-Encoding: base64\r\n\r\n`;
    let bytes = 0;
    const reader = new MimeReader({
      head: () => {},
      part: () => {},
      bytes: (c) => (bytes += c.length),
      partEnd: () => {},
    });
    reader.push(Buffer.from(mail));
    const chunk = Buffer.from(line.repeat(840));
    for (let index = 0; index < 300; index += 1) reader.push(chunk);
    reader.push(Buffer.from('--a--\r\n'));
    reader.end();
    expect(bytes).toBe(300 * chunk.length - 2);
  });
});

describe('the head of a part', () => {
  it.each([
    ['attachment; filename="plain.txt"', ['plain.txt']],
    ["attachment; filename*=UTF-8''na%C3%AFve.txt", ['na\xc3\xafve.txt']],
    ["attachment; filename*=iso-8859-1''na%EFve.txt", ['na\xc3\xafve.txt']],
    ['attachment; filename*0*=utf-8\'\'long%20; filename*1="name.exe"', ['long name.exe']],
    ['attachment; filename="=?utf-8?B?w6QuZXhl?="', ['\xc3\xa4.exe']],
    ['attachment; filename="safe.txt"; filename*=UTF-8\'\'evil.exe', ['safe.txt', 'evil.exe']],
  ])('names its file in %s', (disposition, names) => {
    expect(mimeHead([['Content-Disposition', disposition]]).fileNames).toEqual(names);
  });

  it('joins folded lines and decodes words', () => {
    const [subject] = mimeHeaders('Subject: =?iso-8859-1?Q?Gr=FC=DFe?=\r\n =?utf-8?B?IHp1?= all\r\nX:y');
    expect(decodeWords(subject?.[1] ?? '')).toBe(Buffer.from('Grüße zu all').toString('latin1'));
    expect(decodeWords('=?x-unknown?Q?a=62c?=')).toBe('abc');
  });
});

describe('transfer encodings', () => {
  it.each([1, 2, 3, 5, 100])('are undone over any cut (%i)', (piece) => {
    const decode = (encoding: string, text: string) => {
      const decoder = transferDecoder(encoding);
      let out = '';
      for (let at = 0; at < text.length; at += piece) {
        out += decoder?.push(Buffer.from(text.slice(at, at + piece), 'latin1')).toString('latin1');
      }
      return out + decoder?.end().toString('latin1');
    };
    expect(decode('quoted-printable', 'a=3D=\r\nb= \t\r\nc=ZZ=')).toBe('a=bc=ZZ=');
    expect(decode('base64', 'aGVs!bG8=\r\nd29y\nbGQ=')).toBe('helloworld');
    expect(decode('base64', 'aGVsbG8')).toBe('hello');
  });
});

describe('what recipients cut in different ways', () => {
  const mail = (type: string, ...lines: string[]): string => [`Content-Type: ${type}`, '', ...lines, ''].join('\r\n');
  const part = (boundary: string, text: string): string[] => [`--${boundary}`, '', text];

  it.each([
    ['multipart with several boundaries', mail('multipart/mixed; boundary=a; boundary=b', ...part('a', 'x'), '--a--')],
    [
      'multipart with several boundaries',
      mail('multipart/mixed; boundary=a; boundary*0=b; boundary*1=c', ...part('a', 'x'), '--a--'),
    ],
    ['multipart without a boundary that can be read', mail('multipart/mixed', ...part('a', 'x'))],
    [
      'multipart without a boundary that can be read',
      mail(`multipart/mixed; boundary=${'a'.repeat(300)}`, ...part('a'.repeat(300), 'x')),
    ],
    ['several fields content-type', `Content-Type: text/html\r\n${mail('text/plain', 'x')}`],
    [
      'several fields content-transfer-encoding',
      `Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit\r\n${mail('text/plain', 'eA==')}`,
    ],
    [
      'parts behind the end of multipart',
      mail('multipart/mixed; boundary=a', ...part('a', 'y'), '--a--', ...part('a', 'x')),
    ],
    [
      'parts behind the end of multipart',
      mail(
        'multipart/mixed; boundary=a',
        ...['--a', 'Content-Type: multipart/mixed; boundary=b', ''],
        ...[...part('b', 'y'), '--b--', ...part('b', 'x'), '--a--'],
      ),
    ],
  ])('is told: %s', (problem, text) => {
    for (const piece of [1, 7, Number.POSITIVE_INFINITY]) expect(read(text, piece).problem).toBe(problem);
  });

  it('is read behind the end of a multipart too', () => {
    const text = mail('multipart/mixed; boundary=a', ...part('a', 'y'), '--a--', ...part('a', 'x'), '--a--', 'z');
    for (const piece of [1, 7, Number.POSITIVE_INFINITY])
      expect(read(text, piece).parts.map(({ body }) => body)).toEqual(['y', 'x']);
  });

  it('is not said twice the same', () => {
    const twice = `Content-Type: text/plain\r\n${mail('text/plain', 'x')}`;
    expect(read(twice).problem).toBeUndefined();
    expect(read(mail('multipart/mixed; boundary=a; boundary=a', ...part('a', 'x'), '--a--')).problem).toBeUndefined();
    expect(read(mail('multipart/mixed; boundary=a', ...part('a', 'x'), '--a--', '--a--')).problem).toBeUndefined();
  });
});
