import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { zip } from '../support/archives.ts';
import { get, inspectedRelay, postOf, responseOf } from './inspected-relay.ts';

const program = Buffer.concat([Buffer.from('MZ\x90\0\x03\0\0\0', 'latin1'), Buffer.alloc(3_000, 'x')]);
const sha256 = createHash('sha256').update(program).digest('hex');
const rule = (field: string, test: string, action = 'block'): string =>
  `- { id: r, title: t, severity: high, action: ${action}, when: { field: ${field}, ${test} } }\n`;

const multipart = (parts: readonly (readonly [string, string | Buffer])[]): Buffer =>
  Buffer.concat([
    ...parts.flatMap(([head, content]) => [
      Buffer.from(`--b\r\n${head}\r\n\r\n`),
      Buffer.from(content),
      Buffer.from('\r\n'),
    ]),
    Buffer.from('--b--\r\n'),
  ]);
const formType = 'Content-Type: multipart/form-data; boundary=b\r\n';
const upload = multipart([
  ['Content-Disposition: form-data; name="comment"', 'for you'],
  ['Content-Disposition: form-data; name="file"; filename="report.pdf"\r\nContent-Type: application/pdf', program],
]);

describe('a download', () => {
  const fields = 'Content-Type: image/png\r\nContent-Disposition: attachment; filename="cat.png"\r\n';

  test.each([
    ['its name', 'http.response.file.name', 'suffix: .png'],
    ['its true type', 'http.response.file.type', 'equals: application/vnd.microsoft.portable-executable'],
    ['the type that it claims', 'http.response.file.declared', 'equals: image/png'],
    ['its hash', 'http.response.file.sha256', `equals: "${sha256}"`],
    ['its size', 'http.response.file.size', 'greaterThan: 3000'],
  ])('is known by %s before its last byte is forwarded, coded or not', (_, field, test) => {
    for (const coded of [false, true]) {
      for (const pieceBytes of [100, 65_536]) {
        const relay = inspectedRelay(rule(field, test));
        const body = coded ? gzipSync(program) : program;
        const response = responseOf(coded ? `${fields}Content-Encoding: gzip\r\n` : fields, body);
        relay.send('client', get);
        relay.send('origin', response, pieceBytes);
        expect(relay.alarms.map(({ match }) => match.field)).toEqual([field]);
        expect(relay.wire.to('client')).not.toContain(response.toString('latin1'));
      }
    }
  });

  test.each([
    ['the name of a member', 'http.response.file.member', 'suffix: .exe'],
    [
      'the true type of a member',
      'http.response.file.member.type',
      'equals: application/vnd.microsoft.portable-executable',
    ],
    ['what nobody can look into', 'http.response.file.archive', 'equals: [encrypted]'],
  ])('that is an archive is known by %s', (_, field, test) => {
    const archive = zip([
      { name: 'cat.txt', data: Buffer.from('meow') },
      { name: 'cat.exe', data: program },
      { name: 'cat.doc', data: program, flags: 1 },
    ]);
    for (const coded of [false, true]) {
      const relay = inspectedRelay(rule(field, test));
      const response = responseOf(
        coded ? `${fields}Content-Encoding: gzip\r\n` : fields,
        coded ? gzipSync(gzipSync(archive)) : archive,
      );
      relay.send('client', get);
      relay.send('origin', response, 100);
      expect(relay.alarms.map(({ match }) => match.field)).toEqual([field]);
      expect(relay.wire.to('client')).not.toContain(response.toString('latin1'));
      expect(relay.transactions[0]?.responseFiles?.[0]?.archive?.members).toContain('cat.txt');
    }
  });

  test('is told of in the record, with its true type and hash', () => {
    const relay = inspectedRelay(rule('http.path', 'equals: /none'));
    relay.send('client', get.replace('GET /', 'GET /get/setup.bin?x=/y'));
    relay.send('origin', responseOf('Content-Encoding: gzip\r\n', gzipSync(program)), 50);
    expect(relay.transactions[0]?.responseFiles).toEqual([
      {
        name: 'setup.bin',
        type: 'application/vnd.microsoft.portable-executable',
        declared: undefined,
        size: program.length,
        sha256,
        isWhole: true,
      },
    ]);
  });

  test.each([
    ['a page', '', Buffer.from('<html></html>')],
    ['a picture', 'Content-Type: image/png\r\n', Buffer.from('\x89PNG\r\n\x1a\n\0\0\0', 'latin1')],
    ['nothing', '', Buffer.alloc(0)],
  ])('is not %s', (_, head, body) => {
    const relay = inspectedRelay(rule('http.path', 'equals: /none'));
    relay.send('client', get);
    relay.send('origin', responseOf(head, body));
    expect(relay.transactions[0]?.responseFiles).toEqual([]);
  });

  test('has no hash when it was cut, or is only a range', () => {
    const cut = inspectedRelay(rule('http.path', 'equals: /none'));
    cut.send('client', get);
    cut.send('origin', responseOf('', program).subarray(0, -5));
    cut.end('origin');
    expect(cut.transactions[0]?.responseFiles).toMatchObject([{ sha256: undefined, isWhole: false }]);
    const range = inspectedRelay(rule('http.path', 'equals: /none'));
    range.send('client', get);
    range.send('origin', responseOf('', program).toString('latin1').replace('200 OK', '206 Partial Content'));
    expect(range.transactions[0]?.responseFiles).toMatchObject([{ sha256: undefined, isWhole: false }]);
  });

  test('is not told of where policy says so', () => {
    const relay = inspectedRelay(rule('http.path', 'equals: /none'), { files: 'off' });
    relay.send('client', get);
    relay.send('origin', responseOf(fields, program));
    expect(relay.transactions[0]?.responseFiles).toEqual([]);
  });
});

describe('an upload', () => {
  test.each([
    ['http.request.file.name', 'equals: report.pdf'],
    ['http.request.file.type', 'equals: application/vnd.microsoft.portable-executable'],
    ['http.request.file.declared', 'equals: application/pdf'],
    ['http.request.file.sha256', `equals: ["${sha256}"]`],
    ['http.request.part.name', 'equals: comment'],
    ['http.request.form.comment', 'contains: for you'],
  ])('is stopped by %s, however it is cut', (field, test) => {
    for (const pieceBytes of [1, 37, 65_536]) {
      const relay = inspectedRelay(rule(field, test));
      relay.send('client', postOf(formType, upload), pieceBytes);
      expect(relay.alarms.map(({ match }) => match.field)).toEqual([field]);
      expect(relay.wire.to('origin')).not.toContain('--b--');
    }
  });

  test('is told of in the record', () => {
    const relay = inspectedRelay(rule('http.path', 'equals: /none'));
    relay.send('client', postOf(formType, upload), 500);
    relay.send('origin', responseOf('', Buffer.alloc(0)));
    expect(relay.transactions[0]?.requestFiles).toMatchObject([
      { name: 'report.pdf', sha256, declared: 'application/pdf' },
    ]);
  });

  test('that is no form any recipient could read is marked', () => {
    const relay = inspectedRelay(rule('http.request.file.name', 'suffix: .exe'));
    relay.send('client', postOf(formType, Buffer.from('no boundary')));
    relay.send('origin', responseOf('', Buffer.alloc(0)));
    expect(relay.transactions[0]?.notInspected).toEqual(['request multipart without its end']);
  });
});

describe('a form', () => {
  const urlencoded = 'Content-Type: application/x-www-form-urlencoded\r\n';

  test('is judged by its decoded values', () => {
    const relay = inspectedRelay(rule('http.request.form.q', 'equals: "a b&c"'));
    relay.send('client', postOf(urlencoded, Buffer.from('p=1&q=a+b%26c&r=2')), 3);
    expect(relay.alarms).toHaveLength(1);
    expect(relay.wire.to('origin')).not.toContain('r=2');
  });

  test('is judged by what its charset makes of it, and refused where that is not known and policy asks for it', () => {
    const typed = (charset: string): string =>
      `Content-Type: application/x-www-form-urlencoded; charset=${charset}\r\n`;
    const wide = inspectedRelay(rule('http.request.form.q', 'equals: secret'));
    wide.send('client', postOf(typed('utf-16le'), Buffer.from('p=1&q=secret&r=2', 'utf16le')), 3);
    expect(wide.alarms).toHaveLength(1);
    const ebcdic = Buffer.from('987ea28583', 'hex');
    const told = inspectedRelay(rule('http.request.form.q', 'equals: secret'));
    told.send('client', postOf(typed('ibm037'), ebcdic));
    told.send('origin', responseOf('', Buffer.from('x')));
    expect(told.transactions[0]?.notInspected).toEqual(['request charset ibm037']);
    const strict = inspectedRelay(rule('http.request.form.q', 'equals: secret'), { undecodable: 'block' });
    strict.send('client', postOf(typed('ibm037'), ebcdic));
    expect(strict.wire.to('client')).toContain('POLICY_BODY_UNDECODABLE');
  });

  test('gives no secret away in an alarm', () => {
    const relay = inspectedRelay(rule('http.request.form.password', 'contains: hunter', 'alarm'));
    relay.send('client', postOf(urlencoded, Buffer.from('password=hunter2')));
    expect(relay.alarms[0]?.match.excerpt).toBe('hunt****');
  });

  test('without a field is told at its end', () => {
    const relay = inspectedRelay(rule('http.request.form.token', 'exists: false'));
    relay.send('client', postOf(urlencoded, Buffer.from('token=1')));
    expect(relay.alarms).toHaveLength(0);
    const other = inspectedRelay(rule('http.request.form.token', 'exists: false'));
    other.send('client', postOf(urlencoded, Buffer.from('other=1')));
    expect(other.alarms).toHaveLength(1);
    expect(other.wire.to('origin')).not.toContain('other=1');
  });

  test('is none where there is no body', () => {
    const relay = inspectedRelay(rule('http.request.file.name', 'exists: true'));
    relay.send('client', get);
    relay.send('origin', responseOf('', Buffer.from('x')));
    expect(relay.alarms).toHaveLength(0);
    expect(relay.transactions).toHaveLength(1);
  });
});

describe('a form with a second boundary', () => {
  const decoy = multipart([['Content-Disposition: form-data; name="comment"', 'for you']]);
  const real = '--c\r\nContent-Disposition: form-data; name="secret"\r\n\r\nx\r\n--c--\r\n';
  const body = Buffer.concat([decoy, Buffer.from(real)]);

  test.each([
    ['beside the first', 'boundary=b; boundary=c'],
    ['behind a quoted one', 'x="; boundary=b; "; boundary=c'],
  ])('%s is told, and refused as policy says: its recipient may read other parts', (_, parameters) => {
    const rules = rule('http.request.form.secret', 'equals: x');
    const request = postOf(`Content-Type: multipart/form-data; ${parameters}\r\n`, body);
    const lenient = inspectedRelay(rules);
    lenient.send('client', request);
    lenient.send('origin', responseOf('', Buffer.from('ok')));
    expect(lenient.transactions[0]?.notInspected).toEqual(['request multipart with several boundaries']);
    const strict = inspectedRelay(rules, { undecodable: 'block' });
    strict.send('client', request);
    expect(strict.wire.to('client')).toContain('POLICY_BODY_UNDECODABLE');
  });
});

describe('a part of a form that says how it is encoded', () => {
  const secret = 'Gr\u00fc\u00dfe, der Falke';
  const disposition = 'Content-Disposition: form-data; name="note"';
  const file = 'Content-Disposition: form-data; name="f"; filename="f.bin"';

  test.each([
    ['base64', 'Content-Transfer-Encoding: base64', Buffer.from(secret).toString('base64')],
    [
      'base64 in lines',
      'content-transfer-encoding:BASE64',
      Buffer.from(secret)
        .toString('base64')
        .replace(/(.{5})/g, '$1\r\n'),
    ],
    ['quoted-printable', 'Content-Transfer-Encoding: Quoted-Printable', 'Gr=C3=BC=C3=9Fe, d=\r\ner =46alke'],
    ['windows-1252', 'Content-Type: text/plain; charset=windows-1252', Buffer.from(secret, 'latin1')],
    ['UTF-16', 'Content-Type: text/plain; charset="utf-16le"', Buffer.from(secret, 'utf16le')],
    [
      'base64 of windows-1252',
      'Content-Type: text/plain; charset=windows-1252\r\nContent-Transfer-Encoding: base64',
      Buffer.from(secret, 'latin1').toString('base64'),
    ],
  ])('is read as %s, however it is cut', (_what, fields, content) => {
    const body = multipart([[`${disposition}\r\n${fields}`, content]]);
    for (const pieceBytes of [1, 7, 65_536]) {
      const relay = inspectedRelay(rule('http.request.form.note', `equals: "${secret}"`));
      relay.send('client', postOf(formType, body), pieceBytes);
      expect(relay.alarms.map(({ match }) => match.field)).toEqual(['http.request.form.note']);
    }
  });

  test('is shown as it came besides, since some recipients take it so', () => {
    const relay = inspectedRelay(rule('http.request.form.note', 'contains: falcon'));
    const fields = `${disposition}\r\nContent-Transfer-Encoding: base64`;
    relay.send('client', postOf(formType, multipart([[fields, 'the falcon flies']])));
    expect(relay.alarms).toHaveLength(1);
  });

  test.each([
    ['as it reads', program.toString('base64')],
    ['as it came', program],
  ])('is a file %s', (_how, content) => {
    const relay = inspectedRelay(
      rule('http.request.file.type', 'equals: application/vnd.microsoft.portable-executable'),
    );
    const fields = `${file}\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64`;
    relay.send('client', postOf(formType, multipart([[fields, content]])), 1_000);
    expect(relay.alarms).toHaveLength(1);
    expect(relay.wire.to('origin')).not.toContain('--b--');
  });

  test('or whose form does, by a field _charset_', () => {
    const charset: [string, string] = ['Content-Disposition: form-data; name="_charset_"', 'iso-8859-1'];
    const note: [string, Buffer] = [disposition, Buffer.from(secret, 'latin1')];
    const relay = inspectedRelay(rule('http.request.form.note', `equals: "${secret}"`));
    relay.send('client', postOf(formType, multipart([charset, note])), 3);
    expect(relay.alarms).toHaveLength(1);
    const late = inspectedRelay(rule('http.request.form.note', `equals: "${secret}"`));
    late.send('client', postOf(formType, multipart([note, charset])));
    late.send('origin', responseOf('', Buffer.from('ok')));
    expect(late.transactions[0]?.notInspected).toEqual(['request charset iso-8859-1 of a form']);
  });

  test('in a charset that nobody knows is told', () => {
    const relay = inspectedRelay(rule('http.request.form.note', 'equals: x'));
    relay.send(
      'client',
      postOf(formType, multipart([[`${disposition}\r\nContent-Type: text/plain; charset=x-none`, 'y']])),
    );
    relay.send('origin', responseOf('', Buffer.from('ok')));
    expect(relay.transactions[0]?.notInspected).toEqual(['request charset x-none of a form']);
  });
});
