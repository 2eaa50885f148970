import { spawn } from 'node:child_process';
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { freePort, type RunningGateway, startGateway } from '../../test/support/gateway.ts';
import { createTestAuthority } from '../../test/support/test-authority.ts';
import { type RunningVsftpd, startVsftpd } from '../../test/support/vsftpd.ts';
import { startAutossl } from './autossl.ts';

/**
 * What FTPS costs: throughput of RETR and STOR by curl from and to vsftpd, through the gateway (reverse, one relay, starter
 * rules, records) and directly, in turn, and once through SSLsplit where it is installed; memory of the relay before and at its peak; and the time of a command. Root.
 * `node bench/processes/files.ts [megabytes] [rounds]`
 */
const [megabytes = 1_024, rounds = 3] = process.argv.slice(2).map(Number);

const authority = await createTestAuthority();
const vsftpd: RunningVsftpd = await startVsftpd(await authority.issue({ names: ['localhost'] }), {
  no_anon_password: 'YES',
});
const port = await freePort();
const gateway: RunningGateway = await startGateway({
  files: { 'root.pem': authority.rootPem },
  config: {
    listeners: [
      { mode: 'reverse', listen: `127.0.0.1:${port}`, origin: `127.0.0.1:${vsftpd.port}`, originName: 'localhost' },
    ],
    originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
    rules: { files: [fileURLToPath(new URL('../../config/rules/starter.yaml', import.meta.url))] },
  },
});
const rootFile = join(gateway.directory, 'root.pem');
const file = join(vsftpd.root, 'big.bin');

interface Way {
  readonly name: 'direct' | 'gateway';
  readonly port: number;
  readonly caFile: string;
}
const ways: readonly Way[] = [
  { name: 'direct', port: vsftpd.port, caFile: rootFile },
  { name: 'gateway', port, caFile: gateway.caFile },
];

function curl({ caFile }: Way, args: readonly string[]): Promise<number> {
  const options = ['-sS', '--ssl-reqd', '--cacert', caFile, '-u', 'anonymous:x', '-o', '/dev/null'];
  const child = spawn('curl', [...options, '-w', '%{speed_download} %{speed_upload}', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk));
  return new Promise((resolve, reject) => {
    child.once('close', (code) => {
      if (code === 0) resolve(Math.max(...text.split(' ').map(Number)) / 1e6);
      else reject(new Error(`curl ended with ${code}`));
    });
  });
}

const retrieve = (way: Way): Promise<number> => curl(way, [`ftp://localhost:${way.port}/big.bin`]);
const store = (way: Way): Promise<number> => curl(way, ['-T', file, `ftp://localhost:${way.port}/in/up.bin`]);

/** Resident memory of the largest process of the gateway that is no control: its relay. */
function relayMegabytes(field: 'VmRSS' | 'VmHWM'): number {
  const pid = relayPid();
  const line = new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(line) / 1024;
}

function relayPid(): string {
  const { pid } = gateway;
  for (const child of readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')) {
    if (readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('relay-process')) return child;
  }
  throw new Error('no relay');
}

/** Milliseconds of each of many commands, one after another, under TLS. */
async function commandTimes(way: Way): Promise<readonly number[]> {
  const plain = connectTcp(way.port, 'localhost');
  const ask = (socket: typeof plain | TLSSocket, line: string): Promise<string> =>
    new Promise((resolve) => {
      socket.once('data', (reply: Buffer) => resolve(reply.toString()));
      if (line !== '') socket.write(`${line}\r\n`);
    });
  await ask(plain, '');
  await ask(plain, 'AUTH TLS');
  const socket = connect({ socket: plain, servername: 'localhost', ca: readFileSync(way.caFile) });
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  await ask(socket, 'USER anonymous');
  await ask(socket, 'PASS x');
  const times: number[] = [];
  for (let index = 0; index < 2_000; index += 1) {
    const startMs = performance.now();
    await ask(socket, 'NOOP');
    times.push(performance.now() - startMs);
  }
  socket.destroy();
  return times.slice(1_000).sort((a, b) => a - b);
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
const shown = (values: readonly number[]): string =>
  `${median(values).toFixed(0)} (${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)})`;

/** Seconds of processor time of the relay so far. */
function relaySeconds(): number {
  const fields = readFileSync(`/proc/${relayPid()}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** What becomes of transfers through SSLsplit, which does not know of data connections. */
async function trySslsplit(): Promise<void> {
  using sslsplit = await startAutossl(vsftpd.port);
  if (sslsplit === undefined) return;
  const way = { name: 'direct', port: sslsplit.port, caFile: sslsplit.caFile } as const;
  for (const [command, transfer] of [
    ['RETR', retrieve],
    ['STOR', store],
  ] as const) {
    const outcome = await transfer(way).then((rate) => `${rate.toFixed(0)} MB/s`, String);
    console.log(`${command} through SSLsplit: ${outcome}`);
  }
}

try {
  writeFileSync(file, '');
  truncateSync(file, megabytes * 1_048_576);
  const figures: Record<string, number[]> = {};
  const note = (name: string, value: number): void => {
    figures[name] ??= [];
    figures[name].push(value);
  };
  const idle = relayMegabytes('VmRSS');
  for (let round = 0; round < rounds; round += 1) {
    for (const way of ways) {
      const start = relaySeconds();
      note(`RETR ${way.name}`, await retrieve(way));
      const between = relaySeconds();
      note(`STOR ${way.name}`, await store(way));
      if (way.name === 'gateway') note('RETR cpu', (1e6 * (between - start)) / megabytes);
      if (way.name === 'gateway') note('STOR cpu', (1e6 * (relaySeconds() - between)) / megabytes);
      rmSync(join(vsftpd.root, 'in', 'up.bin'));
    }
  }
  console.log(`${megabytes} MB by curl and vsftpd, AUTH TLS, MB/s, median (least to most) of ${rounds}`);
  for (const command of ['RETR', 'STOR']) {
    const [direct = [], through = []] = ways.map(({ name }) => figures[`${command} ${name}`] ?? []);
    const share = Math.round((100 * median(through)) / median(direct));
    console.log(`${command}: direct ${shown(direct)}, gateway ${shown(through)}: ${share} % of direct`);
    console.log(`  processor time of the relay: ${shown(figures[`${command} cpu`] ?? [])} microseconds a MB`);
  }
  await trySslsplit();
  console.log(`relay: ${idle.toFixed(0)} MB idle, ${relayMegabytes('VmHWM').toFixed(0)} MB at its peak`);
  for (const way of ways) {
    const times = await commandTimes(way);
    console.log(`NOOP ${way.name}: ${(times[times.length >> 1] ?? 0).toFixed(3)} ms at the median`);
  }
} finally {
  await gateway[Symbol.asyncDispose]();
  await vsftpd[Symbol.asyncDispose]();
}
