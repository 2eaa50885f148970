import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { hasProgram, type Ran, run } from '../support/run.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

const page = '<!doctype html><p id="p">as sent</p><script src="/app.js"></script>\n';
const script = 'document.getElementById("p").textContent = "changed by a script";\n';

let authority: TestAuthority;
let gateway: RunningGateway;
let origin: TestOrigin;
let expired: TestOrigin;
let port: number;
let directory: string;

describe.runIf(hasProgram('chromium') && hasProgram('certutil'))('Chromium', () => {
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'daylight-chromium-'));
    authority = await createTestAuthority();
    origin = await startOrigin(await authority.issue({ names: ['localhost'] }), (request, response) => {
      response.setHeader('content-type', request.url === '/app.js' ? 'text/javascript' : 'text/html');
      response.end(request.url === '/app.js' ? script : page);
    });
    expired = await startOrigin(
      await authority.issue({ names: ['localhost'], validFromMs: -7_200_000, validForMs: -3_600_000 }),
    );
    port = await freePort();
    gateway = await startGateway({
      files: { 'roots.pem': authority.rootPem },
      config: {
        listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
        originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      },
    });
  });
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await origin?.[Symbol.asyncDispose]();
    await expired?.[Symbol.asyncDispose]();
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  });

  it('loads a page and its script behind a leaf of a CA that its user trusts', async () => {
    const { stdout, stderr } = await load(await home('trusting', gateway.caFile), origin);
    expect(failureIn(stderr)).toBeUndefined();
    expect(stdout).toContain('<p id="p">changed by a script</p>');
    expect(origin.requests).toContain('GET /app.js');
  });

  it('loads nothing for a user who does not trust the CA', async () => {
    const before = origin.requests.length;
    const { stderr } = await load(await home('strange', undefined), origin);
    expect(failureIn(stderr)).toBe('ERR_CERT_AUTHORITY_INVALID');
    expect(origin.requests.length).toBe(before);
  });

  it('is refused, whomever its user trusts, where the origin fails its check', async () => {
    const { stdout, stderr } = await load(await home('deceived', gateway.caFile), expired);
    expect(stdout).toBe('');
    // So Chromium calls every alert about a certificate.
    expect(failureIn(stderr)).toBe('ERR_BAD_SSL_CLIENT_AUTH_CERT');
    expect(expired.bytesReceived()).toBe(0);
  });
});

/** A home directory whose NSS database trusts a CA for servers. */
async function home(name: string, caFile: string | undefined): Promise<string> {
  const made = join(directory, name);
  const database = join(made, '.pki', 'nssdb');
  mkdirSync(database, { recursive: true });
  const certutil = async (...args: string[]): Promise<void> => {
    const { code, stderr } = await run('certutil', ['-d', `sql:${database}`, ...args]);
    if (code !== 0) throw new Error(stderr);
  };
  await certutil('-N', '--empty-password');
  if (caFile !== undefined) await certutil('-A', '-n', 'daylight', '-t', 'C,,', '-i', caFile);
  return made;
}

/** Why a page was not loaded. */
function failureIn(stderr: string): string | undefined {
  return /Page load failed: net::(\w+)/.exec(stderr)?.[1];
}

/** Prints the document that Chromium makes of the page of an origin, through the gateway. */
function load(from: string, { port: originPort }: TestOrigin): Promise<Ran> {
  return run(
    'chromium',
    [
      '--headless',
      // Its sandbox needs namespaces of its own, which are not to be had in every container.
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      `--user-data-dir=${join(from, 'profile')}`,
      // Whatever else it wants to know of the world ends at a port that nobody listens on.
      `--proxy-server=https=127.0.0.1:${port};http=127.0.0.1:9`,
      '--proxy-bypass-list=<-loopback>',
      '--host-rules=MAP * 127.0.0.1:9, EXCLUDE localhost, EXCLUDE 127.0.0.1',
      '--dump-dom',
      `https://localhost:${originPort}/`,
    ],
    { env: { PATH: process.env.PATH, HOME: from }, cwd: from, timeoutMs: 60_000 },
  );
}
