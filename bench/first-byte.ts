import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { enterNamespace, settle } from './namespace.ts';
import { startOrigin } from './origin.ts';
import { prepareSite } from './site.ts';
import { daylightReverse } from './systems/daylight.ts';

/**
 * Time to the first byte that the gateway adds: `node bench/first-byte.ts [rounds]`. One request at a time, in turn to the
 * origin itself and through the gateway, over a connection that is kept, and over a new one each (from TCP's SYN on, with
 * full handshakes, the leaf cached).
 */

const inside = await enterNamespace();
if (inside !== undefined) process.exit(inside);

const rounds = Number(process.argv[2] ?? 1_000);
const warmUpRounds = 300;
const folder = mkdtempSync(join(tmpdir(), 'daylight-first-byte-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const site = prepareSite(folder, settle(folder));
const origin = await startOrigin(site);
const running = await daylightReverse.start(site, folder);

interface Target {
  readonly host: string;
  readonly port: number;
  readonly ca: Buffer;
}
const direct: Target = { host: site.ip, port: site.originPort, ca: readFileSync(site.originCa) };
const through: Target = { host: '127.0.0.1', port: running.port, ca: readFileSync(running.caFile) };
const request = `GET /small HTTP/1.1\r\nHost: ${site.host}\r\n\r\n`;

await measure('kept connection', await kept());
await measure('new connection', onNew);
await running.child.stop();
await origin.stop();
process.exit();

/** Milliseconds to the first byte of the answer. */
type Ask = (target: Target) => Promise<number>;

async function kept(): Promise<Ask> {
  const sockets = new Map<Target, TLSSocket>();
  for (const target of [direct, through]) sockets.set(target, await open(target));
  return (target) => firstByte(sockets.get(target) as TLSSocket, performance.now());
}

async function onNew(target: Target): Promise<number> {
  const startMs = performance.now();
  const socket = await open(target);
  const ms = await firstByte(socket, startMs);
  socket.destroy();
  return ms;
}

function open({ host, port, ca }: Target): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, servername: site.host, ca, ecdhCurve: 'P-256' });
    socket.setNoDelay(true);
    socket.once('error', reject);
    socket.once('secureConnect', () => resolve(socket));
  });
}

/** Resolves when the answer, which is small, has come in full, so that the next request meets nothing of it. */
function firstByte(socket: TLSSocket, startMs: number): Promise<number> {
  return new Promise((resolve) => {
    let ms: number | undefined;
    let text = '';
    const onData = (bytes: Buffer): void => {
      ms ??= performance.now() - startMs;
      text += bytes.toString('latin1');
      const bodyAt = text.indexOf('\r\n\r\n') + 4;
      if (bodyAt < 4 || text.length - bodyAt < 1_024) return;
      socket.off('data', onData);
      resolve(ms);
    };
    socket.on('data', onData);
    socket.write(request);
  });
}

async function measure(name: string, ask: Ask): Promise<void> {
  const taken = { direct: [] as number[], through: [] as number[] };
  for (let round = 0; round < warmUpRounds + rounds; round += 1) {
    const pair = { direct: await ask(direct), through: await ask(through) };
    if (round < warmUpRounds) continue;
    taken.direct.push(pair.direct);
    taken.through.push(pair.through);
  }
  const at = (list: readonly number[], share: number): number =>
    list.toSorted((one, other) => one - other)[Math.floor(list.length * share)] ?? Number.NaN;
  const told = (list: readonly number[]): string => `${at(list, 0.5).toFixed(3)} (p90 ${at(list, 0.9).toFixed(3)})`;
  const added = at(taken.through, 0.5) - at(taken.direct, 0.5);
  console.log(
    `${name}: direct ${told(taken.direct)} ms, through ${told(taken.through)} ms: ${added.toFixed(3)} ms added at the median of ${rounds}`,
  );
}
