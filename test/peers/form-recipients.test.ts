import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { textDeclaration } from '../../src/codec/text-encoding.ts';
import { observeParts } from '../../src/flow/observe-parts.ts';
import { freePort } from '../support/gateway.ts';
import { hasProgram, run } from '../support/run.ts';

const part = (boundary: string, parameters: string, value: string): string =>
  `--${boundary}\r\nContent-Disposition: form-data; ${parameters}\r\n\r\n${value}\r\n`;
const evil = (boundary: string): string => part(boundary, 'name="evil"', 'secret');
/** A part that holds, for who cuts by another boundary, a form of its own. */
const hidden = (boundary: string, other: string): string =>
  `${part(boundary, 'name="a"', `\r\n${evil(other)}--${other}--`)}--${boundary}--\r\n`;
const typed = (parameters: string): string => `multipart/form-data; ${parameters}`;
const long = 'B'.repeat(300);
const wrapped = (parameters: string, value = 'secret'): string => `${part('A', parameters, value)}--A--\r\n`;

/** What recipients are known to read in different ways. */
const forms: readonly (readonly [name: string, type: string, body: string])[] = [
  ['a plain form', typed('boundary=A'), wrapped('name="evil"')],
  ['a boundary in pieces', typed('boundary*0=A;boundary*1=B'), `${evil('AB')}--AB--\r\n`],
  ['a boundary beside one with a charset', typed("boundary=X; boundary*=utf-8''AB"), hidden('X', 'AB')],
  ['a long boundary', typed(`boundary=${long}`), `${evil(long)}--${long}--\r\n`],
  ['a boundary with a comma', typed('boundary=A,B'), hidden('A,B', 'A')],
  ['a boundary with a blank', typed('boundary=A B'), hidden('A', 'A B')],
  ['a parameter that ends like it', typed('xboundary=Z; boundary=A'), hidden('A', 'Z')],
  ['a parameter that begins like it', typed('boundaryx=Z; boundary=A'), hidden('A', 'Z')],
  ['a boundary with a backslash', typed('boundary="A\\B"'), hidden('AB', 'A\\B')],
  ['a list of types', 'multipart/form-data, boundary=A', wrapped('name="evil"')],
  ['a part behind the end', typed('boundary=A'), `${wrapped('name="a"')}${wrapped('name="evil"')}`],
  [
    'a part behind an end with more',
    typed('boundary=A'),
    `${part('A', 'name="a"', 'x')}--A--x\r\n${wrapped('name="evil"')}`,
  ],
  ['two names', typed('boundary=A'), wrapped('name="a"; name="evil"')],
  ['a name with a charset', typed('boundary=A'), wrapped('name="a"; name*=utf-8\'\'evil')],
  ['a name in pieces', typed('boundary=A'), wrapped('name*0="ev"; name*1="il"')],
  ['a name in other quotes', typed('boundary=A'), wrapped("name='evil'")],
  ['a name with a NUL', typed('boundary=A'), wrapped('name="evil\0x"')],
  ['a name behind a blank', typed('boundary=A'), wrapped('name=" evil"')],
  ['a name alone', typed('boundary=A'), wrapped('name="evil"').replace('form-data; ', '')],
  ['blanks behind a boundary', typed('boundary=A'), wrapped('name="a"', `x\r\n--A  \r\n${evil('A').slice(5)}`)],
  ['other line ends within', typed('boundary=A'), wrapped('name="a"', `x\n${evil('A').replaceAll('\r', '')}`)],
  ['a bare CR in a head', typed('boundary=A'), evil('A').replace('\r\n', '\r\nX: y\r') + evil('A')],
];

const urlencoded = (charset: string): string => `application/x-www-form-urlencoded; charset=${charset}`;
/** Bytes, one character each, of a text in an encoding of wide characters. */
const wide = (text: string): string => Buffer.from(text, 'utf16le').toString('latin1');
const swapped = (text: string): string => Buffer.from(text, 'utf16le').swap16().toString('latin1');
const escapedBytes = (text: string): string =>
  text.replace(/[\s\S]/g, (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
const ebcdic = String.fromCharCode(0x85, 0xa5, 0x89, 0x93, 0x7e, 0xa2, 0x85, 0x83, 0x99, 0x85, 0xa3);

/** Forms in charsets, as Django reads them, and as others do that undo the escapes first. */
const charsetForms: readonly (readonly [name: string, type: string, body: string])[] = [
  ['UTF-8', urlencoded('utf-8'), 'evil=secret&b=%C3%A9'],
  ['UTF-16', urlencoded('utf-16le'), wide('a=1&evil=secret')],
  ['UTF-16 of the other order', urlencoded('utf-16be'), swapped('a=1&evil=secret')],
  ['UTF-16 with escapes', urlencoded('"utf-16le"'), wide(`a=1&evil=${escapedBytes(wide('secret'))}`)],
  ['UTF-16 that is ASCII', urlencoded('utf-16le'), 'evil=secret'],
  ['KOI8-R', urlencoded('koi8-r'), 'evil=%D3secret&%C5=%D3'],
  ['windows-1251 that is not escaped', urlencoded('windows-1251'), 'evil=\xf1secret'],
  ['Shift_JIS', urlencoded('shift_jis'), 'evil=%83%5Csecret&%83%5C=\x83\x5c'],
  ['EUC-JP', urlencoded('euc-jp'), 'evil=%A5%BDsecret'],
  ['GB 18030', urlencoded('gb18030'), 'evil=%B2%E2secret'],
  ['ISO-2022-JP', urlencoded('iso-2022-jp'), 'a=\x1b$B%=%&\x1b(B&evil=secret'],
  ['EBCDIC', urlencoded('ibm037'), ebcdic],
  ['EBCDIC in escapes', urlencoded('ibm500'), 'a=1&evil=%A2%85%83%99%85%A3'],
  ['UTF-7', urlencoded('utf-7'), 'evil=+AHMAZQBjAHIAZQB0-'],
  [
    'UTF-32',
    urlencoded('utf-32le'),
    Buffer.from([...'evil=secret'].flatMap((c) => [c.charCodeAt(0), 0, 0, 0])).toString('latin1'),
  ],
];

interface Findings {
  /** `name=value` of each field. */
  readonly fields: readonly string[];
  readonly problem?: string | undefined;
}

function foundHere(type: string, body: string): Findings {
  const fields: string[] = [];
  const wanted = { forms: true, files: false, hashes: false, members: false };
  const described = { headers: [['Content-Type', type] as const], target: '/', isPartial: false };
  const observer = observeParts('request', described, wanted, false, (field, values) => {
    const [, name] = /^http\.request\.form\.(.*)$/s.exec(field) ?? [];
    if (name !== undefined) fields.push(...values.map((value) => `${name}=${value}`));
  });
  observer?.push(Buffer.from(body, 'latin1'));
  observer?.end(true);
  return {
    fields: fields.map((field) => Buffer.from(field, 'latin1').toString('utf8')),
    problem: observer?.problem ?? textDeclaration(described.headers).doubt,
  };
}

const php = `<?php foreach ($_POST as $name => $value) $fields[] = "$name=$value"; echo json_encode($fields ?? []);`;
const werkzeug = `
import base64, io, json, sys
from werkzeug.formparser import parse_form_data
for line in sys.stdin:
    type, body = json.loads(line)
    body = base64.b64decode(body)
    _, form, _ = parse_form_data({'REQUEST_METHOD': 'POST', 'CONTENT_TYPE': type, 'CONTENT_LENGTH': str(len(body)),
                                  'wsgi.input': io.BytesIO(body)})
    print(json.dumps([f'{name}={value}' for name, value in form.items(multi=True) if name]))
`;

const django = `
import base64, io, json, sys
from django.conf import settings
settings.configure()
from django.core.handlers.wsgi import WSGIRequest
for line in sys.stdin:
    type, body = json.loads(line)
    body = base64.b64decode(body)
    form = WSGIRequest({'REQUEST_METHOD': 'POST', 'PATH_INFO': '/', 'CONTENT_TYPE': type,
                        'CONTENT_LENGTH': str(len(body)), 'wsgi.input': io.BytesIO(body)}).POST
    print(json.dumps([f'{name}={value}' for name, values in form.lists() for value in values]))
`;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'daylight-forms-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe.runIf(hasProgram('php'))('PHP', () => {
  let server: ChildProcess;
  let port: number;
  beforeAll(async () => {
    writeFileSync(join(directory, 'index.php'), php);
    port = await freePort();
    server = spawn('php', ['-S', `127.0.0.1:${port}`, '-t', directory], { stdio: 'ignore' });
    for (let tries = 0; tries < 100; tries++) {
      if ((await asked(port, 'text/plain', '')) === '[]') return;
      await pause(50);
    }
  });
  afterAll(() => server.kill());

  it.each(forms)('takes nothing out of %s that is not found here, or told of', async (_name, type, body) => {
    const theirs = JSON.parse((await asked(port, type, body)) ?? '[]') as readonly string[];
    expectCovered(theirs, foundHere(type, body));
  });

  it('is read as it reads: most of these differ for it', async () => {
    const answers = await Promise.all(forms.map(([, type, body]) => asked(port, type, body)));
    expect(answers.filter((answer) => answer?.includes('"evil=secret"')).length).toBeGreaterThan(10);
  });
});

describe.runIf(hasProgram('/usr/bin/python3'))('Werkzeug', () => {
  it('takes nothing out of any of them that is not found here, or told of', async (context) => {
    const input = forms.map(([, type, body]) => JSON.stringify([type, Buffer.from(body, 'latin1').toString('base64')]));
    const { code, stdout } = await run('/usr/bin/python3', ['-c', werkzeug], { input: `${input.join('\n')}\n` });
    if (code !== 0) {
      console.warn('skipped: python3-werkzeug is not installed (test/peers/install.sh installs it)');
      return context.skip();
    }
    const lines = stdout.trim().split('\n');
    expect(lines).toHaveLength(forms.length);
    for (const [index, [, type, body]] of forms.entries())
      expectCovered(JSON.parse(lines[index] ?? '[]') as readonly string[], foundHere(type, body));
    expect(lines.filter((line) => line.includes('"evil=secret"')).length).toBeGreaterThan(8);
  });
});

describe.runIf(hasProgram('/usr/bin/python3'))('Django, which honours charsets,', () => {
  it('takes nothing out of a urlencoded form that is not found here, or told of', async (context) => {
    const input = charsetForms.map(([, type, body]) =>
      JSON.stringify([type, Buffer.from(body, 'latin1').toString('base64')]),
    );
    const { code, stdout } = await run('/usr/bin/python3', ['-c', django], { input: `${input.join('\n')}\n` });
    if (code !== 0) {
      console.warn('skipped: python3-django is not installed (test/peers/install.sh installs it)');
      return context.skip();
    }
    const lines = stdout.trim().split('\n');
    expect(lines).toHaveLength(charsetForms.length);
    for (const [index, [name, type, body]] of charsetForms.entries()) {
      const { fields, problem } = foundHere(type, body);
      const theirs = JSON.parse(lines[index] ?? '[]') as readonly string[];
      const missed = theirs.filter((field) => !fields.includes(field));
      expect([name, problem === undefined ? missed : []]).toEqual([name, []]);
    }
    expect(lines.filter((line) => line.includes('secret"')).length).toBeGreaterThan(9);
  });

  it('reads charsets that are not known here: those are told of', () => {
    const told = charsetForms.filter(([, type, body]) => foundHere(type, body).problem !== undefined);
    expect(told.map(([name]) => name)).toEqual(['EBCDIC', 'EBCDIC in escapes', 'UTF-7', 'UTF-32']);
  });
});

function expectCovered(theirs: readonly string[], { fields, problem }: Findings): void {
  if (problem === undefined) expect(fields).toEqual(expect.arrayContaining([...theirs]));
}

/** What a server answers to a form; undefined when it does not yet. */
function asked(port: number, type: string, body: string): Promise<string | undefined> {
  const bytes = Buffer.from(body, 'latin1');
  return new Promise((resolve) => {
    const headers = { 'content-type': type, 'content-length': bytes.length };
    const outgoing = request({ port, method: 'POST', headers, timeout: 10_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    });
    outgoing.on('error', () => resolve(undefined));
    outgoing.end(bytes);
  });
}
