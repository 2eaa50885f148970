import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway, waitUntil } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { openTunnel } from '../support/tunnel.ts';

const page = 'the plaintext page '.repeat(9_000);

let gateway: RunningGateway;
let origin: TestOrigin;
let port: number;
let streamPort: number;

beforeAll(async () => {
  const authority = await createTestAuthority();
  origin = await startOrigin(await authority.issue({ names: ['localhost'] }), (_request, response) =>
    response.end(page),
  );
  [port, streamPort] = [await freePort(), await freePort()];
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem },
    config: {
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      export: {
        pcapng: { directory: '$DIRECTORY/packets', rotateBytes: '300KB', keep: 2 },
        pcapOverIp: `127.0.0.1:${streamPort}`,
      },
      keyLog: { client: '$DIRECTORY/client-keys.log', origin: '$DIRECTORY/origin-keys.log' },
    },
  });
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
});

const fetchPage = async (path: string): Promise<void> => {
  const proxy = ['--proxy', `http://127.0.0.1:${port}`, '--cacert', gateway.caFile];
  const { stdout } = await run('curl', ['-sS', ...proxy, `https://localhost:${origin.port}${path}`]);
  expect(stdout).toBe(page);
};
const packetFiles = (): readonly string[] => {
  const folder = join(gateway.directory, 'packets');
  return readdirSync(folder)
    .sort()
    .map((name) => join(folder, name));
};
const holds = (file: string, text: string): boolean => readFileSync(file).includes(text);

describe('decrypted traffic', () => {
  it('is announced, in the log and where an auditor looks', async () => {
    const notices = (await gateway.waitForRecords('alarms', (lines) => lines.length >= 4)).map(
      ({ message }) => message,
    );
    const folder = join(gateway.directory, 'packets');
    for (const told of [`decrypted traffic is written, unmasked, to ${folder}`, `TLS keys of clients are written`]) {
      expect(notices.some((notice) => String(notice).includes(told))).toBe(true);
      expect(gateway.log()).toContain(told);
    }
  });

  it.runIf(hasProgram('tshark'))('is in files that tshark reads without a remark', async () => {
    await fetchPage('/in-a-file');
    await waitUntil(
      () => packetFiles().some((file) => holds(file, '/in-a-file')),
      () => 'no packets',
    );
    const file = packetFiles().find((name) => holds(name, '/in-a-file')) ?? '';
    // The last packets of the flow may be on their way.
    const fields = [
      'frame.comment',
      'ip.src',
      'ip.dst',
      'tcp.dstport',
      'tcp.analysis.flags',
      'http.request.uri',
      'http.content_length',
      '_ws.malformed',
    ];
    const read = async (): Promise<string> =>
      (
        await run('tshark', [
          '-n',
          '-r',
          file,
          '-d',
          `tcp.port==${origin.port},http`,
          '-T',
          'fields',
          ...fields.flatMap((field) => ['-e', field]),
        ])
      ).stdout;
    let text = '';
    await expect.poll(async () => (text = await read()), { timeout: 10_000 }).toContain(String(page.length));
    const rows = text
      .replace(/\n$/, '')
      .split('\n')
      .map((line) => line.split('\t'));
    expect(rows[0]?.slice(1, 4)).toEqual(['127.0.0.1', '127.0.0.1', String(origin.port)]);
    expect(rows[0]?.[0]).toMatch(/^Decryption Detection; flow [0-9A-Z]{26}$/);
    expect(rows.filter((row) => row[5] === '/in-a-file')).toHaveLength(1);
    expect(rows.filter((row) => row[4] !== '' || (row[7] ?? '') !== '')).toEqual([]);
    const { stdout } = await run('capinfos', ['-k', file]);
    expect(stdout).toContain('Decryption Detection');
  });

  it('is for the owner alone, and as much of it as policy says', async () => {
    for (let count = 0; count < 6; count += 1) await fetchPage(`/rotate-${count}`);
    await waitUntil(
      () => packetFiles().some((file) => holds(file, '/rotate-5')),
      () => packetFiles().join(),
    );
    expect(packetFiles()).toHaveLength(2);
    for (const file of packetFiles()) expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(gateway.directory, 'packets')).mode & 0o777).toBe(0o700);
  });

  it.runIf(hasProgram('tshark'))('is streamed to tshark (PCAP-over-IP)', async () => {
    const tshark = spawn(
      'tshark',
      [
        '-n',
        '-l',
        '-i',
        `TCP@127.0.0.1:${streamPort}`,
        '-d',
        `tcp.port==${origin.port},http`,
        '-Y',
        'http.request.uri',
        '-T',
        'fields',
        '-e',
        'http.request.full_uri',
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let [heard, told] = ['', ''];
    tshark.stdout.on('data', (text) => (heard += text));
    tshark.stderr.on('data', (text) => (told += text));
    await waitUntil(
      () => told.includes('Capturing on'),
      () => told,
    );
    // It says so before it has connected: only what passes from then on is streamed.
    for (let count = 0; count < 100 && heard === ''; count += 1) await fetchPage(`/streamed-${count}`);
    expect(heard).toMatch(/^https?:\/\/localhost:\d+\/streamed-\d+\n/);
    tshark.kill('SIGTERM');
    await once(tshark, 'exit');
  });

  it('reaches nobody through the proxy', async () => {
    await expect(openTunnel(port, `127.0.0.1:${streamPort}`)).rejects.toThrow(/508/);
  });

  it('begins for each reader with a section', async () => {
    const reader = connect(streamPort, '127.0.0.1');
    const [first] = (await once(reader, 'data')) as [Buffer];
    expect(first.subarray(0, 12).toString('hex')).toMatch(/^0a0d0d0a.{8}4d3c2b1a$/);
    reader.destroy();
  });
});

describe('TLS keys', () => {
  const canCapture = process.getuid?.() === 0 && hasProgram('tcpdump') && hasProgram('tshark');

  it.runIf(canCapture)('let tshark decrypt what was captured on either leg', async () => {
    const folder = join(gateway.directory, 'wire');
    mkdirSync(folder, { mode: 0o777 });
    const file = join(folder, 'wire.pcap');
    const tcpdump = spawn(
      'tcpdump',
      ['-Z', 'root', '-U', '--immediate-mode', '-i', 'lo', '-w', file, `tcp port ${origin.port} or tcp port ${port}`],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let told = '';
    tcpdump.stderr.on('data', (text) => (told += text));
    await waitUntil(
      () => told.includes('listening on'),
      () => told,
    );
    await fetchPage('/captured');
    await gateway.waitForRecords('traffic', (lines) =>
      lines.some((line) => JSON.stringify(line).includes('/captured')),
    );
    const keys = (leg: string): string => join(gateway.directory, `${leg}-keys.log`);
    const decrypted = async (keyFile: string, tlsPort: number): Promise<string> =>
      (
        await run('tshark', [
          '-n',
          '-r',
          file,
          '-o',
          `tls.keylog_file:${keyFile}`,
          '-d',
          `tcp.port==${tlsPort},tls`,
          '-Y',
          `tls && tcp.port==${tlsPort} && http.request`,
          '-T',
          'fields',
          '-e',
          'http.request.uri',
        ])
      ).stdout;
    await expect.poll(() => decrypted(keys('origin'), origin.port), { timeout: 15_000 }).toContain('/captured');
    tcpdump.kill('SIGINT');
    await once(tcpdump, 'exit');
    expect(readFileSync(keys('client'), 'latin1')).toMatch(/^CLIENT_TRAFFIC_SECRET_0 [0-9a-f]{64} [0-9a-f]+$/m);
    // The client speaks TLS inside CONNECT: http, then tls, which tshark finds by itself.
    const inTunnel = await run('tshark', [
      '-n',
      '-r',
      file,
      '-o',
      `tls.keylog_file:${keys('client')}`,
      '-d',
      `tcp.port==${port},http`,
      '-Y',
      `tcp.port==${port}`,
      '-V',
    ]);
    expect(inTunnel.stdout).toContain('GET /captured');
    for (const leg of ['client', 'origin']) expect(statSync(keys(leg)).mode & 0o777).toBe(0o600);
  });

  it('go nowhere unless asked for', async () => {
    await using quiet = await startGateway({
      config: { listeners: [{ mode: 'explicit', listen: `127.0.0.1:${await freePort()}` }] },
    });
    writeFileSync(join(quiet.directory, 'mark'), '');
    expect(readdirSync(quiet.directory).sort()).toEqual(['certs', 'daylight.yaml', 'mark', 'records']);
    expect(quiet.log()).not.toMatch(/decrypted traffic|TLS keys/);
  });
});
