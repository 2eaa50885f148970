import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

/** What a network sensor, Suricata, makes of the decrypted traffic: from rotated files, and streamed. */

const page = 'the plaintext page '.repeat(6_000);
const families = [
  ['IPv4', '127.0.0.1'],
  ['IPv6', '::1'],
] as const;

let gateway: RunningGateway;
let origins: Readonly<Record<string, TestOrigin>>;
let ports: Readonly<Record<string, number>>;
let streamPort: number;

const isHere = hasProgram('suricata') && hasProgram('curl') && hasProgram('tshark');

/** Everything that Suricata calls an anomaly is told, whatever it is of. */
const configuration = `%YAML 1.1
---
vars: { address-groups: { HOME_NET: any, EXTERNAL_NET: any } }
outputs:
  - eve-log:
      enabled: yes
      filetype: regular
      filename: eve.json
      types:
        - http: { extended: yes }
        - flow
        - stats
        - anomaly: { enabled: yes, types: { decode: yes, stream: yes, applayer: yes } }
app-layer: { protocols: { http: { enabled: yes } } }
stream: { checksum-validation: yes, reassembly: { memcap: 64mb, depth: 0 } }
`;

interface Seen {
  readonly event_type: string;
  readonly src_ip?: string;
  readonly dest_port?: number;
  readonly http?: { readonly url?: string; readonly length?: number; readonly status?: number };
  readonly anomaly?: unknown;
}

beforeAll(async () => {
  if (!isHere) return;
  const authority = await createTestAuthority();
  const credentials = await authority.issue({ names: ['localhost', '127.0.0.1', '::1'] });
  const start = (ip: string) => startOrigin(credentials, (_request, response) => response.end(page), {}, ip);
  origins = { IPv4: await start('127.0.0.1'), IPv6: await start('::1') };
  ports = { IPv4: await freePort(), IPv6: await freePort('::1') };
  streamPort = await freePort();
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem, 'suricata.yaml': configuration },
    config: {
      listeners: [
        { mode: 'explicit', listen: `127.0.0.1:${ports.IPv4}` },
        { mode: 'explicit', listen: `[::1]:${ports.IPv6}` },
      ],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      export: {
        pcapng: { directory: '$DIRECTORY/packets', rotateBytes: '2MB', keep: 20 },
        pcapOverIp: `127.0.0.1:${streamPort}`,
      },
    },
  });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  for (const origin of Object.values(origins ?? {})) await origin[Symbol.asyncDispose]();
});

const bracketed = (ip: string): string => (ip.includes(':') ? `[${ip}]` : ip);
/** Two requests on a kept connection, the second with a body of many segments. */
async function exchange(family: string, ip: string, path: string): Promise<void> {
  const each = ['--noproxy', '', '--proxy', `http://${bracketed(ip)}:${ports[family]}`, '--cacert', gateway.caFile];
  const url = `https://${bracketed(ip)}:${origins[family]?.port}${path}`;
  const upload = join(gateway.directory, 'upload.txt');
  writeFileSync(upload, page);
  const second = ['--next', '-sS', ...each, '-X', 'POST', '--data-binary', `@${upload}`, `${url}?posted`];
  const ran = await run('curl', ['-sS', ...each, url, ...second]);
  expect(ran).toEqual({ code: 0, stdout: page + page, stderr: '' });
}
const packetFiles = (): readonly string[] =>
  readdirSync(join(gateway.directory, 'packets'))
    .sort()
    .map((name) => join(gateway.directory, 'packets', name));
/** What Suricata told of a file. */
async function suricata(name: string, file: string): Promise<readonly Seen[]> {
  const folder = join(gateway.directory, name);
  mkdirSync(folder);
  const ran = await run('suricata', suricataArguments(folder, file), { timeoutMs: 60_000 });
  expect(ran, ran.stderr).toMatchObject({ code: 0 });
  return told(folder);
}
const suricataArguments = (folder: string, file: string): string[] => [
  ...['-c', join(gateway.directory, 'suricata.yaml'), '-S', '/dev/null'],
  ...['-k', 'all', '-l', folder, '-r', file],
];
function told(folder: string): readonly Seen[] {
  const file = join(folder, 'eve.json');
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Seen);
}
const requestsIn = (events: readonly Seen[], path: string): readonly Seen[] =>
  events.filter(({ event_type, http }) => event_type === 'http' && http?.url?.startsWith(path));

describe.runIf(isHere)('Suricata', () => {
  it.each(families)('reads %s in rotated files, and finds nothing odd', { timeout: 60_000 }, async (family, ip) => {
    const path = `/in-files-${family}`;
    await exchange(family, ip, path);
    // The conversation ends with its connection, which curl has closed.
    const merged = join(gateway.directory, `${family}.pcapng`);
    const ends = async (): Promise<number> => {
      await run('mergecap', ['-a', '-w', merged, ...packetFiles()]);
      const { stdout } = await run('tshark', [
        '-n',
        '-r',
        merged,
        '-Y',
        'tcp.flags.fin == 1',
        '-T',
        'fields',
        '-e',
        'tcp.dstport',
      ]);
      return stdout.split('\n').filter((port) => port === String(origins[family]?.port)).length;
    };
    await expect.poll(ends, { timeout: 15_000 }).toBeGreaterThanOrEqual(1);
    const seen = await suricata(`suricata-${family}`, merged);
    expect(seen.filter(({ event_type }) => event_type === 'anomaly')).toEqual([]);
    const requests = requestsIn(seen, path);
    expect(requests.map(({ http }) => [http?.url, http?.status, http?.length])).toEqual([
      [path, 200, page.length],
      [`${path}?posted`, 200, page.length],
    ]);
    expect(requests[0]).toMatchObject({ dest_port: origins[family]?.port });
    expect(requests[0]?.src_ip).toMatch(family === 'IPv4' ? /^127\.0\.0\.1$/ : /^0000:.*:0001$/);
  });

  it.each(families)(
    'gets no %s packet beyond the MTU, each with right checksums',
    { timeout: 60_000 },
    async (family, ip) => {
      const path = `/mtu-${family}`;
      await exchange(family, ip, path);
      const merged = join(gateway.directory, `mtu-${family}.pcapng`);
      await run('mergecap', ['-a', '-w', merged, ...packetFiles()]);
      const checks = ['-o', 'tcp.check_checksum:TRUE', '-o', 'ip.check_checksum:TRUE'];
      const names = ['frame.len', 'tcp.checksum.status', 'ip.checksum.status', '_ws.malformed'];
      const fields = ['-T', 'fields', ...names.flatMap((name) => ['-e', name])];
      const own = `tcp.port == ${origins[family]?.port}`;
      const { stdout } = await run('tshark', ['-n', ...checks, '-r', merged, '-Y', own, ...fields], {
        timeoutMs: 60_000,
      });
      const rows = stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => line.split('\t'));
      const lengths = rows.map(([length]) => Number(length));
      expect(lengths.filter((length) => length === 1_500).length).toBeGreaterThan(100);
      expect(Math.max(...lengths)).toBe(1_500);
      // 1 is "good"; IPv6 has no checksum of its own.
      const good = family === 'IPv4' ? ['1', '1', ''] : ['1', '', ''];
      expect(rows.filter((row) => row.slice(1).join() !== good.join())).toEqual([]);
    },
  );

  it('reads the stream (PCAP-over-IP) behind netcat', { timeout: 60_000 }, async () => {
    const folder = join(gateway.directory, 'suricata-stream');
    const fifo = join(gateway.directory, 'stream.pcapng');
    mkdirSync(folder);
    expect((await run('mkfifo', [fifo])).code).toBe(0);
    const program = spawn('suricata', suricataArguments(folder, fifo), { stdio: 'ignore' });
    // bash as netcat: it is everywhere.
    const netcat = spawn('bash', ['-c', `exec cat < /dev/tcp/127.0.0.1/${streamPort} > "$0"`, fifo], {
      stdio: 'ignore',
    });
    try {
      // Only what passes from the moment on that a reader is there is streamed.
      await new Promise((resolve) => setTimeout(resolve, 500));
      for (let count = 0; count < 12; count += 1) await exchange('IPv4', '127.0.0.1', `/streamed-${count}`);
    } finally {
      await endOf(netcat);
    }
    // The end of the stream is the end of the file: Suricata writes what it has and leaves.
    await Promise.race([once(program, 'exit'), new Promise((resolve) => setTimeout(resolve, 15_000))]);
    await endOf(program);
    const seen = told(folder);
    expect(requestsIn(seen, '/streamed').length).toBeGreaterThan(2);
    expect(seen.filter(({ event_type }) => event_type === 'anomaly')).toEqual([]);
  });
});

async function endOf(program: ChildProcess): Promise<void> {
  if (program.exitCode !== null || program.signalCode !== null) return;
  const gone = once(program, 'exit');
  program.kill('SIGTERM');
  await gone;
}
