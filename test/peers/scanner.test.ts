import { writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ClamScanner, eicar, startClamScanner } from '../support/clam-scanner.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startHttp2Origin } from '../support/http2-origin.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { startMailOrigin } from '../support/mail-origin.ts';
import { type Nginx, startNginx } from '../support/nginx.ts';
import { ocsfProblems } from '../support/ocsf.ts';
import { gatewayField, isTransaction, type Line } from '../support/record-fields.ts';
import { hasProgram, type Ran, run } from '../support/run.ts';
import { type Credentials, createTestAuthority } from '../support/test-authority.ts';

const isHere = ['curl', 'nginx', 'c-icap', 'clamd'].map(hasProgram).every(Boolean);
const clean = Buffer.from('All is well here.\n'.repeat(20_000));
const infected = Buffer.concat([clean, eicar, clean]);
const downloads: Readonly<Record<string, Buffer>> = {
  '/clean': clean,
  '/small': Buffer.from('hello'),
  '/eicar': eicar,
  '/infected': infected,
  '/gzip': gzipSync(infected),
  '/clean-gzip': gzipSync(clean),
};

let scanner: ClamScanner;
let gateway: RunningGateway;
let origin: TestOrigin;
let nginx: Nginx;
let port: number;
let credentials: Credentials;
let uploads: Buffer[] = [];

beforeAll(async () => {
  if (!isHere) return;
  const authority = await createTestAuthority();
  credentials = await authority.issue({ names: ['localhost'], keyType: 'rsa' });
  origin = await startOrigin(credentials, answer);
  nginx = await startNginx(credentials, '', 'http2');
  writeFileSync(join(nginx.root, 'infected-h2'), infected);
  writeFileSync(join(nginx.root, 'clean-h2'), clean);
  scanner = await startClamScanner();
  port = await freePort();
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem },
    config: {
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      scanners: [{ id: 'clam', url: scanner.url }],
    },
  });
}, 60_000);

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await nginx?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
  await scanner?.[Symbol.asyncDispose]();
});

function answer(request: IncomingMessage, response: ServerResponse): void {
  if (request.method === 'POST') {
    const body: Buffer[] = [];
    request.on('data', (chunk: Buffer) => body.push(chunk));
    request.on('end', () => {
      uploads.push(Buffer.concat(body));
      response.end('taken');
    });
    return;
  }
  const path = request.url ?? '';
  if (path.endsWith('gzip')) response.setHeader('Content-Encoding', 'gzip');
  response.end(downloads[path] ?? '');
}

function curl(path: string, ...args: readonly string[]): Promise<Ran> {
  const target = `https://localhost:${origin.port}${path}`;
  const proxy = ['-x', `http://127.0.0.1:${port}`, '--cacert', gateway.caFile];
  return run('curl', ['-sS', '-m', '20', ...proxy, '-w', '\n%{http_code} %{http_version}', ...args, target]);
}

const lastOf = async (path: string): Promise<Line> => {
  const isIt = (line: Line): boolean => isTransaction(line) && JSON.stringify(line).includes(path);
  const lines = await gateway.waitForRecords('traffic', (records) => records.some(isIt));
  const line = lines.findLast(isIt);
  expect(ocsfProblems(line)).toEqual([]);
  return line as Line;
};

describe.runIf(isHere)('c-icap with ClamAV', () => {
  it.each(['/clean', '/small', '/clean-gzip'])('lets a clean download pass as it is: %s', async (path) => {
    const ran = await curl(path, '--compressed');
    const body = path === '/small' ? 'hello' : clean.toString();
    expect(ran.stdout).toBe(`${body}\n200 1.1`);
    expect(gatewayField(await lastOf(path), 'scans')).toMatchObject([
      { scanner: 'clam', message: 'response', outcome: 'clean' },
    ]);
  });

  it.each(['/eicar', '/infected', '/gzip'])('blocks an infected download: %s', async (path) => {
    const ran = await curl(path, '-D', '-');
    expect(ran.stdout).toMatch(/403 1\.1$/);
    expect(ran.stdout).toContain('Daylight-Failure: POLICY_SCANNER_BLOCK');
    expect(ran.stdout).not.toContain('EICAR-STANDARD');
    expect(ran.stdout).not.toContain('All is well');
    const line = await lastOf(path);
    expect(gatewayField(line, 'failure')).toBe('POLICY_SCANNER_BLOCK');
    expect(gatewayField(line, 'verdict')).toBe('block');
    expect(gatewayField(line, 'scans')).toMatchObject([
      { scanner: 'clam', outcome: 'blocked', detail: expect.stringContaining('Eicar') },
    ]);
  });

  it('blocks an infected upload before the origin has seen a byte of it, and tells so in an alarm', async () => {
    uploads = [];
    const before = origin.requests.length;
    const ran = await curl('/up-bad', '--data-binary', eicar.toString(), '-H', 'Expect:');
    expect(ran.stdout).toMatch(/403 1\.1$/);
    expect(origin.requests).toHaveLength(before);
    const alarms = await gateway.waitForRecords('alarms', (lines) =>
      lines.some((line) => JSON.stringify(line).includes('/up-bad')),
    );
    const alarm = alarms.find((line) => JSON.stringify(line).includes('/up-bad'));
    expect(ocsfProblems(alarm as Line)).toEqual([]);
    expect(alarm).toMatchObject({ firewall_rule: { uid: 'scanner.clam' }, evidences: [{ name: 'http.request.body' }] });
  });

  it('passes a clean upload on as it came, also one that waits for 100 Continue', async () => {
    uploads = [];
    for (const expectation of ['Expect:', 'Expect: 100-continue']) {
      const ran = await run(
        'curl',
        [
          ...['-sS', '-m', '20', '-x', `http://127.0.0.1:${port}`, '--cacert', gateway.caFile, '-H', expectation],
          ...['--data-binary', '@-', `https://localhost:${origin.port}/up-good`],
        ],
        { input: clean },
      );
      expect(ran.stdout).toBe('taken');
    }
    expect(uploads.map((upload) => upload.equals(clean))).toEqual([true, true]);
  });

  describe('over HTTP/2', () => {
    it('blocks an infected download, and lets clean ones on the same connection pass', async () => {
      const url = (path: string): string => `https://localhost:${nginx.port}${path}`;
      const each = ['-sS', '-m', '20', '-x', `http://127.0.0.1:${port}`, '--cacert', gateway.caFile, '--http2'];
      const told = ['-w', '\n%{http_code} %{http_version} %{num_connects}\n'];
      const ran = await run('curl', [
        ...[...each, ...told, url('/clean-h2'), '--next', ...each, ...told, url('/infected-h2')],
        ...['--next', ...each, ...told, url('/clean-h2')],
      ]);
      expect(ran.stderr).toBe('');
      expect(ran.stdout.match(/^\d{3} 2 \d$/gm)).toEqual(['200 2 1', '403 2 0', '200 2 0']);
      expect(ran.stdout.split(clean.toString())).toHaveLength(3);
      expect(ran.stdout).toContain('POLICY_SCANNER_BLOCK');
      expect(ran.stdout).not.toContain('EICAR-STANDARD');
      const line = await lastOf('/infected-h2');
      expect(gatewayField(line, 'protocol')).toBe('h2');
      expect(gatewayField(line, 'failure')).toBe('POLICY_SCANNER_BLOCK');
      expect(gatewayField(line, 'scans')).toMatchObject([
        { scanner: 'clam', outcome: 'blocked', detail: expect.stringContaining('Eicar') },
      ]);
    });

    it('blocks an infected upload before the origin has heard of it, and passes a clean one on', async () => {
      await using http2 = await startHttp2Origin({ credentials });
      const upload = (path: string, body: Buffer, expectation: string): Promise<Ran> =>
        run(
          'curl',
          [
            ...['-sS', '-m', '20', '-x', `http://127.0.0.1:${port}`, '--cacert', gateway.caFile, '--http2'],
            ...['-w', '%{http_code} %{http_version}', '-H', expectation, '--data-binary', '@-'],
            `https://localhost:${http2.port}${path}`,
          ],
          { input: body },
        );
      expect((await upload('/up-bad-h2', infected, 'Expect:')).stdout).toMatch(/403 2$/);
      expect(http2.requests).toEqual([]);
      const good = await upload('/up-good-h2', clean, 'Expect:');
      expect(good.stdout).toBe(`POST /up-good-h2 ${clean.length}\n200 2`);
      expect(gatewayField(await lastOf('/up-good-h2'), 'scans')).toMatchObject([
        { message: 'request', outcome: 'clean' },
        { message: 'response', outcome: 'clean' },
      ]);
    });
  });

  it('sees what is attached to a mail: an infected one is answered 554 and never reaches its server', async () => {
    await using mailOrigin = await startMailOrigin(undefined);
    const send = async (content: Buffer): Promise<Ran> => {
      const file = join(nginx.root, 'mail.eml');
      const attachment = content.toString('base64').replace(/.{76}/g, '$&\r\n');
      const head = 'Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n';
      const fields = 'Content-Disposition: attachment; filename="a.txt"\r\nContent-Transfer-Encoding: base64\r\n\r\n';
      writeFileSync(file, `${head}${fields}${attachment}\r\n--b--\r\n`);
      const mail = ['--mail-from', 'b@c.test', '--mail-rcpt', 'a@example.test', '-T', file];
      const proxy = ['-p', '-x', `http://127.0.0.1:${port}`];
      return run('curl', ['-sS', '-v', '-m', '30', ...proxy, ...mail, `smtp://localhost:${mailOrigin.port}/me`]);
    };
    const infectedMail = await send(infected);
    expect(infectedMail.stderr).toMatch(/554 5\.7\.1 POLICY_SCANNER_BLOCK scanner clam: [^\r\n]*Eicar/);
    expect(mailOrigin.mails).toEqual([]);
    const cleanMail = await send(clean);
    expect(cleanMail.code, cleanMail.stderr).toBe(0);
    expect(mailOrigin.mails).toHaveLength(1);
    const isMail = (line: Line): boolean => line.class_uid === 4009;
    const lines = await gateway.waitForRecords('traffic', (records) => records.filter(isMail).length === 2);
    const [first, second] = lines.filter(isMail);
    for (const line of [first, second]) expect(ocsfProblems(line)).toEqual([]);
    expect(gatewayField(first as Line, 'verdict')).toBe('block');
    expect(gatewayField(first as Line, 'scans')).toMatchObject([{ outcome: 'clean' }, { part: 2, outcome: 'blocked' }]);
    expect(gatewayField(second as Line, 'scans')).toMatchObject([{ outcome: 'clean' }, { outcome: 'clean' }]);
  });

  it('is asked in both directions', () => {
    expect(scanner.log()).toMatch(/REQMOD/);
    expect(scanner.log()).toMatch(/RESPMOD/);
  });
});
