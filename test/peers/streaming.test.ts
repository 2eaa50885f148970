import { readFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { ProxyAgent, WebSocket } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway, waitUntil } from '../support/gateway.ts';
import { childrenOf, residentBytes } from '../support/processes.ts';
import { talk } from '../support/raw-client.ts';
import { gatewayField, isFlow, isTransaction, type Line, member } from '../support/record-fields.ts';
import { hasProgram, run } from '../support/run.ts';
import { type StreamingOrigin, startStreamingOrigin } from '../support/streaming-origin.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { openTlsTunnel } from '../support/tunnel.ts';

let gateway: RunningGateway;
let secure: StreamingOrigin;
let plain: StreamingOrigin;
let port: number;

beforeAll(async () => {
  const authority = await createTestAuthority();
  secure = await startStreamingOrigin(await authority.issue({ names: ['localhost'] }));
  plain = await startStreamingOrigin();
  port = await freePort();
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem },
    config: {
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      rules: { files: ['config/rules/*.yaml'] },
    },
  });
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await secure?.[Symbol.asyncDispose]();
  await plain?.[Symbol.asyncDispose]();
});

const target = (): string => `localhost:${secure.port}`;
const open = (): Promise<TLSSocket> => openTlsTunnel(port, target(), { ca: readFileSync(gateway.caFile) });
const request = (method: string, path: string, ...fields: string[]): string =>
  [`${method} ${path} HTTP/1.1`, `Host: ${target()}`, ...fields, '', ''].join('\r\n');
/** All that an HTTPS client hears of one request. */
const ask = (say: string, end = false) =>
  talk(port, {
    before: `CONNECT ${target()} HTTP/1.1\r\nHost: ${target()}\r\n\r\n`,
    until: '\r\n\r\n',
    tls: { servername: 'localhost', ca: readFileSync(gateway.caFile), rejectUnauthorized: true },
    say,
    end,
  });
/** Collects what a socket receives; gives it once it holds a text. */
function listenTo(socket: Duplex): (until: string) => Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  return async (until) => {
    await waitUntil(
      () => text.includes(until),
      () => `no ${until} in ${text}`,
    );
    return text;
  };
}
async function transaction(path: string): Promise<Line | undefined> {
  const isMine = (line: Line): boolean => isTransaction(line) && member(line, 'http_request', 'url', 'path') === path;
  return (await gateway.waitForRecords('traffic', (all) => all.some(isMine))).find(isMine);
}
const relayBytes = (): number => residentBytes(childrenOf(gateway.pid)[0] ?? 0);

describe('HTTP/1.1 through the gateway', () => {
  it('answers pipelined requests of every kind, in order, on one connection', async () => {
    const client = await open();
    const heard = listenTo(client);
    const asked = ['GET /a', 'HEAD /b', 'GET /204', 'GET /304', 'HEAD /304', 'GET /trailers'];
    const requests = asked.map((line) => line.split(' ')).map(([method = '', path = '']) => request(method, path));
    client.write(`${requests.join('')}${request('POST', '/last', 'Content-Length: 3')}abc`);
    const text = await heard('/last 3');
    client.destroy();
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(
      [200, 200, 204, 304, 304, 200, 200].map((status) => `HTTP/1.1 ${status}`),
    );
    expect(text).toContain('4\r\none \r\n3\r\ntwo\r\n0\r\nX-Checksum: abc\r\n\r\nHTTP/1.1 200');
  });

  it('passes interim responses on', async () => {
    const { text } = await ask(request('GET', '/interim', 'Connection: close'));
    expect(text).toMatch(/^HTTP\/1\.1 102 [\s\S]*HTTP\/1\.1 103 [\s\S]*preload[\s\S]*HTTP\/1\.1 200 [\s\S]*at last/);
  });

  it('ends a message that nothing but the end of the connection ends', async () => {
    const { text, error } = await ask(request('GET', '/until-close'));
    expect(error).toBe('');
    expect(text).toMatch(/\r\n\r\nto the end$/);
    expect(text).not.toMatch(/chunked|content-length/i);
    expect(await transaction('/until-close')).toMatchObject({ status_id: 1 });
  });

  it('shows the first event of a stream long before the stream ends', async () => {
    const client = await open();
    const heard = listenTo(client);
    client.write(request('GET', '/events'));
    expect(await heard('data: first')).not.toContain('second');
    secure.held.get('/events')?.write('data: second\n\n');
    await heard('data: second');
    secure.held.get('/events')?.end('data: last\n\n');
    await heard('data: last\n\n\r\n0\r\n\r\n');
    client.destroy();
  });

  it('answers a client that has ended its half behind its request', async () => {
    const secured = await ask(`${request('POST', '/half', 'Content-Length: 4')}body`, true);
    expect(secured).toMatchObject({ error: '', text: expect.stringMatching(/^HTTP\/1\.1 200 [\s\S]*\/half 4$/) });
    const host = `127.0.0.1:${plain.port}`;
    const say = `POST http://${host}/half HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 4\r\n\r\nbody`;
    const plainly = await talk(port, { say, end: true });
    expect(plainly).toMatchObject({ error: '', text: expect.stringMatching(/^HTTP\/1\.1 200 [\s\S]*\/half 4$/) });
  });
});

describe.runIf(hasProgram('curl'))('Expect: 100-continue of curl -T', () => {
  const upload = (path: string) =>
    run(
      'curl',
      [
        ...[
          '-sSv',
          '--max-time',
          '15',
          '--cacert',
          gateway.caFile,
          '--noproxy',
          '',
          '--proxy',
          `http://127.0.0.1:${port}`,
        ],
        ...['-H', 'Expect: 100-continue', '--expect100-timeout', '10', '-T', '-', `https://${target()}${path}`],
      ],
      { input: Buffer.alloc(3_000_000, 7) },
    );

  it('brings the 100 of the origin, and then the body', async () => {
    const ran = await upload('/expected');
    expect(ran).toMatchObject({ code: 0, stdout: '/expected 3000000' });
    expect(ran.stderr).toMatch(/< HTTP\/1\.1 100 Continue[\s\S]*< HTTP\/1\.1 200 OK/);
  });

  it('spares the body when the origin refuses', async () => {
    const ran = await upload('/refuse-expected');
    expect(ran).toMatchObject({ code: 0, stdout: 'no' });
    expect(ran.stderr).toContain('< HTTP/1.1 417');
    expect(member(await transaction('/refuse-expected'), 'http_request', 'body_length')).toBe(0);
  });
});

describe('a receiver that does not read', () => {
  /** What both kernels and TLS stacks may hold beside our own queue. */
  const mostBytes = 24_000_000;

  it('stops an endless download, in bounded memory', async () => {
    const client = await open();
    const before = relayBytes();
    client.pause();
    client.write(request('GET', '/endless'));
    await untilStill(() => secure.sentBytes());
    expect(secure.sentBytes()).toBeGreaterThan(65_536);
    expect(secure.sentBytes()).toBeLessThan(mostBytes);
    expect(relayBytes() - before).toBeLessThan(mostBytes);
    client.destroy();
    expect(await transaction('/endless')).toMatchObject({ status_code: 'CLIENT_GONE' });
  });

  it('stops an endless upload, which then goes on to its end', async () => {
    const client = await open();
    const heard = listenTo(client);
    const before = relayBytes();
    client.write(request('POST', '/unread', 'Content-Length: 60000000'));
    let left = 60_000_000;
    const part = Buffer.alloc(100_000, 1);
    const send = (): void => {
      while (left > 0 && !client.writableNeedDrain) {
        client.write(part);
        left -= part.length;
      }
    };
    client.on('drain', send);
    send();
    await untilStill(() => left);
    expect(left).toBeGreaterThan(60_000_000 - mostBytes);
    expect(relayBytes() - before).toBeLessThan(mostBytes);
    secure.unread
      .get('/unread')
      ?.resume()
      .on('end', () => secure.held.get('/unread')?.end('all read'));
    await heard('all read');
    client.destroy();
    expect(await transaction('/unread')).toMatchObject({ http_request: { body_length: 60_000_000 } });
  });
});

describe('a WebSocket', () => {
  it('passes after its upgrade, and is recorded as one', async () => {
    const agent = new ProxyAgent({ uri: `http://127.0.0.1:${port}`, requestTls: { ca: readFileSync(gateway.caFile) } });
    const socket = new WebSocket(`wss://${target()}/chat`, { dispatcher: agent });
    const messages: unknown[] = [];
    const closed = new Promise((resolve) => socket.addEventListener('close', resolve));
    socket.addEventListener('open', () => socket.send('hello'));
    socket.addEventListener('message', (event) => {
      messages.push(event.data);
      if (messages.length === 1) socket.send('bye');
      else socket.close();
    });
    await closed;
    await agent.destroy();
    expect(messages).toEqual(['HELLO', 'BYE']);
    const line = await transaction('/chat');
    expect(line).toMatchObject({ http_response: { code: 101 }, status_id: 1 });
    expect(gatewayField(line, 'upgraded_to')).toBe('websocket');
    const own = (flow: Line): boolean =>
      isFlow(flow) && member(flow, 'metadata', 'correlation_uid') === member(line, 'metadata', 'correlation_uid');
    const flow = (await gateway.waitForRecords('traffic', (all) => all.some(own))).find(own);
    expect(gatewayField(flow, 'failure')).toBeUndefined();
  });
});

/** Waits until a number no longer changes for half a second. */
async function untilStill(read: () => number): Promise<void> {
  let last = Number.NaN;
  let sinceMs = performance.now();
  await waitUntil(
    () => {
      if (read() !== last) [last, sinceMs] = [read(), performance.now()];
      return performance.now() - sinceMs > 500;
    },
    () => `still changing: ${last}`,
  );
}
