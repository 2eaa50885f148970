import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway, waitUntil } from '../support/gateway.ts';
import { type Nginx, startNginx } from '../support/nginx.ts';
import { failureOf, isFlow, isTransaction, type Line, member } from '../support/record-fields.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const here = hasProgram('curl') && hasProgram('nginx') && hasProgram('haproxy');
const versions = ['v1', 'v2'] as const;

let gateway: RunningGateway;
let nginx: Nginx;
let balancer: Balancer;
/** Listeners of the gateway: with sendProxyProtocol of either version, and one that trusts nobody here. */
const ports = { v1: 0, v2: 0, wary: 0 };

beforeAll(async () => {
  if (!here) return;
  const authority = await createTestAuthority();
  const seen = 'location / { return 200 "$proxy_protocol_addr $proxy_protocol_server_port $uri\\n"; }';
  nginx = await startNginx(await authority.issue({ names: ['shop.example'] }), seen, 'proxy_protocol');
  for (const name of ['v1', 'v2', 'wary'] as const) ports[name] = await freePort();
  const listener = (name: keyof typeof ports, more: object) => ({
    ...{ mode: 'reverse', listen: `127.0.0.1:${ports[name]}`, origin: `127.0.0.1:${nginx.port}` },
    ...{ originName: 'shop.example', proxyProtocol: 'accept', trustedProxies: ['127.0.0.1/32'] },
    ...more,
  });
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem },
    config: {
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      listeners: [
        listener('v1', { sendProxyProtocol: 'v1' }),
        listener('v2', { sendProxyProtocol: 'v2' }),
        listener('wary', { sendProxyProtocol: 'v2', trustedProxies: ['192.0.2.0/24'] }),
      ],
    },
  });
  balancer = await startBalancer();
});

afterAll(async () => {
  await balancer?.[Symbol.asyncDispose]();
  await gateway?.[Symbol.asyncDispose]();
  await nginx?.[Symbol.asyncDispose]();
});

const curl = (port: number, path: string, ...args: readonly string[]) =>
  run('curl', [
    ...['-sS', '--max-time', '10', '--cacert', gateway.caFile, '--resolve', `shop.example:${port}:127.0.0.1`],
    ...args,
    `https://shop.example:${port}${path}`,
  ]);

async function clientOf(path: string): Promise<unknown> {
  const isMine = (line: Line): boolean => isTransaction(line) && member(line, 'http_request', 'url', 'path') === path;
  const lines = await gateway.waitForRecords('traffic', (all) => all.some(isMine));
  return member(lines.find(isMine), 'src_endpoint', 'ip');
}

describe.runIf(here)('the PROXY protocol, from HAProxy and curl through to nginx', () => {
  it.each(versions.flatMap((from) => versions.map((to) => [from, to] as const)))(
    'HAProxy tells the client in %s, and nginx is told in %s',
    async (from, to) => {
      const path = `/${from}-${to}`;
      const ran = await curl(balancer.ports[from][to], path, '--interface', '127.0.0.7');
      expect(ran).toEqual({ code: 0, stdout: `127.0.0.7 ${ports[to]} ${path}\n`, stderr: '' });
      expect(await clientOf(path)).toBe('127.0.0.7');
    },
  );

  it.each(versions)('curl writes the header itself, and nginx is told in %s', async (to) => {
    const path = `/curl-${to}`;
    const ran = await curl(ports[to], path, '--haproxy-protocol');
    expect(ran).toEqual({ code: 0, stdout: `127.0.0.1 ${ports[to]} ${path}\n`, stderr: '' });
  });

  it('believes no header of a source that is not trusted, and tells nginx of that source', async () => {
    expect((await curl(ports.wary, '/wary', '--haproxy-protocol')).code).not.toBe(0);
    const isMine = (line: Line): boolean => isFlow(line) && failureOf(line) === 'CLIENT_PROXY_HEADER_INVALID';
    await gateway.waitForRecords('traffic', (all) => all.some(isMine));
    const ran = await curl(ports.wary, '/bare', '--interface', '127.0.0.9');
    expect(ran).toEqual({ code: 0, stdout: `127.0.0.9 ${ports.wary} /bare\n`, stderr: '' });
  });
});

interface Balancer extends AsyncDisposable {
  /** By the version that it speaks, then by the listener of the gateway behind it. */
  readonly ports: Readonly<Record<'v1' | 'v2', { v1: number; v2: number }>>;
}

/** HAProxy passes TCP to the gateway, with headers of either version; those of version 2 carry extensions. */
async function startBalancer(): Promise<Balancer> {
  const directory = mkdtempSync(join(tmpdir(), 'daylight-haproxy-'));
  const own = { v1: { v1: 0, v2: 0 }, v2: { v1: 0, v2: 0 } };
  const sections: string[] = [];
  for (const from of versions) {
    for (const to of versions) {
      own[from][to] = await freePort();
      const send = from === 'v1' ? 'send-proxy' : 'send-proxy-v2 proxy-v2-options crc32c,unique-id,authority';
      sections.push(`listen ${from}-${to}
  bind 127.0.0.1:${own[from][to]}
  server gateway 127.0.0.1:${ports[to]} ${send}`);
    }
  }
  const times = ['connect', 'client', 'server'].map((name) => `  timeout ${name} 10s`);
  const text = ['global', '  maxconn 50', 'defaults', '  mode tcp', ...times, ...sections, ''].join('\n');
  writeFileSync(join(directory, 'haproxy.cfg'), text);
  const child = spawn('haproxy', ['-db', '-f', join(directory, 'haproxy.cfg')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = new Promise((resolve) => child.once('exit', resolve).once('error', resolve));
  let said = '';
  child.stderr.on('data', (text: Buffer) => {
    said += text.toString();
  });
  let isReady = false;
  const probe = async (): Promise<void> => {
    while (!isReady && child.exitCode === null) isReady = (await curl(own.v1.v1, '/ready')).code === 0;
  };
  void probe();
  await waitUntil(
    () => isReady,
    () => `haproxy does not pass anything on: ${said}`,
  );
  return {
    ports: own,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
