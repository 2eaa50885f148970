import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { hasProgram, run } from '../support/run.ts';

/** Nobody but a relay gets a certificate from the CA (STIP FDP_CER_EXT.3). */

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
let gateway: RunningGateway;
let adminPort: number;
let csr: string;

const available = hasProgram('openssl');
if (!available) console.warn('skipped: no openssl here');

/** Hands a certificate request in; gives status and answer. */
function handIn(to: object, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/pkcs10', 'content-length': Buffer.byteLength(csr) };
    const asked = request({ ...to, method: 'POST', path, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve(`${response.statusCode} ${text}`));
    });
    asked.on('error', (error: NodeJS.ErrnoException) => reject(new Error(error.code)));
    asked.end(csr);
  });
}

describe.runIf(available)('a certificate request from outside', { timeout: 60_000 }, () => {
  beforeAll(async () => {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null'];
    const made = await run('openssl', ['req', '-new', ...key, '-subj', '/CN=bank.example']);
    csr = made.stdout;
    expect(csr).toContain('BEGIN CERTIFICATE REQUEST');
    adminPort = await freePort();
    gateway = await startGateway({
      config: {
        listeners: [{ mode: 'explicit', listen: `127.0.0.1:${await freePort()}` }],
        admin: { listen: `127.0.0.1:${adminPort}` },
      },
    });
  });
  afterAll(() => gateway?.[Symbol.asyncDispose]());

  it.each(['/sign', '/leafs', '/certificates', '/.well-known/est/simpleenroll', '/cgi-bin/pkiclient.exe', '/'])(
    'is answered with no certificate at %s, neither by the admin address nor by the control socket',
    async (path) => {
      const socketPath = join(gateway.directory, 'certs', 'control.sock');
      for (const to of [{ host: '127.0.0.1', port: adminPort }, { socketPath }]) {
        // A body that is no JSON may cost the connection.
        const heard = await handIn(to, path).catch((error: Error) => error.message);
        expect(heard).toMatch(/^40[0-9] |^ECONNRESET$/);
        expect(heard).not.toContain('BEGIN CERTIFICATE');
      }
    },
  );

  it('is nothing that a command takes, and none of them has left a line in the issuance log', async () => {
    for (const action of ['sign', 'issue', 'request']) {
      const ran = await run(process.execPath, ['--no-warnings', main, 'ca', action, '--config', gateway.configFile], {
        input: csr,
      });
      expect(ran).toMatchObject({ code: 2, stdout: '' });
    }
    const issued = await run(process.execPath, [
      '--no-warnings',
      main,
      'ca',
      'issued',
      '--json',
      '--config',
      gateway.configFile,
    ]);
    expect(issued.code).toBe(0);
    expect(issued.stdout).not.toContain('bank.example');
    expect(JSON.parse(issued.stdout)).toMatchObject({ lines: 0 });
  });
});
