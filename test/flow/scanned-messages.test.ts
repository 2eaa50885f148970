import { get as httpGet } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ScannerPolicy } from '../../src/core/scanner.ts';
import { parseRuleFile } from '../../src/rules/rule-file.ts';
import { startDataPlane, type TestDataPlane } from '../support/data-plane.ts';
import { waitUntil } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { type IcapServer, options, startIcapServer, unmodified } from '../support/icap-server.ts';
import { startRawOrigin } from '../support/raw-origin.ts';
import { listening } from '../support/tcp.ts';

const large = 'Day is here. '.repeat(10_000);

function policyOf(port: number, changes: Partial<ScannerPolicy> = {}): ScannerPolicy {
  const authority = `127.0.0.1:${port}`;
  return {
    id: 'av',
    service: { host: '127.0.0.1', port, url: `icap://${authority}/scan`, authority },
    mode: 'both',
    onFailure: 'block',
    timeoutMs: 10_000,
    maximumBytes: 1_000_000,
    hosts: [],
    assets: [],
    except: [],
    ...changes,
  };
}

interface Ground extends AsyncDisposable {
  readonly plane: TestDataPlane;
  readonly origin: TestOrigin;
  /** Sends a request in absolute form, and collects all that is answered until `until` is there. */
  ask(request: string, until: string | RegExp): Promise<string>;
  get(path: string, until: string | RegExp): Promise<string>;
}

async function ground(scanners: readonly ScannerPolicy[]): Promise<Ground> {
  const origin = await startOrigin(undefined, (request, response) => {
    request.resume();
    request.on('end', () => response.end(request.url === '/large' ? large : 'the end of it'));
  });
  const plane = await startDataPlane({ scanners });
  const ask = async (request: string, until: string | RegExp): Promise<string> => {
    const socket: Socket = connect(plane.port, '127.0.0.1');
    let received = '';
    socket.setEncoding('latin1').on('data', (text) => {
      received += text;
    });
    socket.on('error', () => {}).write(request, 'latin1');
    const isThere = (): boolean => (typeof until === 'string' ? received.includes(until) : until.test(received));
    await waitUntil(isThere, () => `instead of ${until}: ${received.slice(0, 500)}`);
    socket.destroy();
    return received;
  };
  return {
    plane,
    origin,
    ask,
    get: (path, until) => ask(`GET ${urlOf(origin, path)} HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n\r\n`, until),
    async [Symbol.asyncDispose]() {
      await plane[Symbol.asyncDispose]();
      await origin[Symbol.asyncDispose]();
    },
  };
}

/** Body of what a plain proxy answers. */
function got(port: number, url: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const request = httpGet(
      { host: '127.0.0.1', port, path: url, headers: { host: new URL(url).host }, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve(Buffer.concat(chunks)));
      },
    );
    request.on('error', reject);
  });
}

const urlOf = (origin: TestOrigin, path: string): string => `http://127.0.0.1:${origin.port}${path}`;
const post = (origin: TestOrigin, body: string): string =>
  `POST ${urlOf(origin, '/up')} HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

/** One scanner that says what a test wants, behind one gateway for each policy. */
let said: string | undefined = unmodified;
let server: IcapServer;
let grounds: Readonly<Record<'block' | 'allow', Ground>>;

beforeAll(async () => {
  server = await startIcapServer(({ method }) => (method === 'OPTIONS' ? options() : said));
  const at = (onFailure: 'block' | 'allow') => ground([policyOf(server.port, { mode: 'response', onFailure })]);
  grounds = { block: await at('block'), allow: await at('allow') };
});

afterAll(async () => {
  await grounds?.block[Symbol.asyncDispose]();
  await grounds?.allow[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

/** Asks for a small page; the last transaction is that of it. */
async function scannedPage(
  answer: string | undefined,
  onFailure: 'block' | 'allow' = 'block',
  at = grounds[onFailure],
) {
  said = answer;
  const { transactions, alarms } = at.plane;
  const before = transactions.length;
  const received = await at.get('/', /the end of it|<\/html>/);
  await waitUntil(
    () => transactions.length > before,
    () => 'no transaction',
  );
  return { received, transaction: transactions.at(-1), alarm: alarms.at(-1) };
}

const replaced = (kind: 'req' | 'res', head: string, body: string): string =>
  `ICAP/1.0 200 OK\r\nEncapsulated: ${kind}-hdr=0, ${kind}-body=${head.length}\r\n\r\n${head}` +
  `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

describe('the answer of a scanner', () => {
  test.each([
    ['204', unmodified],
    ['the same message', replaced('res', 'HTTP/1.1 200 OK\r\nVia: scanner\r\n\r\n', 'the end of it')],
  ])('lets a message pass as it came: %s', async (_name, answer) => {
    const { received, transaction } = await scannedPage(answer);
    expect(received).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*the end of it$/);
    expect(received).not.toContain('Via');
    expect(transaction).toMatchObject({ verdict: 'allow', scans: [{ scanner: 'av', outcome: 'clean' }] });
  });

  test.each([
    ['another body', replaced('res', 'HTTP/1.1 200 OK\r\n\r\n', 'the end of IT')],
    ['a part of the body', replaced('res', 'HTTP/1.1 200 OK\r\n\r\n', 'the end')],
    ['another status', replaced('res', 'HTTP/1.1 403 Forbidden\r\n\r\n', 'the end of it')],
    ['a request', replaced('req', 'GET / HTTP/1.1\r\n\r\n', 'the end of it')],
    ['no body', 'ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, null-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n'],
    ['403', 'ICAP/1.0 403 Forbidden\r\n\r\n'],
  ])('blocks with an alarm and our own page: %s', async (_name, answer) => {
    const { received, transaction, alarm } = await scannedPage(answer);
    expect(received).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*Daylight-Failure: POLICY_SCANNER_BLOCK/);
    expect(received).not.toContain('the end');
    expect(transaction).toMatchObject({
      verdict: 'block',
      alarms: 1,
      outcome: { failure: 'POLICY_SCANNER_BLOCK' },
      scans: [{ outcome: 'blocked' }],
    });
    expect(alarm?.match).toMatchObject({
      rule: { id: 'scanner.av' },
      action: 'block',
      field: 'http.response.body',
    });
  });

  test.each([
    ['an error', 'GATEWAY_SCANNER_FAILED', 'ICAP/1.0 500 Bad\r\n\r\n'],
    ['HTTP', 'GATEWAY_SCANNER_FAILED', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['100 to a whole body', 'GATEWAY_SCANNER_FAILED', 'ICAP/1.0 100 Continue\r\n\r\n'],
    ['200 without a message', 'GATEWAY_SCANNER_FAILED', 'ICAP/1.0 200 OK\r\n\r\n'],
    ['the end of the connection', 'GATEWAY_SCANNER_UNREACHABLE', ''],
  ])('is a failure that policy decides on: %s', async (_name, failure, answer) => {
    for (const onFailure of ['block', 'allow'] as const) {
      const { received, transaction } = await scannedPage(answer, onFailure);
      const scans = [{ scanner: 'av', message: 'response', outcome: 'failed', failure }];
      expect(transaction).toMatchObject({ verdict: onFailure, scans });
      if (onFailure === 'allow') expect(received).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*the end of it$/);
      else expect(received).toContain(`Daylight-Failure: ${failure}`);
    }
  });

  test.each(['block', 'allow'] as const)('that does not come in time follows policy: %s', async (onFailure) => {
    await using slow = await ground([policyOf(server.port, { mode: 'response', onFailure, timeoutMs: 200 })]);
    const { received, transaction } = await scannedPage(undefined, onFailure, slow);
    expect(transaction?.scans).toMatchObject([{ outcome: 'failed', failure: 'GATEWAY_SCANNER_TIMEOUT' }]);
    expect(received).toContain(onFailure === 'allow' ? 'the end of it' : 'Daylight-Failure: GATEWAY_SCANNER_TIMEOUT');
  });

  test.each(['block', 'allow'] as const)('cannot come from a scanner that is down: %s', async (onFailure) => {
    const closed = createServer();
    const port = await listening(closed);
    await new Promise((resolve) => closed.close(resolve));
    await using at = await ground([policyOf(port, { onFailure })]);
    const received = await at.ask(post(at.origin, 'up'), /the end of it|<\/html>/);
    expect(received).toContain(
      onFailure === 'allow' ? 'the end of it' : 'Daylight-Failure: GATEWAY_SCANNER_UNREACHABLE',
    );
    expect(at.origin.requests).toHaveLength(onFailure === 'allow' ? 1 : 0);
  });
});

describe('what a scanner is shown', () => {
  test('is a preview first, and the rest when it asks for it', async () => {
    await using server = await startIcapServer(({ method, text }) => {
      if (method === 'OPTIONS') return options('Preview: 16\r\n');
      return method === 'CONTINUED' || text.includes('ieof') ? unmodified : 'ICAP/1.0 100 Continue\r\n\r\n';
    });
    await using at = await ground([policyOf(server.port, { mode: 'response' })]);
    expect(await at.get('/large', large.slice(-1_000))).toContain(large);
    expect(await at.get('/', 'the end of it')).toContain('200 OK');
    const [, preview, rest, whole] = server.requests;
    expect(preview?.text).toMatch(/^RESPMOD [\s\S]*\r\nPreview: 16\r\n[\s\S]*\r\n10\r\nDay is here. Day\r\n0\r\n\r\n$/);
    expect(rest?.text).toMatch(/^[0-9a-f]+\r\n is here\. Day [\s\S]*\r\n0\r\n\r\n$/);
    expect(whole?.text).toMatch(/\r\nPreview: 13\r\n[\s\S]*\r\nd\r\nthe end of it\r\n0; ieof\r\n\r\n$/);
    expect(server.connections()).toBe(1);
  });

  test('is a coded body as it goes on: what rules mask in it nobody sees', async () => {
    const numbers = '4111111111111111 5500005555555559 371449635398431 4012888888881881 6011000990139424';
    const coded = gzipSync(`${'The numbers: '.repeat(20)}${numbers}`, { level: 1 });
    const yaml = '- { id: r, title: t, action: redact, when: { field: http.response.body, detector: card_number } }';
    await using server = await startIcapServer(({ method }) => (method === 'OPTIONS' ? options() : unmodified));
    await using origin = await startOrigin(undefined, (_request, response) => {
      response.setHeader('Content-Encoding', 'gzip');
      response.end(coded);
    });
    const { rules } = parseRuleFile(yaml, 'test.yaml');
    await using plane = await startDataPlane({ scanners: [policyOf(server.port, { mode: 'response' })], rules });
    const response = await got(plane.port, urlOf(origin, '/'));
    const masked = gunzipSync(response).toString();
    expect(response).toHaveLength(coded.length);
    expect(masked).toMatch(/numbers: \*{16} \*{16} \*{15} \*{16} \*{16}$/);
    const shown = server.requests.find(({ method }) => method === 'RESPMOD')?.text ?? '';
    expect(shown).toContain(response.toString('latin1'));
    expect(plane.transactions[0]).toMatchObject({ verdict: 'allow', scans: [{ outcome: 'clean' }] });
  });

  test('is not longer than its limit, and a longer one follows policy without being held', async () => {
    for (const onFailure of ['block', 'allow'] as const) {
      await using server = await startIcapServer(() => options());
      await using at = await ground([policyOf(server.port, { onFailure, maximumBytes: 1_000 })]);
      const end = onFailure === 'allow' ? large.slice(-1_000) : 'Daylight-Failure: POLICY_UNSCANNABLE';
      await at.get('/large', end);
      await at.ask(post(at.origin, large), onFailure === 'allow' ? 'the end of it' : end);
      expect(server.requests).toHaveLength(onFailure === 'allow' ? 2 : 0);
    }
  });

  test('is nothing of excepted hosts and of messages without a body', async () => {
    await using server = await startIcapServer(() => options());
    await using at = await ground([policyOf(server.port, { except: ['127.0.0.1'] })]);
    await at.ask(post(at.origin, 'up'), 'the end of it');
    expect(server.requests).toHaveLength(0);
  });

  test('goes over a new connection when the kept one was ended', async () => {
    await using server = await startIcapServer(({ method }, socket) => {
      if (method === 'OPTIONS') return options();
      // Ends when the next request is on its way, as a scanner does that has waited long enough.
      socket.once('data', () => socket.destroy());
      return unmodified;
    });
    await using at = await ground([policyOf(server.port, { mode: 'response' })]);
    for (let count = 0; count < 3; count++) await at.get('/', 'the end of it');
    expect(at.plane.transactions.every(({ verdict }) => verdict === 'allow')).toBe(true);
  });
});

test('pipelined requests wait for the scan of the one before them, and are answered in order', async () => {
  const waiting: (() => void)[] = [];
  await using server = await startIcapServer(({ method }, socket) => {
    if (method === 'OPTIONS') return options();
    waiting.push(() => socket.write(unmodified));
    return undefined;
  });
  await using at = await ground([policyOf(server.port, { mode: 'request' })]);
  const answered = at.ask(post(at.origin, 'one') + post(at.origin, 'two'), /the end of it[\s\S]*the end of it/);
  await waitUntil(
    () => waiting.length === 1,
    () => 'no scan',
  );
  expect(at.origin.requests).toHaveLength(0);
  waiting.shift()?.();
  await waitUntil(
    () => waiting.length === 1,
    () => 'no second scan',
  );
  expect(at.origin.requests).toHaveLength(1);
  waiting.shift()?.();
  await answered;
  expect(at.origin.requests).toHaveLength(2);
});

test.each([
  ['a length and closes', 'Content-Length: 5\r\nConnection: close\r\n\r\nhello'],
  ['a length and closes unasked', 'Content-Length: 5\r\n\r\nhello'],
  ['the end of the connection', '\r\nhello'],
])('an origin that ends while its response waits is answered for: %s', async (_name, rest) => {
  let release: (() => void) | undefined;
  let isEnded = false;
  await using scanner = await startIcapServer(({ method }, socket) => {
    if (method === 'OPTIONS') return options();
    release = () => socket.write(unmodified);
    return undefined;
  });
  await using origin = await startRawOrigin(undefined, ({ socket }) => {
    socket.on('finish', () => {
      isEnded = true;
    });
    socket.end(`HTTP/1.1 200 OK\r\n${rest}`);
  });
  await using plane = await startDataPlane({ scanners: [policyOf(scanner.port, { mode: 'response' })] });
  const socket = connect(plane.port, '127.0.0.1');
  let received = '';
  socket.setEncoding('latin1').on('data', (text) => {
    received += text;
  });
  socket.on('error', () => {});
  socket.write(`GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n\r\n`);
  await waitUntil(
    () => release !== undefined && isEnded,
    () => 'no scan',
  );
  expect(received).toBe('');
  release?.();
  await waitUntil(
    () => received.endsWith('hello'),
    () => `instead: ${received}`,
  );
  await waitUntil(
    () => plane.transactions.length === 1,
    () => 'no transaction',
  );
  expect(plane.transactions[0]).toMatchObject({ verdict: 'allow', outcome: { complete: true } });
  socket.destroy();
});

test('pipelined responses wait for the scan of the one before them', async () => {
  const waiting: (() => void)[] = [];
  await using scanner = await startIcapServer(({ method }, socket) => {
    if (method === 'OPTIONS') return options();
    waiting.push(() => socket.write(unmodified));
    return undefined;
  });
  const one = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n${body}`;
  await using origin = await startRawOrigin(undefined, ({ socket }) => {
    // All answers in one write, once both requests are there.
    const timer = setInterval(() => {
      if (origin.received().split('GET /').length < 3) return;
      clearInterval(timer);
      socket.write(one('one') + one('two'));
    }, 10);
  });
  await using plane = await startDataPlane({ scanners: [policyOf(scanner.port, { mode: 'response' })] });
  const socket = connect(plane.port, '127.0.0.1');
  let received = '';
  socket.setEncoding('latin1').on('data', (text) => {
    received += text;
  });
  socket.on('error', () => {});
  const get = `GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n\r\n`;
  socket.write(get + get);
  for (const body of ['one', 'two']) {
    await waitUntil(
      () => waiting.length === 1,
      () => `no scan of ${body}`,
    );
    expect(received).not.toContain(body);
    waiting.shift()?.();
    await waitUntil(
      () => received.endsWith(one(body)),
      () => `instead: ${received}`,
    );
  }
  socket.destroy();
});
