import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { createTestNetwork, netnsUnavailable, type TestNetwork } from '../support/netns.ts';
import { failureOf, isTransaction, type Line, member } from '../support/record-fields.ts';
import { hasProgram, type Ran, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

/** Chromium and a client of QUIC behind a gateway that captures their traffic, or that they know of; nginx speaks HTTP/2. */

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const assets = 60;
const isHere =
  netnsUnavailable === undefined && hasProgram('nginx') && hasProgram('chromium') && hasProgram('certutil');
const speaksQuic = netnsUnavailable === undefined && hasProgram('gtlsclient') && hasProgram('gtlsserver');

let network: TestNetwork;
let gateway: RunningGateway;
let directory: string;

/** Counts what has come, and tells by which protocol. */
const page = `<!doctype html><p id="p">not yet</p>
${Array.from({ length: assets / 2 }, (_, n) => `<img src="/image-${n}.svg">`).join('')}
${Array.from({ length: assets / 2 }, (_, n) => `<script src="/script-${n}.js"></script>`).join('')}
<script>
addEventListener('load', () => {
  const loaded = [...document.images].filter((image) => image.naturalWidth > 0).length + (window.scripts ?? 0);
  const protocols = new Set(performance.getEntriesByType('resource').map((entry) => entry.nextHopProtocol));
  document.getElementById('p').textContent = loaded + ' by ' + [...protocols].join();
});
</script>`;

beforeAll(async () => {
  if (netnsUnavailable !== undefined) return;
  directory = mkdtempSync(join(tmpdir(), 'daylight-browser-'));
  const authority = await createTestAuthority();
  const { cert, key } = await authority.issue({ names: ['origin.test', 'quic.test', '10.91.2.2'] });
  const root = join(directory, 'root');
  mkdirSync(root);
  const put = (name: string, content: string): void => writeFileSync(join(directory, name), content, { mode: 0o644 });
  put('cert.pem', cert);
  put('key.pem', key);
  put('root/index.html', page);
  for (let n = 0; n < assets / 2; n += 1) {
    put(
      `root/image-${n}.svg`,
      `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><!--${'x'.repeat(n * 997)}--></svg>`,
    );
    put(`root/script-${n}.js`, `window.scripts = (window.scripts ?? 0) + 1; // ${'x'.repeat(n * 1_009)}`);
  }
  put('nginx.conf', nginxConfiguration);
  network = await createTestNetwork();
  // QUIC of this address is an asset's that may speak it.
  await network.origin.run('ip', 'addr', 'add', '10.91.2.3/24', 'dev', 'eth0');
  await network.client.run('ip', 'addr', 'add', '10.91.1.3/24', 'dev', 'eth0');
  await network.client.run('ip', 'route', 'add', '10.91.2.3/32', 'via', '10.91.1.1', 'src', '10.91.1.3');
  if (hasProgram('nginx')) {
    await network.origin.start(
      /ready/,
      'sh',
      '-c',
      `echo ready; exec nginx -p ${directory} -c nginx.conf -e error.log`,
    );
  }
  gateway = await startGateway({
    namespace: network.gateway.name,
    files: { 'roots.pem': authority.rootPem },
    config: {
      listeners: [
        { mode: 'transparent', listen: '[::]:8443', capture: 'redirect' },
        { mode: 'explicit', listen: '10.91.1.1:3128' },
      ],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      rules: { files: ['config/rules/*.yaml'] },
      assets: [{ id: 'quiet', kind: 'cvm', addresses: ['10.91.1.3'], quic: 'allow' }],
      // The browser is to learn of HTTP/3, and to do without it.
      http: { altSvc: 'keep' },
    },
  });
  await network.gateway.run(process.execPath, main, 'net', 'up', '--config', gateway.configFile, '--interface', 'lan0');
}, 120_000);
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await network?.[Symbol.asyncDispose]();
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

/** One process, which ends with the network that it is in. */
const nginxConfiguration = `
user root; daemon off; master_process off; pid nginx.pid; error_log error.log;
events {}
http {
  types { text/html html; image/svg+xml svg; text/javascript js; }
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${name};`).join(' ')}
  server {
    listen 443 ssl http2;
    ssl_certificate cert.pem; ssl_certificate_key key.pem;
    root root;
    gzip on; gzip_types *;
    add_header Alt-Svc 'h3=":443"; ma=3600';
    location = /favicon.ico { return 204; }
  }
}`;

const inClient = (command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<Ran> =>
  run('ip', ['netns', 'exec', network.client.name, command, ...args], { env, timeoutMs: 60_000 });

/** Loads the page as a user who trusts the gateway's CA. */
async function load(name: string, ...flags: string[]): Promise<Ran> {
  const home = join(directory, name);
  const database = join(home, '.pki', 'nssdb');
  const isNew = !existsSync(database);
  mkdirSync(database, { recursive: true });
  const trusting = [
    ['-N', '--empty-password'],
    ['-A', '-n', 'daylight', '-t', 'C,,', '-i', gateway.caFile],
  ];
  for (const args of isNew ? trusting : []) {
    expect(await run('certutil', ['-d', `sql:${database}`, ...args])).toMatchObject({ code: 0 });
  }
  const common = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'];
  const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync'];
  const told = ['--enable-logging=stderr', '--virtual-time-budget=20000', '--dump-dom'];
  const profile = `--user-data-dir=${join(home, 'profile')}`;
  return inClient('chromium', [...common, ...quiet, ...told, profile, ...flags], {
    PATH: process.env.PATH,
    HOME: home,
  });
}
const shown = ({ stdout }: Ran): string | undefined => /<p id="p">([^<]*)</.exec(stdout)?.[1];
const complaints = ({ stderr }: Ran): readonly string[] =>
  stderr.split('\n').filter((line) => /CONSOLE|net::ERR/.test(line));
const isQuicOf = (name: string) => (line: Line) =>
  member(line, 'connection_info', 'protocol_name') === 'udp' && member(line, 'tls', 'sni') === name;

describe.runIf(isHere)('Chromium loads a page of many parts over HTTP/2', () => {
  const direct = ['--no-proxy-server', '--host-resolver-rules=MAP origin.test 10.91.2.2, MAP * ~NOTFOUND'];
  const url = 'https://origin.test/';

  it('captured, and does without the QUIC that it is offered and refused', { timeout: 120_000 }, async () => {
    const first = await load('captured', ...direct, '--enable-quic', url);
    expect(complaints(first)).toEqual([]);
    expect(shown(first)).toBe(`${assets} by h2`);
    const isPart = (line: Line): boolean =>
      isTransaction(line) && /\.(svg|js)$/.test(String(member(line, 'http_request', 'url', 'path')));
    const lines = await gateway.waitForRecords('traffic', (all) => all.filter(isPart).length >= assets);
    expect(new Set(lines.filter(isPart).map((line) => member(line, 'metadata', 'correlation_uid'))).size).toBe(1);
    // The same profile again: Chromium knows from Alt-Svc that the origin has HTTP/3, asks for it, and is none the worse.
    const second = await load('captured', ...direct, '--enable-quic', url);
    expect(complaints(second)).toEqual([]);
    expect(shown(second)).toBe(`${assets} by h2`);
    const all = await gateway.waitForRecords('traffic', (every) => every.some(isQuicOf('origin.test')));
    expect(failureOf(all.find(isQuicOf('origin.test')))).toBe('POLICY_QUIC_REFUSED');
  });

  it('through the proxy that it is set to', { timeout: 90_000 }, async () => {
    const ran = await load('explicit', '--proxy-server=http://10.91.1.1:3128', 'https://10.91.2.2/');
    expect(complaints(ran)).toEqual([]);
    expect(shown(ran)).toBe(`${assets} by h2`);
  });
});

describe.runIf(speaksQuic)('a client of QUIC (ngtcp2)', () => {
  const ask = (ip: string, name: string): Promise<Ran> =>
    inClient('timeout', [
      '8',
      'gtlsclient',
      '--exit-on-all-streams-close',
      `--sni=${name}`,
      ip,
      '443',
      `https://${name}/`,
    ]);

  it('is refused within a second, and recorded with the name in its ClientHello', async () => {
    const startMs = performance.now();
    const ran = await ask('10.91.2.2', 'quic.test');
    expect(performance.now() - startMs).toBeLessThan(4_000);
    expect(ran.stdout + ran.stderr).not.toContain('[:status: 200]');
    // The name that it sends with a bare address.
    const lines = await gateway.waitForRecords('traffic', (all) => all.some(isQuicOf('localhost')));
    const line = lines.find(isQuicOf('localhost'));
    expect(failureOf(line)).toBe('POLICY_QUIC_REFUSED');
    expect(member(line, 'src_endpoint', 'ip')).toBe('10.91.1.2');
  });

  it('reaches the origin where the asset may speak it', async () => {
    const server = ['gtlsserver', '-q', '-d', join(directory, 'root'), '10.91.2.3', '443', 'key.pem', 'cert.pem'];
    await network.origin.start(/ready/, 'sh', '-c', `cd ${directory}; echo ready; exec ${server.join(' ')}`);
    await expect
      .poll(async () => {
        const { stdout, stderr } = await ask('10.91.2.3', 'quic.test');
        return stdout + stderr;
      })
      .toMatch(/:status: 200/);
  });
});
