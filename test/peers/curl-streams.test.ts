import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { freePort, type RunningGateway, startGateway, waitUntil } from '../support/gateway.ts';
import { type Http2Origin, startHttp2Origin } from '../support/http2-origin.ts';
import { gatewayField, isMessages, isTransaction, type Line, member } from '../support/record-fields.ts';
import { hasProgram } from '../support/run.ts';
import { type StreamingOrigin, startStreamingOrigin } from '../support/streaming-origin.ts';
import { listening } from '../support/tcp.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { framesIn } from '../support/websocket-frames.ts';

/** What comes to curl in pieces: events, trailers, interim responses, messages of a WebSocket. */
const isHere = hasProgram('curl');
const rules = `
- { id: secret.event, title: A codeword, action: block, when: { field: http.response.body, contains: codeword } }
- { id: secret.message, title: A codeword, action: block, when: { field: websocket.message, contains: codeword } }
`;

let gateway: RunningGateway;
let port: number;
let http1: StreamingOrigin;
let http2: Http2Origin;
let sockets: WebSocketServer;
let socketsPort: number;
/** Goes on with the events of HTTP/2. */
let tell: ((event: string, isLast: boolean) => void) | undefined;

beforeAll(async () => {
  const authority = await createTestAuthority();
  const credentials = await authority.issue({ names: ['localhost'] });
  http1 = await startStreamingOrigin(credentials);
  http2 = await startHttp2Origin({
    credentials,
    handler: (stream, headers) => {
      if (headers[':path'] === '/events') {
        stream.respond({ ':status': 200, 'content-type': 'text/event-stream' });
        stream.write('data: first\n\n');
        tell = (event, isLast) => (isLast ? stream.end(event) : stream.write(event));
        return;
      }
      stream.additionalHeaders({ ':status': 102 });
      stream.additionalHeaders({ ':status': 103, link: '</style.css>; rel=preload' });
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-checksum': 'abc' }));
      stream.end('at last');
    },
  });
  const http = createServer(credentials);
  sockets = new WebSocketServer({ server: http });
  sockets.on('connection', (socket, request) => {
    socket.on('error', () => {});
    socket.send('welcome');
    socket.send(Buffer.alloc(70_000, 'x'));
    if (request.url === '/secret') socket.send('the codeword is here');
    socket.send('farewell', () => socket.terminate());
  });
  socketsPort = await listening(http);
  port = await freePort();
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem, 'rules.yaml': rules },
    config: {
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      rules: { files: ['$DIRECTORY/rules.yaml'] },
    },
  });
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await http1?.[Symbol.asyncDispose]();
  await http2?.[Symbol.asyncDispose]();
  await new Promise((resolve) => sockets?.close(resolve));
});

/** A curl whose output is seen as it comes. */
function startCurl(...args: string[]) {
  const proxy = ['--cacert', gateway.caFile, '--noproxy', '', '--proxy', `http://127.0.0.1:${port}`];
  const child = spawn('curl', ['-sSN', '--max-time', '20', ...proxy, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let bytes = Buffer.alloc(0);
  child.stdout.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
  });
  child.stderr.resume();
  const closed = once(child, 'close') as Promise<[number]>;
  return {
    shown: async (text: string) => {
      await waitUntil(
        () => bytes.includes(text),
        () => `no ${text} in ${bytes.toString('latin1')}`,
      );
      return bytes.toString('latin1');
    },
    end: async () => {
      const [code] = await closed;
      return { code, bytes, text: bytes.toString('latin1') };
    },
  };
}
async function transaction(path: string, version: string): Promise<Line> {
  const isIt = (line: Line): boolean =>
    isTransaction(line) &&
    member(line, 'http_request', 'url', 'path') === path &&
    member(line, 'http_request', 'version') === version;
  return (await gateway.waitForRecords('traffic', (lines) => lines.some(isIt))).find(isIt) ?? {};
}

describe.runIf(isHere).each(['1.1', '2'] as const)('curl over HTTP/%s', (version) => {
  const flag = `--http${version}`;
  const url = (path: string): string => `https://localhost:${version === '2' ? http2.port : http1.port}${path}`;
  const goOn = (event: string, isLast = false): void => {
    if (version === '2') tell?.(event, isLast);
    else if (isLast) http1.held.get('/events')?.end(event);
    else http1.held.get('/events')?.write(event);
  };

  it('shows each event when it is sent, and none that is blocked', async () => {
    const curl = startCurl(flag, url('/events'));
    expect(await curl.shown('first')).not.toContain('second');
    goOn('data: second\n\n');
    expect(await curl.shown('second')).not.toContain('third');
    goOn('data: third\n\n', true);
    expect(await curl.end()).toMatchObject({ code: 0, text: 'data: first\n\ndata: second\n\ndata: third\n\n' });
    const blocked = startCurl(flag, url('/events'));
    await blocked.shown('first');
    goOn('data: the codeword is here\n\n');
    const { code, text } = await blocked.end();
    expect(code).not.toBe(0);
    expect(text).toBe('data: first\n\n');
  });

  it('shows interim responses and trailers', async () => {
    const interim = await startCurl(flag, '--include', url('/interim')).end();
    expect(interim.text).toMatch(
      new RegExp(
        `^(?:HTTP/1.1 200[\\s\\S]*)?HTTP/${version} 102[\\s\\S]*HTTP/${version} 103[\\s\\S]*preload[\\s\\S]*at last`,
      ),
    );
    const trailers = await startCurl(flag, '--dump-header', '-', '--output', '/dev/null', url('/trailers')).end();
    expect(trailers.text.toLowerCase()).toMatch(/x-checksum: abc\r\n/);
    const record = await transaction('/trailers', version);
    expect(member(record, 'unmapped', 'gateway', 'response_trailers')).toMatchObject([{ value: 'abc' }]);
    expect(gatewayField(record, 'complete')).toBe(true);
  });
});

describe.runIf(isHere)('curl that asks for a WebSocket', () => {
  const open = (path: string) =>
    startCurl(
      '--http1.1',
      ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'].flatMap((field) => ['-H', field]),
      '-H',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      `https://localhost:${socketsPort}${path}`,
    ).end();

  it('gets its messages as they were sent, each in a record', async () => {
    const { bytes } = await open('/plain');
    expect(framesIn(bytes).map(({ payload }) => payload.length)).toEqual([7, 70_000, 8]);
    const isIt = (line: Line): boolean => isMessages(line) && member(line, 'url', 'path') === '/plain';
    const records = await gateway.waitForRecords('traffic', (lines) => lines.some(isIt));
    expect(JSON.stringify(records.find(isIt))).toContain('welcome');
  });

  it('gets none that a rule blocks, and nothing behind it but the reason', async () => {
    const frames = framesIn((await open('/secret')).bytes);
    expect(frames.map(({ opcode }) => opcode)).toEqual([1, 2, 8]);
    expect(frames.at(-1)?.payload.toString('latin1')).toContain('secret.message');
  });
});
