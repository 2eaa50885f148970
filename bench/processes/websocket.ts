import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket, WebSocketServer } from 'ws';
import { cpuMicroseconds } from '../process-tree.ts';
import { prepareSite } from '../site.ts';
import { daylightReverse } from '../systems/daylight.ts';

/**
 * CPU time of the gateway for a WebSocket message of 1 KB: reverse, one relay, starter rules, records on. Sixteen
 * connections send messages that an origin sends back; every message through the gateway counts, in either direction.
 * `node bench/processes/websocket.ts [plain|deflate]`; needs the ports 9443 and 18108.
 */
const connections = 16;
const inFlight = 8;
const warmUpMs = 3_000;
const measuredMs = 4_000;
const rounds = 3;

const perMessageDeflate = process.argv[2] === 'deflate' ? { threshold: 0 } : false;
const folder = mkdtempSync(join(tmpdir(), 'daylight-bench-'));
const site = prepareSite(folder, { isolated: false, host: 'localhost', ip: '127.0.0.1' });
const http = createServer({ cert: readFileSync(site.originCertificate), key: readFileSync(site.originKey) });
const server = new WebSocketServer({ server: http, perMessageDeflate });
server.on('connection', (socket) => socket.on('message', (content, binary) => socket.send(content, { binary })));
http.listen(site.originPort, '127.0.0.1');
await once(http, 'listening');

for (let round = 0; round < rounds; round += 1) await measure(round);
http.close();
rmSync(folder, { recursive: true, force: true });
process.exit();

async function measure(round: number): Promise<void> {
  const own = join(folder, `round-${round}`);
  mkdirSync(own);
  const { child, port, caFile } = await daylightReverse.start(site, own);
  let messages = 0;
  const text = JSON.stringify({ id: 7, text: 'The quick brown fox jumps over the lazy dog. '.repeat(30) }).slice(
    0,
    1_024,
  );
  const clients = await Promise.all(
    Array.from({ length: connections }, async () => {
      const client = new WebSocket(`wss://localhost:${port}/`, { ca: readFileSync(caFile ?? ''), perMessageDeflate });
      await once(client, 'open');
      client.on('message', () => {
        messages += 2;
        client.send(text);
      });
      for (let sent = 0; sent < inFlight; sent += 1) client.send(text);
      return client;
    }),
  );
  await new Promise((resolve) => setTimeout(resolve, warmUpMs));
  const [before, beganMs] = [cpuMicroseconds(child.pid), performance.now()];
  messages = 0;
  await new Promise((resolve) => setTimeout(resolve, measuredMs));
  const [each, seconds] = [(cpuMicroseconds(child.pid) - before) / messages, (performance.now() - beganMs) / 1_000];
  const rate = Math.round(messages / seconds);
  console.log(
    `${each.toFixed(1)} microseconds a message, ${Math.round(1e6 / each)} a second a core (${rate} a second here)`,
  );
  for (const client of clients) client.terminate();
  await child.stop();
}
