import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { settle } from './namespace.ts';
import { startOrigin } from './origin.ts';
import { memoryOf } from './process-tree.ts';
import { prepareSite } from './site.ts';
import { systems } from './systems.ts';

/**
 * Memory of idle connections, TLS on both legs: `node bench/idle-connections.ts [connections] [system]`. Each sends one
 * request, so that everything a connection needs is there, and then nothing; all must be open still when it is measured.
 * HTTP/2 where the system speaks it on both legs. A process that holds both legs needs two descriptors for each.
 */

const wanted = Number(process.argv[2] ?? 10_000);
const name = process.argv[3] ?? 'daylight-reverse';
const atOnce = 20;
const settleMs = 10_000;

const folder = mkdtempSync(join(tmpdir(), 'daylight-idle-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const site = prepareSite(folder, settle(folder));
const origin = await startOrigin(site);
const system = systems.find((candidate) => candidate.name === name);
if (system === undefined) throw new Error(`no system is named ${name}`);
const running = await system.start(site, folder);
const isHttp2 = running.http2Port !== undefined;
const ca = readFileSync(running.caFile);
const sockets: TLSSocket[] = [];

await open(50);
await pause(settleMs);
const before = memoryOf(running.child.pid);
await open(wanted);
await pause(settleMs);
const after = memoryOf(running.child.pid);
const closed = sockets.filter((socket) => socket.destroyed || socket.readableEnded).length;
if (closed > 0) throw new Error(`${closed} connections have closed: the figure would be of fewer`);
const kilobytes = (after.rss - before.rss) / wanted / 1024;
console.log(
  `${system.title}: ${wanted} idle connections, ${(before.rss / 2 ** 20).toFixed(0)} MB before, ${(after.rss / 2 ** 20).toFixed(0)} MB with them, ${kilobytes.toFixed(1)} KB each`,
);
for (const socket of sockets) socket.destroy();
await running.child.stop();
await origin.stop();
process.exit();

async function open(connections: number): Promise<void> {
  let left = connections;
  const opener = async (): Promise<void> => {
    while (left-- > 0) sockets.push(await openOne());
  };
  await Promise.all(Array.from({ length: atOnce }, opener));
}

function openOne(): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const ALPNProtocols = [isHttp2 ? 'h2' : 'http/1.1'];
    const socket = connect({ host: '127.0.0.1', port: running.port, servername: site.host, ca, ALPNProtocols });
    socket.once('error', reject);
    socket.once('secureConnect', () => (isHttp2 ? askHttp2(socket, resolve, reject) : askHttp1(socket, resolve)));
  });
}

function askHttp2(socket: TLSSocket, resolve: (socket: TLSSocket) => void, reject: (error: Error) => void): void {
  const session = connectHttp2(`https://${site.host}`, { createConnection: () => socket });
  session.on('error', reject);
  const stream = session.request({ ':path': '/small' });
  stream.resume().on('close', () => resolve(socket));
}

function askHttp1(socket: TLSSocket, resolve: (socket: TLSSocket) => void): void {
  socket.write(`GET /small HTTP/1.1\r\nHost: ${site.host}\r\n\r\n`);
  socket.once('data', () => {
    socket.resume();
    resolve(socket);
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
