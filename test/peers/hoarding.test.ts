import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { get as getHttps } from 'node:https';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectionPreface, frameTypes } from '../../src/codec/http2-frames.ts';
import { frame, get, headers, number, ping, settings, settingsAck } from '../flow/relay/http2-recording.ts';
import { freePort, type RunningGateway, startGateway, waitUntil } from '../support/gateway.ts';
import { type Http2Origin, startHttp2Origin } from '../support/http2-origin.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { isTransaction, type Line, member } from '../support/record-fields.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const body = Buffer.alloc(30 * 1_048_576, 'All is well. ');
const rules = `
- id: held
  title: Something evil comes in
  action: block
  hold: body
  when: { field: http.response.body, contains: the end of evil }
`;

let gateway: RunningGateway;
let origin: Http2Origin;
let origin1: TestOrigin;
let port: number;
let port1: number;
/** Responses that an origin has got rid of, or was asked to end. */
let answered = 0;

beforeAll(async () => {
  const authority = await createTestAuthority();
  const credentials = await authority.issue({ names: ['localhost'] });
  origin = await startHttp2Origin({
    credentials,
    handler: (stream) => {
      stream.respond({ ':status': 200 });
      stream.end(body);
      stream.on('close', () => {
        answered += 1;
      });
    },
  });
  origin1 = await startOrigin(credentials, (_request, response) => {
    response.on('close', () => {
      answered += 1;
    });
    response.end(body);
  });
  port = await freePort();
  port1 = await freePort();
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem, 'rules.yaml': rules },
    config: {
      listeners: [
        { mode: 'reverse', listen: `127.0.0.1:${port}`, origin: `localhost:${origin.port}` },
        { mode: 'reverse', listen: `127.0.0.1:${port1}`, origin: `localhost:${origin1.port}` },
      ],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      rules: { files: ['$DIRECTORY/rules.yaml'] },
      http: { hold: { bodyBytes: '32MiB' } },
    },
  });
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
  await origin1?.[Symbol.asyncDispose]();
});

const secure = () => ({ ca: readFileSync(gateway.caFile), servername: 'localhost' });

const names = get.map((field) => field.replace('a.example', 'localhost'));

/** A connection from one of the addresses of the loopback. */
const from = (localAddress: string, to: number): Socket => connect({ port: to, host: '127.0.0.1', localAddress });

/** A client that asks for a body and takes nothing of it beyond its window, or reads nothing at all. */
async function hoard(window: number, localAddress: string): Promise<TLSSocket> {
  const socket = connectTls({ socket: from(localAddress, port), ALPNProtocols: ['h2'], ...secure() });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  const hasWindow = window > 65_535;
  const more = hasWindow ? [frame(frameTypes.windowUpdate, 0, 0, number(window))] : [];
  socket.write(
    Buffer.concat([connectionPreface, settings([4, window]), settingsAck, ...more, headers(1, names, true)]),
  );
  if (hasWindow) socket.pause();
  else socket.resume();
  return socket;
}

/** The same in HTTP/1.1: the client reads nothing. */
async function hoard1(localAddress: string): Promise<TLSSocket> {
  const socket = connectTls({ socket: from(localAddress, port1), ALPNProtocols: ['http/1.1'], ...secure() });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  socket.pause();
  return socket;
}

/** Waits until the origins have got rid of so many more bodies. */
function gone(bodies: number): Promise<void> {
  return waitUntil(
    () => answered >= bodies,
    () => `${answered} of ${bodies} bodies went`,
  );
}

/** A download over a connection of its own: an origin of Node refuses more on one that still has much to send. */
async function download(): Promise<{ status: number; bytes: number }> {
  const settings = { initialWindowSize: 2 ** 24 };
  const session = connectHttp2(`https://localhost:${port}`, { ...secure(), settings });
  session.on('error', () => {});
  const stream = session.request({ ':path': '/', accept: 'application/json' });
  let [status, bytes] = [0, 0];
  stream.on('response', (head) => {
    status = Number(head[':status']);
  });
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await once(stream, 'close');
  session.destroy();
  return { status, bytes };
}

async function download1(localAddress?: string): Promise<{ status: number; bytes: number }> {
  const target = { port: port1, host: '127.0.0.1', headers: { host: 'localhost' }, agent: false, ...secure() };
  const [response] = (await once(
    getHttps(localAddress === undefined ? target : { ...target, localAddress }),
    'response',
  )) as [IncomingMessage];
  let bytes = 0;
  for await (const chunk of response) bytes += (chunk as Buffer).length;
  return { status: response.statusCode ?? 0, bytes };
}

/** So long others are refused: a peer may be slow for some seconds. */
async function downloadWhenThereIsRoom(load: typeof download): ReturnType<typeof download> {
  const sinceMs = performance.now();
  let served = await load();
  while (served.status === 503 && performance.now() - sinceMs < 20_000) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    served = await load();
  }
  return served;
}

const flowsWith = (lines: readonly Line[], code: string): number =>
  lines.filter((line) => !isTransaction(line) && member(line, 'status_code') === code).length;

describe('clients that take nothing of what was held for them', () => {
  it.each([
    ['leave no window', 65_535],
    ['leave a window and read nothing', 2 ** 30],
  ])(
    'and %s are cut with a code when others need the memory, and these are served',
    async (_name, window) => {
      const cut = flowsWith(gateway.records('traffic'), 'CLIENT_HOARDING');
      const hoarders: TLSSocket[] = [];
      for (let many = 0; many < 6; many += 1) {
        const before = answered;
        hoarders.push(await hoard(window, `127.0.0.${many + 2}`));
        await gone(before + 1);
      }
      // They are not idle.
      const alive = setInterval(() => hoarders.map((socket) => socket.writable && socket.write(ping)), 500);
      expect(await downloadWhenThereIsRoom(download)).toEqual({ status: 200, bytes: body.length });
      await gateway.waitForRecords('traffic', (lines) => flowsWith(lines, 'CLIENT_HOARDING') > cut);
      clearInterval(alive);
      for (const socket of hoarders) socket.destroy();
    },
    60_000,
  );

  it('are cut with a code over HTTP/1.1 as well', async () => {
    const cut = flowsWith(gateway.records('traffic'), 'CLIENT_HOARDING');
    const hoarders: TLSSocket[] = [];
    for (let many = 0; many < 6; many += 1) {
      const before = answered;
      hoarders.push(await hoard1(`127.0.1.${many + 1}`));
      await gone(before + 1);
    }
    expect(await downloadWhenThereIsRoom(download1)).toEqual({ status: 200, bytes: body.length });
    await gateway.waitForRecords('traffic', (lines) => flowsWith(lines, 'CLIENT_HOARDING') > cut);
    for (const socket of hoarders) socket.destroy();
  }, 60_000);

  it('have no more than the share of one client address, and others are served beside them', async () => {
    const hoarders: TLSSocket[] = [];
    for (let many = 0; many < 3; many += 1) {
      const before = answered;
      hoarders.push(await hoard1('127.0.2.1'));
      await gone(before + 1);
    }
    const refused = await download1('127.0.2.1');
    expect(refused.status).toBe(429);
    expect(await download1('127.0.2.2')).toEqual({ status: 200, bytes: body.length });
    for (const socket of hoarders) socket.destroy();
  }, 60_000);
});
