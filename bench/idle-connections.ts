import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { settle } from './namespace.ts';
import { startOrigin } from './origin.ts';
import { memoryOf } from './process-tree.ts';
import { prepareSite } from './site.ts';
import { daylightReverse } from './systems/daylight.ts';

/**
 * Memory of idle HTTP/2 connections, TLS on both legs: `node bench/idle-connections.ts [connections]`. Each sends one
 * request, so that everything a connection needs is there, and then nothing.
 */

const wanted = Number(process.argv[2] ?? 10_000);
const atOnce = 20;
const settleMs = 10_000;

const folder = mkdtempSync(join(tmpdir(), 'daylight-idle-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const site = prepareSite(folder, settle(folder));
const origin = await startOrigin(site);
const running = await daylightReverse.start(site, folder);
const ca = readFileSync(running.caFile);
const sockets: TLSSocket[] = [];

await open(50);
await pause(settleMs);
const before = memoryOf(running.child.pid);
await open(wanted);
await pause(settleMs);
const after = memoryOf(running.child.pid);
const kilobytes = (after.rss - before.rss) / wanted / 1024;
console.log(
  `${wanted} idle connections: ${(before.rss / 2 ** 20).toFixed(0)} MB before, ${(after.rss / 2 ** 20).toFixed(0)} MB with them, ${kilobytes.toFixed(1)} KB each`,
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
    const socket = connect({ host: '127.0.0.1', port: running.port, servername: site.host, ca, ALPNProtocols: ['h2'] });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      const session = connectHttp2(`https://${site.host}`, { createConnection: () => socket });
      session.on('error', reject);
      const stream = session.request({ ':path': '/small' });
      stream.resume().on('close', () => resolve(socket));
    });
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
