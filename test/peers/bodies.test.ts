import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { type Nginx, startNginx } from '../support/nginx.ts';
import { ocsfProblems } from '../support/ocsf.ts';
import { gatewayField, isTransaction, type Line, member } from '../support/record-fields.ts';
import { hasProgram, type Ran, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const rules = `
- id: minutes
  title: Secret minutes
  action: block
  when: { field: http.response.body, contains: Top Secret Minutes }
- id: program
  title: A program goes out
  action: block
  when: { field: http.request.file.type, equals: application/x-executable }
- id: held
  title: A program comes in
  action: block
  hold: body
  when: { all: [{ field: http.path, prefix: /held/ }, { field: http.response.body, contains: the end of evil }] }
- id: statement
  title: Card numbers in statements
  action: redact
  when: { all: [{ field: http.path, prefix: /statement }, { field: http.response.body, detector: card_number }] }
- id: mask
  title: Card numbers
  action: redact
  when: { all: [{ field: http.path, prefix: /mask/ }, { field: http.response.body, detector: card_number }] }
`;
const statement = '<p>4111 1111 1111 1111 and 5500005555555559</p>\n'.repeat(10);
const maskedStatement = statement.replace(/4111 1111 1111 1111|5500005555555559/g, (number) =>
  '*'.repeat(number.length),
);
const page = Buffer.from(`<html>${'<p>nothing to see</p>\n'.repeat(5_000)}</html>`);
const minutes = Buffer.from(`${page}Top Secret Minutes${page}`);
const evil = Buffer.from(`\x7fELF${'\0'.repeat(300_000)}the end of evil`, 'latin1');
const card = 'card 4111 1111 1111 1111 of nobody';
const coders: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  gzip: gzipSync,
  deflate: deflateRawSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
};
const isHere = hasProgram('curl');
const speaksNginx = isHere && hasProgram('nginx');

let gateway: RunningGateway;
let origin: TestOrigin;
let nginx: Nginx | undefined;
let port: number;
let directory: string;
let received = 0;

beforeAll(async () => {
  if (!isHere) return;
  directory = mkdtempSync(join(tmpdir(), 'daylight-bodies-'));
  const authority = await createTestAuthority();
  const credentials = await authority.issue({ names: ['localhost'], keyType: 'rsa' });
  origin = await startOrigin(credentials, answer);
  if (speaksNginx) {
    nginx = await startNginx(credentials, 'gzip on; gzip_types *; gzip_min_length 1;', 'http2');
    writeFileSync(join(nginx.root, 'page.html'), page);
    writeFileSync(join(nginx.root, 'minutes.html'), minutes);
    writeFileSync(join(nginx.root, 'statement.html'), statement);
  }
  port = await freePort();
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem, 'rules.yaml': rules },
    config: {
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      rules: { files: ['$DIRECTORY/rules.yaml'] },
      http: { headers: { response: { set: ['X-Inspected: yes'] } } },
    },
  });
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
  await nginx?.[Symbol.asyncDispose]();
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

function answer(request: IncomingMessage, response: ServerResponse): void {
  const [, kind = '', coding = ''] = (request.url ?? '').split('/');
  if (request.method === 'POST') {
    request.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    request.on('end', () => response.end('taken'));
    return;
  }
  const body =
    { page, minutes, held: evil, mask: Buffer.from(card), statement: Buffer.from(statement) }[kind] ??
    Buffer.from('ok');
  const coded = coders[coding]?.(body);
  response.setHeader('Alt-Svc', 'h3=":443"');
  if (coded !== undefined) response.setHeader('Content-Encoding', coding);
  if (kind === 'held') response.setHeader('Content-Disposition', 'attachment; filename="setup"');
  response.end(coded ?? body);
}

const url = (path: string): string => `https://localhost:${origin.port}${path}`;
const curl = (...args: string[]): Promise<Ran> => {
  const proxy = ['--cacert', gateway.caFile, '--noproxy', '', '--proxy', `http://127.0.0.1:${port}`];
  return run('curl', ['-sS', '--max-time', '20', ...proxy, ...args]);
};
async function transaction(path: string): Promise<Line> {
  const isOf = (line: Line): boolean => isTransaction(line) && member(line, 'http_request', 'url', 'path') === path;
  const found = (await gateway.waitForRecords('traffic', (lines) => lines.some(isOf))).find(isOf) ?? {};
  expect(ocsfProblems(found)).toEqual([]);
  return found;
}
function saved(name: string): Buffer {
  return readFileSync(join(directory, name));
}

describe.runIf(isHere)('curl', () => {
  it.each(Object.keys(coders))('gets a page in %s byte for byte, and its record shows the text', async (coding) => {
    const path = `/page/${coding}`;
    const { code } = await curl('--output', join(directory, coding), url(path));
    expect(code).toBe(0);
    expect(saved(coding)).toEqual(coders[coding]?.(page));
    const record = await transaction(path);
    expect(gatewayField(record, 'not_inspected')).toBeUndefined();
    expect(member(record, 'unmapped', 'gateway', 'response_body', 'text')).toContain('<p>nothing to see</p>');
    expect(gatewayField(record, 'changes')).toEqual([
      'response header removed: alt-svc',
      'response header set: X-Inspected',
    ]);
  });

  it.each(Object.keys(coders))('never gets the end of secret minutes in %s', async (coding) => {
    const path = `/minutes/${coding}`;
    const coded = coders[coding]?.(minutes) ?? minutes;
    const name = `minutes-${coding}`;
    writeFileSync(join(directory, name), '');
    await curl('--output', join(directory, name), url(path));
    expect(saved(name).includes(coded.subarray(-16))).toBe(false);
    expect(member(await transaction(path), 'firewall_rule', 'uid')).toBe('minutes');
  });

  it('gets the page of the gateway instead of a held download', async () => {
    const { stdout } = await curl('--include', url('/held/none'));
    expect(stdout).toContain('403 Forbidden');
    expect(stdout).toContain('POLICY_RULE_BLOCK');
    const record = await transaction('/held/none');
    expect(member(record, 'file', 'name')).toBe('setup');
    expect(member(record, 'file', 'mime_type')).toBe('application/x-executable');
  });

  it('gets numbers masked, in a message of the same length', async () => {
    const { stdout } = await curl('--include', url('/mask/none'));
    expect(stdout).toContain(card.replace('4111 1111 1111 1111', '*******************'));
    expect(stdout).toContain('X-Inspected: yes');
    expect(stdout.toLowerCase()).not.toContain('alt-svc');
    expect(gatewayField(await transaction('/mask/none'), 'changes')).toContain('response body masked: 1 (rule mask)');
  });

  it.each(Object.keys(coders))('gets numbers masked in %s, whose length and coding stay', async (coding) => {
    const path = `/statement/${coding}`;
    const { stdout } = await curl('--compressed', '--include', url(path));
    expect(stdout.split('\r\n\r\n').at(-1)).toBe(maskedStatement);
    expect(stdout).toContain(`Content-Encoding: ${coding}`);
    expect(stdout).toContain(`Content-Length: ${coders[coding]?.(Buffer.from(statement)).length}`);
    expect(gatewayField(await transaction(path), 'changes')).toContain('response body masked: 20 (rule statement)');
  });

  it('uploads documents and no programs, whatever they are called', async () => {
    const file = join(directory, 'report.pdf');
    const document = Buffer.from('%PDF-1.7\nharmless');
    writeFileSync(file, document);
    const sent = await curl('--form', `file=@${file}`, url('/upload/document'));
    expect(sent.stdout).toBe('taken');
    const record = await transaction('/upload/document');
    expect(gatewayField(record, 'files')).toMatchObject([
      { name: 'report.pdf', type: 'application/pdf', sha256: createHash('sha256').update(document).digest('hex') },
    ]);
    writeFileSync(file, evil);
    received = 0;
    const stopped = await curl('--form', `file=@${file}`, url('/upload/program'));
    expect(stopped.stdout).toContain('program');
    expect(received).toBeLessThan(evil.length);
    expect(member(await transaction('/upload/program'), 'firewall_rule', 'uid')).toBe('program');
  });
});

describe.runIf(speaksNginx)('nginx over HTTP/2', () => {
  it('compresses what is inspected all the same', async () => {
    const base = `https://localhost:${nginx?.port}`;
    const good = await curl('--http2', '--compressed', '--write-out', '%{http_version}', `${base}/page.html`);
    expect(good.stdout).toBe(`${page}2`);
    const bad = await curl('--http2', '--compressed', `${base}/minutes.html`);
    expect(bad.stdout).not.toContain('Top Secret Minutes');
    expect(member(await transaction('/minutes.html'), 'firewall_rule', 'uid')).toBe('minutes');
    expect(gatewayField(await transaction('/page.html'), 'changes')).toContain('response header set: X-Inspected');
  });

  it('compresses what is masked all the same', async () => {
    const masked = await curl(
      '--http2',
      '--compressed',
      '--include',
      `https://localhost:${nginx?.port}/statement.html`,
    );
    expect(masked.stdout).toContain('content-encoding: gzip');
    expect(masked.stdout.split('\r\n\r\n').at(-1)).toBe(maskedStatement);
    const record = await transaction('/statement.html');
    expect(gatewayField(record, 'changes')).toContain('response body masked: 20 (rule statement)');
  });
});
