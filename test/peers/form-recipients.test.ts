import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
  return { fields, problem: observer?.problem };
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
