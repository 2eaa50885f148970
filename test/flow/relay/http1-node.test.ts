import { Agent, createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import { type Duplex, duplexPair } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Recording, record } from './recording.ts';
import { smugglingVectors } from './smuggling-vectors.ts';

/** What Node's own parser (llhttp) makes of a request. */
interface Seen {
  readonly method: string | undefined;
  readonly target: string | undefined;
  body: string;
}

let server: Server;
let seen: Seen[] = [];

beforeAll(() => {
  server = createServer((request, response) => {
    const entry: Seen = { method: request.method, target: request.url, body: '' };
    seen.push(entry);
    void bodyOf(request).then((body) => {
      entry.body = body;
      response.end(`answer to ${request.url}`);
    });
  });
});

afterAll(() => {
  server.close();
});

async function bodyOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

/** Joins a relay's origin side to a real HTTP server in this process. */
function joinServer({ wire, relay }: Recording): Duplex {
  const [near, far] = duplexPair();
  server.emit('connection', far);
  wire.onSend = (to, bytes) => {
    if (to === 'origin') near.write(bytes);
  };
  near.on('data', (bytes: Buffer) => relay.receive('origin', bytes));
  near.on('end', () => relay.end('origin', true));
  return near;
}

describe("Node's HTTP server", () => {
  const request =
    'POST /first HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n';
  const last = 'GET /last HTTP/1.1\r\nHost: a.example\r\n\r\n';
  const good = smugglingVectors.filter(({ expected, name }) => expected === 'verbatim' && !name.startsWith('asterisk'));
  const bad = smugglingVectors.filter(({ expected }) => expected !== 'verbatim');

  test.each(good)('sees the requests that the relay reports: $name', async ({ bytes }) => {
    seen = [];
    const recording = record();
    const socket = joinServer(recording);
    recording.client(request + bytes + last);
    await expect.poll(() => completed(recording), soon).toBe(3);
    expect(seen).toEqual(reported(recording));
    expect(recording.inspector.exchanges.map(({ responseBody }) => responseBody.toString())).toEqual(
      seen.map(({ target }) => `answer to ${target}`),
    );
    socket.destroy();
  });

  test.each(bad)('sees no request of a refused message nor behind it: $name', async ({ bytes }) => {
    seen = [];
    const recording = record();
    const socket = joinServer(recording);
    recording.client(request + bytes + last);
    await expect.poll(() => recording.wire.ending, soon).toMatch(/^close CLIENT_|^close POLICY_/);
    expect(seen).toEqual(reported(recording).slice(0, 1));
    socket.destroy();
  });
});

const soon = { interval: 2, timeout: 20_000 };

function completed({ inspector }: Recording): number {
  return inspector.exchanges.filter(({ outcome }) => outcome?.complete === true).length;
}

function reported({ inspector }: Recording): Seen[] {
  return inspector.exchanges.map(({ request, requestBody }) => ({
    method: request?.method,
    target: request?.target,
    body: requestBody.toString('latin1'),
  }));
}

describe("Node's HTTP client", () => {
  test('talks to the server through the relay, on one connection', async () => {
    seen = [];
    const recording = record();
    const [near, far] = duplexPair();
    const socket = joinServer(recording);
    const toServer = recording.wire.onSend;
    recording.wire.onSend = (to, bytes) => {
      if (to === 'client') far.write(bytes);
      else toServer?.(to, bytes);
    };
    far.on('data', (bytes: Buffer) => recording.relay.receive('client', bytes));
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    agent.createConnection = () => near;
    // The defaults set options of a TCP socket.
    agent.keepSocketAlive = () => true;
    agent.reuseSocket = () => {};
    for (const path of ['/one', '/two', '/three']) {
      expect(await fetchThrough(agent, path, 'x'.repeat(100_000))).toBe(`answer to ${path}`);
    }
    expect(seen.map(({ body }) => body.length)).toEqual([100_000, 100_000, 100_000]);
    expect(recording.inspector.exchanges.every(({ outcome }) => outcome?.complete)).toBe(true);
    agent.destroy();
    socket.destroy();
  });
});

function fetchThrough(agent: Agent, path: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ agent, host: 'a.example', path, method: 'POST' }, (response) => {
      bodyOf(response).then(resolve, reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}
