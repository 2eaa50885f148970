import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FrameReader } from '../../src/codec/http2-frame-reader.ts';
import { connectionPreface, frameTypes, settingsFrame } from '../../src/codec/http2-frames.ts';
import { blockOf, frame, headers, number, ping, settings, settingsAck } from '../flow/relay/http2-recording.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { type Http2Origin, startHttp2Origin } from '../support/http2-origin.ts';
import { gatewayField, isTransaction, type Line, member } from '../support/record-fields.ts';
import { createTestAuthority } from '../support/test-authority.ts';

let gateway: RunningGateway;
let origin: Http2Origin;
let port: number;
let steady: ClientHttp2Session;
let alive: NodeJS.Timeout;

beforeAll(async () => {
  const authority = await createTestAuthority();
  const credentials = await authority.issue({ names: ['localhost', 'shop.localhost', 'bank.localhost'] });
  origin = await startHttp2Origin({
    credentials,
    settings: { maxConcurrentStreams: 100_000, enableConnectProtocol: true },
    handler: (stream, { ':path': path }) => {
      if (path === '/never') return;
      stream.respond({ ':status': 200 });
      if (path === '/endless') stream.write('begun');
      else if (path === '/large') stream.end(Buffer.alloc(2_000_000));
      else stream.end('ok');
    },
  });
  port = await freePort();
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem },
    config: {
      listeners: [{ mode: 'reverse', listen: `127.0.0.1:${port}`, origin: `localhost:${origin.port}` }],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      rules: { files: ['config/rules/*.yaml'] },
      assets: [{ id: 'shop', kind: 'gaap', hosts: ['shop.localhost'] }],
      bypass: [{ hosts: ['bank.localhost'], reason: 'privacy' }],
      timeouts: { idle: '3s', drain: '5s' },
    },
  });
  steady = openSession();
  // Whatever the others take, it is not idle.
  alive = setInterval(() => steady.destroyed || steady.ping(() => {}), 500);
});

afterAll(async () => {
  clearInterval(alive);
  steady?.destroy();
  await gateway?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
});

const secure = () => ({ ca: readFileSync(gateway.caFile), servername: 'localhost' });

function openSession(): ClientHttp2Session {
  const session = connectHttp2(`https://localhost:${port}`, secure());
  session.on('error', () => {});
  return session;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

async function ask(session: ClientHttp2Session, path: string, host = `localhost:${port}`): Promise<Answer> {
  const stream = session.request({ ':path': path, ':authority': host, accept: 'application/json' });
  let body = '';
  stream.setEncoding('utf8').on('data', (text: string) => {
    body += text;
  });
  let status = 0;
  stream.on('response', (head) => {
    status = Number(head[':status']);
  });
  await once(stream, 'close');
  return { status, body };
}

/** A client that writes frames as it likes, and tells the error of the GOAWAY that it gets. */
async function openRaw(): Promise<{ socket: TLSSocket; goaway: Promise<number> }> {
  const socket = connectTls({ port, host: '127.0.0.1', ALPNProtocols: ['h2'], ...secure() });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  const reader = new FrameReader();
  let error = -1;
  socket.on('data', (bytes: Buffer) => {
    reader.push(bytes);
    while (reader.next()) {
      if (reader.type === frameTypes.goaway) error = reader.bytes.readUInt32BE(reader.payload + 4);
    }
  });
  const goaway = new Promise<number>((resolve) => {
    socket.once('close', () => resolve(error));
    socket.once('end', () => socket.end());
  });
  socket.write(Buffer.concat([connectionPreface, settings([4, 1_000_000]), settingsAck]));
  return { socket, goaway };
}

const get = [':method=GET', ':scheme=https', ':authority=localhost', ':path=/'];
const never = [...get.slice(0, 3), ':path=/never'];
const reset = (streamId: number): Buffer => frame(frameTypes.rstStream, 0, streamId, number(8));
const streamIds = (many: number): number[] => Array.from({ length: many }, (_, index) => 2 * index + 1);
const times = (many: number, bytes: Buffer): Buffer => Buffer.concat(Array.from({ length: many }, () => bytes));

describe('a client that floods is cut with a code while another one is served', () => {
  it.each([
    [
      'rapid reset',
      'CLIENT_HTTP2_RAPID_RESET',
      () => streamIds(3_000).flatMap((id) => [headers(id, never, true), reset(id)]),
    ],
    ['too many streams', 'CLIENT_HTTP2_RAPID_RESET', () => streamIds(5_000).map((id) => headers(id, never, true))],
    ['PING', 'CLIENT_HTTP2_FLOOD', () => [times(20_000, ping)]],
    ['SETTINGS', 'CLIENT_HTTP2_FLOOD', () => [times(5_000, settingsFrame(Buffer.alloc(0)))]],
    ['PRIORITY', 'CLIENT_HTTP2_FLOOD', () => [times(20_000, frame(frameTypes.priority, 0, 9, '\0\0\0\0\0'))]],
    ['unknown frames', 'CLIENT_HTTP2_FLOOD', () => [times(20_000, frame(0xee, 0, 0, 'x'))]],
    [
      'empty DATA',
      'CLIENT_HTTP2_FLOOD',
      () => [headers(1, [...never.map((f) => f.replace('GET', 'POST'))]), times(20_000, frame(0, 0, 1))],
    ],
    [
      'CONTINUATION',
      'CLIENT_HTTP2_FLOOD',
      () => [frame(frameTypes.headers, 0, 1, blockOf(get)), times(20_000, frame(frameTypes.continuation, 0, 1))],
    ],
  ] as const)('%s', async (_name, code, flood) => {
    const flows = failuresOf(gateway.records('traffic'), code);
    const { socket, goaway } = await openRaw();
    for (const bytes of flood()) socket.write(bytes);
    const [error, served] = await Promise.all([goaway, ask(steady, '/')]);
    expect(error).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(served).toEqual({ status: 200, body: 'ok' });
    await gateway.waitForRecords('traffic', (lines) => failuresOf(lines, code) > flows);
  });

  function failuresOf(lines: readonly Line[], code: string): number {
    return lines.filter((line) => !isTransaction(line) && member(line, 'status_code') === code).length;
  }
});

describe('a stream that stands still', () => {
  it('is given up when its client leaves no window, and its neighbours are not', async () => {
    const session = openSession();
    session.settings({ initialWindowSize: 1_000 });
    await once(session, 'localSettings');
    const stream = session.request({ ':path': '/large' });
    // Nothing is read: the window stays closed while pings keep the connection.
    const alive = setInterval(() => session.ping(() => {}), 500);
    const [error] = (await once(stream, 'error')) as [Error];
    expect(String(error)).toContain('NGHTTP2_INTERNAL_ERROR');
    expect(await ask(session, '/')).toEqual({ status: 200, body: 'ok' });
    clearInterval(alive);
    session.destroy();
    const isIt = (line: Line): boolean =>
      isTransaction(line) && gatewayField(line, 'failure') === 'CLIENT_IDLE_TIMEOUT';
    await gateway.waitForRecords('traffic', (lines) => lines.some(isIt));
  });

  it('is answered when its origin does not, and may be silent once it has begun', async () => {
    const session = openSession();
    const endless = session.request({ ':path': '/endless' });
    await once(endless, 'data');
    const alive = setInterval(() => session.ping(() => {}), 500);
    const { status, body } = await ask(session, '/never');
    expect(status).toBe(504);
    expect(body).toContain('ORIGIN_IDLE_TIMEOUT');
    expect(endless.closed).toBe(false);
    clearInterval(alive);
    session.destroy();
  });
});

describe('a connection that serves several names', () => {
  it('has each request judged by its own', async () => {
    const session = openSession();
    expect((await ask(session, '/shop', 'shop.localhost')).status).toBe(200);
    const isShop = (line: Line): boolean =>
      isTransaction(line) && member(line, 'http_request', 'url', 'path') === '/shop';
    const lines = await gateway.waitForRecords('traffic', (all) => all.some(isShop));
    expect(gatewayField(lines.find(isShop) ?? {}, 'asset')).toEqual({ id: 'shop', kind: 'gaap' });
    // Not covered by the certificate, and exempt from inspection: both belong on a connection of their own.
    for (const host of ['other.localhost', 'bank.localhost']) {
      const { status, body } = await ask(session, '/', host);
      expect(status).toBe(421);
      expect(body).toContain('CLIENT_HOST_MISMATCH');
    }
    expect(origin.requests.filter((request) => /other|bank/.test(request))).toEqual([]);
    session.destroy();
  });
});

it('a gateway that stops lets requests finish, and tells its clients to open no others', async () => {
  const session = openSession();
  const large = session.request({ ':path': '/large' });
  await once(large, 'response');
  const said = once(session, 'goaway');
  gateway.process.kill('SIGTERM');
  const [error, lastStreamId] = (await said) as [number, number];
  expect(error).toBe(constants.NGHTTP2_NO_ERROR);
  expect(lastStreamId).toBe(1);
  let bytes = 0;
  large.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await once(large, 'end');
  expect(bytes).toBe(2_000_000);
  expect(await gateway.stop()).toBe(0);
});
