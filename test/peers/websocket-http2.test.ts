import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { ClientHttp2Session, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type WebSocket from 'ws';
import { failureIn, loadPage, trustingHome } from '../support/chromium.ts';
import { freePort, type RunningGateway, startGateway, waitUntil } from '../support/gateway.ts';
import { type Http2Origin, startHttp2Origin } from '../support/http2-origin.ts';
import { ocsfProblems } from '../support/ocsf.ts';
import { gatewayField, isMessages, isTransaction, type Line, member } from '../support/record-fields.ts';
import { hasProgram } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { acceptOverHttp2, openOverHttp2, openSession } from '../support/websocket-http2.ts';

const rules = `
- { id: test.out, title: A codeword leaves, action: block, when: { all: [{ field: websocket.from, equals: client }, { field: websocket.message, contains: codeword }] } }
- { id: test.in, title: A codeword comes in, action: block, when: { all: [{ field: websocket.message, contains: "the answer" }, { field: websocket.from, equals: origin }, { field: http.path, prefix: /ask }] } }
- { id: test.alarm, title: A card number, severity: high, action: alarm, when: { field: websocket.message, detector: card_number } }
`;

let gateway: RunningGateway;
let origin: Http2Origin;
let port: number;
let session: ClientHttp2Session;
let directory: string;
let waiting: ServerHttp2Stream | undefined;
const page = `<!doctype html><p id="p">waiting</p><script>
  const socket = new WebSocket('wss://' + location.host + '/from-page');
  const said = [];
  socket.onopen = () => socket.send('hello');
  socket.onmessage = ({ data }) => { said.push(data); socket.send('the codeword'); };
  socket.onclose = ({ code, reason }) => { document.getElementById('p').textContent = said + ' ' + code + ' ' + reason; };
</script><script src="/wait.js"></script>`;
const heard: string[] = [];
const closes: string[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'daylight-ws-h2-'));
  const authority = await createTestAuthority();
  const credentials = await authority.issue({ names: ['localhost'] });
  origin = await startHttp2Origin({ credentials, handler: answer, settings: { enableConnectProtocol: true } });
  port = await freePort();
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem, 'websocket.yaml': rules },
    config: {
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      rules: { files: ['$DIRECTORY/websocket.yaml'] },
      http: { upgrades: 'websocket' },
    },
  });
  session = await openSession(port, `localhost:${origin.port}`, readFileSync(gateway.caFile));
});

afterAll(async () => {
  session?.destroy();
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  await gateway?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
});

function answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  if (headers[':protocol'] !== 'websocket') {
    const isPage = headers[':path'] === '/page';
    stream.respond({ ':status': 200, 'content-type': isPage ? 'text/html' : 'text/javascript' });
    // The page is not loaded before its WebSocket is closed.
    if (headers[':path'] === '/wait.js') waiting = stream;
    else stream.end(isPage ? page : 'plain');
    return;
  }
  const path = headers[':path'];
  const socket = acceptOverHttp2(stream, headers['sec-websocket-extensions'] as string | undefined);
  socket.on('error', () => {});
  socket.on('close', (code, reason) => {
    closes.push(`${path} ${code} ${reason}`);
    if (path === '/from-page') setTimeout(() => waiting?.end(), 300);
  });
  socket.on('message', (content: Buffer, isBinary) => {
    heard.push(content.toString('latin1').slice(0, 100));
    if (path === '/ask') socket.send('this is the answer');
    else socket.send(content, { binary: isBinary });
  });
  if (path === '/greets') socket.send('welcome');
}

async function open(path: string, isCompressed = true): Promise<WebSocket> {
  const socket = await openOverHttp2(session, path, isCompressed);
  socket.on('error', () => {});
  return socket;
}

const closed = async (client: WebSocket): Promise<string> => {
  const [code, reason] = (await once(client, 'close')) as [number, Buffer];
  return `${code} ${reason}`;
};

async function plain(): Promise<string> {
  const stream = session.request({ ':path': '/' });
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(stream, 'end');
  return Buffer.concat(chunks).toString();
}

const recordsOf = async (path: string): Promise<readonly Line[]> => {
  const own = (line: Line): boolean => isMessages(line) && member(line, 'url', 'path') === path;
  return (await gateway.waitForRecords('traffic', (lines) => lines.some(own))).filter(own);
};

describe('a WebSocket over HTTP/2 through the gateway', () => {
  it('is offered as its origin offers it', () => {
    expect(session.remoteSettings.enableConnectProtocol).toBe(true);
  });

  it.each([true, false])('carries messages of every size (compressed: %s)', async (isCompressed) => {
    const path = `/sizes-${isCompressed}`;
    const client = await open(path, isCompressed);
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
    const opening = (await gateway.waitForRecords('traffic', () => true)).find(
      (record) => isTransaction(record) && member(record, 'http_request', 'url', 'path') === path,
    );
    expect(gatewayField(opening ?? {}, 'upgraded_to')).toBe('websocket');
    expect(gatewayField(opening ?? {}, 'not_inspected')).toBeUndefined();
  });

  it('passes on what the origin says first', async () => {
    const client = await open('/greets');
    const [first] = (await once(client, 'message')) as [Buffer];
    expect(first.toString()).toBe('welcome');
    client.close();
    await closed(client);
  });

  it.each([true, false])(
    'is closed on both sides by a rule, and no other stream is (compressed: %s)',
    async (isCompressed) => {
      const path = `/out-${isCompressed}`;
      const [client, other] = [await open(path, isCompressed), await open('/other', isCompressed)];
      client.send('before');
      await once(client, 'message');
      client.send('the codeword is 42');
      expect(await closed(client)).toBe('1008 blocked by rule test.out');
      await waitUntil(
        () => closes.some((line) => line.startsWith(`${path} 1008`)),
        () => closes.join(),
      );
      expect(heard).not.toContain('the codeword is 42');
      const [line] = await recordsOf(path);
      expect(ocsfProblems(line)).toEqual([]);
      expect(gatewayField(line ?? {}, 'failure')).toBe('POLICY_RULE_BLOCK');
      expect(gatewayField(line ?? {}, 'rule_ids')).toEqual(['test.out']);
      other.send('still here');
      const [answer] = (await once(other, 'message')) as [Buffer];
      expect(answer.toString()).toBe('still here');
      expect(await plain()).toBe('plain');
      other.close();
      await closed(other);
    },
  );

  it('is closed by a rule on what its origin says', async () => {
    const client = await open('/ask');
    client.send('what is it');
    expect(await closed(client)).toBe('1008 blocked by rule test.in');
  });

  it('raises an alarm, and masks it in the records', async () => {
    const client = await open('/alarm');
    client.send('pay with 4111 1111 1111 1111');
    const [content] = (await once(client, 'message')) as [Buffer];
    expect(content.toString()).toBe('pay with 4111 1111 1111 1111');
    client.close();
    await closed(client);
    const [line] = await recordsOf('/alarm');
    expect(line).toMatchObject({ is_alert: true });
    expect(JSON.stringify(line)).not.toContain('4111 1111 1111 1111');
  });

  it('holds up nothing else while its client reads nothing of a large message', async () => {
    const client = await open('/slow', false);
    client.pause();
    client.send(Buffer.alloc(3_000_000, 'x'));
    expect(await plain()).toBe('plain');
    client.resume();
    const [content] = (await once(client, 'message')) as [Buffer];
    expect(content).toHaveLength(3_000_000);
    client.terminate();
  });

  it.runIf(hasProgram('chromium') && hasProgram('certutil'))(
    'is opened by Chromium, and closed by a rule',
    async () => {
      const home = await trustingHome(directory, gateway.caFile);
      const loaded = await loadPage(home, port, `https://localhost:${origin.port}/page`);
      expect(failureIn(loaded)).toBeUndefined();
      expect(loaded.stdout).toContain('<p id="p">hello 1008 blocked by rule test.out</p>');
      expect(heard).not.toContain('the codeword');
      const isOpening = (line: Line): boolean =>
        isTransaction(line) && member(line, 'http_request', 'url', 'path') === '/from-page';
      const records = await gateway.waitForRecords('traffic', (lines) => lines.some(isOpening));
      const opening = records.find(isOpening);
      expect(gatewayField(opening ?? {}, 'protocol')).toBe('h2');
      expect(member(opening ?? {}, 'http_request', 'http_method')).toBe('CONNECT');
    },
    90_000,
  );

  it('is refused where the tunnel is for another protocol', async () => {
    const stream = session.request({ ':method': 'CONNECT', ':protocol': 'connect-udp', ':path': '/udp' });
    stream.on('error', () => {});
    const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    expect([headers[':status'], headers['daylight-failure']]).toEqual([403, 'POLICY_UPGRADE_REFUSED']);
  });
});
