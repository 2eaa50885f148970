import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import { startDataPlane } from '../support/data-plane.ts';
import { freePort, type RunningGateway, startGateway, waitUntil } from '../support/gateway.ts';
import { ocsfProblems } from '../support/ocsf.ts';
import { policyDocument } from '../support/policy.ts';
import { startRawOrigin } from '../support/raw-origin.ts';
import { gatewayField, isMessages, type Line, member } from '../support/record-fields.ts';
import { listening } from '../support/tcp.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';
import { openTlsTunnel } from '../support/tunnel.ts';
import { frame, framesIn } from '../support/websocket-frames.ts';

const rules = `
- { id: test.out, title: A codeword leaves, action: block, when: { all: [{ field: websocket.from, equals: client }, { field: websocket.message, contains: codeword }] } }
- { id: test.in, title: A codeword comes in, action: block, when: { all: [{ field: websocket.message, contains: "the answer" }, { field: websocket.from, equals: origin }, { field: http.path, prefix: /ask }] } }
- { id: test.alarm, title: A card number, severity: high, action: alarm, when: { field: websocket.message, detector: card_number } }
`;

let authority: TestAuthority;
let gateway: RunningGateway;
let server: WebSocketServer;
let originPort: number;
let port: number;
let reversePort: number;
/** What the origin was told, and how its connections ended. */
const heard: string[] = [];
const closes: string[] = [];

beforeAll(async () => {
  authority = await createTestAuthority();
  const credentials = await authority.issue({ names: ['localhost'] });
  const http = createServer(credentials);
  server = new WebSocketServer({ server: http, perMessageDeflate: { threshold: 0 } });
  server.on('connection', (socket, request) => {
    socket.on('error', () => {});
    socket.on('close', (code, reason) => closes.push(`${request.url} ${code} ${reason}`));
    socket.on('message', (content: Buffer, isBinary) => {
      heard.push(content.toString('latin1').slice(0, 100));
      if (request.url === '/ask') socket.send('this is the answer');
      else socket.send(content, { binary: isBinary });
    });
    if (request.url === '/greets') socket.send('welcome');
  });
  originPort = await listening(http);
  [port, reversePort] = [await freePort(), await freePort()];
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem, 'websocket.yaml': rules },
    config: {
      listeners: [
        { mode: 'explicit', listen: `127.0.0.1:${port}` },
        { mode: 'reverse', listen: `127.0.0.1:${reversePort}`, origin: `localhost:${originPort}` },
      ],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      rules: { files: ['$DIRECTORY/websocket.yaml'] },
    },
  });
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  for (const socket of server?.clients ?? []) socket.terminate();
  await new Promise((resolve) => server?.close(resolve));
});

/** A client of the `ws` package, through the gateway. */
async function connect(path: string, options: WebSocket.ClientOptions = {}): Promise<WebSocket> {
  const socket = await openTlsTunnel(port, `localhost:${originPort}`, { ca: readFileSync(gateway.caFile) });
  const client = new WebSocket(`wss://localhost:${originPort}${path}`, { ...options, createConnection: () => socket });
  client.on('error', () => {});
  await once(client, 'open');
  return client;
}

const closed = async (client: WebSocket): Promise<string> => {
  const [code, reason] = (await once(client, 'close')) as [number, Buffer];
  return `${code} ${reason}`;
};

const recordsOf = async (path: string): Promise<readonly Line[]> => {
  const own = (line: Line): boolean => isMessages(line) && member(line, 'url', 'path') === path;
  return (await gateway.waitForRecords('traffic', (lines) => lines.some(own))).filter(own);
};

describe('a WebSocket through the gateway', () => {
  it.each([
    ['compressed with a context', { perMessageDeflate: { threshold: 0 } }],
    [
      'compressed without a context',
      { perMessageDeflate: { threshold: 0, clientNoContextTakeover: true, serverNoContextTakeover: true } },
    ],
    ['uncompressed', { perMessageDeflate: false }],
  ])('carries messages of every size, %s', async (name, options) => {
    const path = `/${name.replaceAll(' ', '-')}`;
    const client = await connect(path, options);
    const answers: Buffer[] = [];
    client.on('message', (content: Buffer) => answers.push(content));
    const sizes = [0, 1, 125, 126, 1_000, 16_384, 65_535, 65_536, 700_000];
    const sent = sizes.map((size) =>
      Buffer.from('a text that repeats itself a bit. '.repeat(size / 30 + 1).slice(0, size)),
    );
    for (const content of sent) client.send(content, { binary: content.length % 2 === 0 });
    const answered = once(client, 'pong');
    client.ping('are you there');
    await answered;
    client.send('half ', { fin: false });
    client.send('and half', { fin: true });
    await waitUntil(
      () => answers.length > sent.length,
      () => `${answers.length} answers`,
    );
    client.close(4001, 'done');
    expect(await closed(client)).toBe('4001 done');
    expect(answers.map((content) => content.length)).toEqual([...sizes, 13]);
    expect(Buffer.concat(answers).equals(Buffer.concat([...sent, Buffer.from('half and half')]))).toBe(true);
    await waitUntil(
      () => closes.includes(`${path} 4001 done`),
      () => closes.join(),
    );

    const [line] = await recordsOf(path);
    expect(ocsfProblems(line)).toEqual([]);
    const bytes = sizes.reduce((sum, size) => sum + size, 13);
    expect(line).toMatchObject({ count: 20, traffic: { bytes_out: bytes, bytes_in: bytes }, status_id: 1 });
    expect(gatewayField(line, 'websocket')).toMatchObject({ messages_out: 10, messages_in: 10, control_out: 2 });
    const messages = gatewayField(line, 'messages') as readonly Line[];
    expect(messages.find(({ from, bytes }) => from === 'client' && bytes === 13)).toMatchObject({
      type: 'text',
      content: { text: 'half and half' },
    });
  });

  it('passes on what the origin says first', async () => {
    const socket = await openTlsTunnel(port, `localhost:${originPort}`, { ca: readFileSync(gateway.caFile) });
    const client = new WebSocket(`wss://localhost:${originPort}/greets`, { createConnection: () => socket });
    const [first] = (await once(client, 'message')) as [Buffer];
    expect(first.toString()).toBe('welcome');
    client.close();
    await closed(client);
  });

  it("carries those of Node's own client, through a published endpoint", async () => {
    const script = `
      const socket = new WebSocket('wss://localhost:${reversePort}/native');
      socket.onopen = () => socket.send('from a browser');
      socket.onerror = () => { console.log('error'); };
      socket.onclose = (event) => console.log(event.code, event.wasClean);
      socket.onmessage = (event) => { console.log(event.data); socket.close(1000); };`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--no-warnings', '-e', script], {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: gateway.caFile },
      timeout: 10_000,
    });
    expect(stdout).toBe('from a browser\n1000 true\n');
    expect(gatewayField((await recordsOf('/native'))[0], 'messages')).toHaveLength(2);
  });
});

describe('a rule on messages', () => {
  it('stops one of the client before the origin has it, and closes both sides with 1008', async () => {
    const client = await connect('/block-out', { perMessageDeflate: { threshold: 0 } });
    client.send('first');
    await once(client, 'message');
    client.send('the codeword is swordfish');
    expect(await closed(client)).toBe('1008 blocked by rule test.out');
    await waitUntil(
      () => closes.includes('/block-out 1008 blocked by rule test.out'),
      () => closes.join(),
    );
    expect(heard.filter((text) => text.includes('swordfish'))).toEqual([]);
    const [line] = await recordsOf('/block-out');
    expect(line).toMatchObject({ status_code: 'POLICY_RULE_BLOCK', disposition_id: 2 });
    expect((gatewayField(line, 'messages') as readonly Line[]).at(-1)).toMatchObject({
      from: 'client',
      complete: false,
    });
    const [alarm] = (
      await gateway.waitForRecords('alarms', (all) => all.some((one) => gatewayField(one, 'rule') === 'test.out'))
    ).filter((one) => gatewayField(one, 'rule') === 'test.out');
    expect(ocsfProblems(alarm)).toEqual([]);
    expect(alarm).toMatchObject({ evidences: [{ data: { field: 'websocket.message', offset: 4 } }] });
    expect(gatewayField(alarm, 'tx')).toBe(member(line, 'metadata', 'uid'));
    expect(member(alarm, 'finding_info', 'related_events')).toContainEqual({
      uid: member(line, 'metadata', 'uid'),
      type_uid: line?.type_uid,
    });
  });

  it('stops one of the origin before the client has it', async () => {
    const client = await connect('/ask');
    const answers: unknown[] = [];
    client.on('message', (content) => answers.push(content));
    client.send('what is it');
    expect(await closed(client)).toBe('1008 blocked by rule test.in');
    expect(answers).toEqual([]);
  });

  it('lets a message pass that only raises an alarm, and masks it in the records', async () => {
    const client = await connect('/alarm');
    client.send('pay with 4111 1111 1111 1111');
    const [content] = (await once(client, 'message')) as [Buffer];
    expect(content.toString()).toBe('pay with 4111 1111 1111 1111');
    client.close();
    await closed(client);
    const [line] = await recordsOf('/alarm');
    expect(line).toMatchObject({ is_alert: true, disposition_id: 19 });
    expect(gatewayField(line, 'rule_ids')).toEqual(['test.alarm']);
    expect(JSON.stringify(line)).not.toContain('4111 1111 1111 1111');
  });
});

describe('an upgrade', () => {
  const accept = 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13';

  /** What a client gets that asks for an upgrade, from an origin that answers so. */
  async function upgraded(
    upgrades: 'allow' | 'websocket',
    protocol: string,
    fields: string,
    answer: string,
    first: Buffer,
  ) {
    await using origin = await startRawOrigin(await authority.issue({ names: ['localhost'] }), ({ socket }) => {
      const head = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${answer}\r\n\r\n`;
      socket.write(Buffer.concat([Buffer.from(head), first]));
    });
    await using plane = await startDataPlane({
      originTrust: { rootsPem: [authority.rootPem] },
      http: { ...policyDocument().http, upgrades },
      rules: [
        {
          id: 'no-secrets',
          title: 'No secrets',
          rev: 1,
          severity: 'high',
          action: 'block',
          tags: [],
          when: { field: 'websocket.message', contains: 'secret' },
          source: 'test:1',
        },
      ],
    });
    const client = await openTlsTunnel(plane.port, `localhost:${origin.port}`, { ca: plane.ca });
    const chunks: Buffer[] = [];
    client.on('data', (chunk: Buffer) => chunks.push(chunk));
    client.write(
      `GET /up HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${fields}\r\n\r\n`,
    );
    const text = (): string => Buffer.concat(chunks).toString('latin1');
    await waitUntil(() => text().includes('\r\n\r\n') && text().split('\r\n\r\n')[1] !== '', text);
    client.end();
    client.destroy();
    await waitUntil(
      () => plane.flows.length === 1,
      () => 'no flow',
    );
    const [head = '', ...rest] = text().split('\r\n\r\n');
    const [transaction] = plane.transactions;
    return { status: head.slice(9, 12), rest: Buffer.from(rest.join('\r\n\r\n'), 'latin1'), transaction };
  }

  it('to another protocol passes unread, with a record that says so', async () => {
    const { status, rest, transaction } = await upgraded('allow', 'foo', 'X: y', 'X: y', Buffer.from('hello'));
    expect([status, rest.toString()]).toEqual(['101', 'hello']);
    expect(transaction).toMatchObject({ upgradedTo: 'foo', notInspected: ['what follows the upgrade to foo'] });
  });

  it('to another protocol is refused where only WebSocket may pass', async () => {
    const { status, transaction } = await upgraded('websocket', 'foo', 'X: y', 'X: y', Buffer.from('hello'));
    expect(status).toBe('403');
    expect(transaction?.outcome.failure).toBe('POLICY_UPGRADE_REFUSED');
  });

  it('to a WebSocket with an extension that nobody here reads is refused there too', async () => {
    const extension = 'Sec-WebSocket-Extensions: x-own';
    const ask = `${key}\r\n${extension}`;
    const refused = await upgraded('websocket', 'websocket', ask, `${accept}\r\n${extension}`, Buffer.from('hello'));
    expect(refused.transaction?.outcome.failure).toBe('POLICY_UPGRADE_REFUSED');
    const passed = await upgraded('allow', 'websocket', ask, `${accept}\r\n${extension}`, Buffer.from('hello'));
    expect(passed.transaction?.notInspected).toEqual(['messages: unknown WebSocket extension x-own']);
  });

  it('to a WebSocket that the origin answers wrongly is refused', async () => {
    const { status, transaction } = await upgraded('allow', 'websocket', key, 'Sec-WebSocket-Accept: x', frame({}));
    expect([status, transaction?.outcome.failure]).toEqual(['502', 'ORIGIN_WEBSOCKET_MALFORMED']);
  });

  it('is inspected from its first byte, which comes with the answer', async () => {
    const { status, rest } = await upgraded('allow', 'websocket', key, accept, frame({ payload: 'a secret' }));
    expect(status).toBe('101');
    expect(framesIn(rest).map(({ opcode, payload }) => [opcode, payload.readUInt16BE(0)])).toEqual([[8, 1008]]);
  });
});
