import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ScannerPolicy } from '../../src/core/scanner.ts';
import { startDataPlane, type TestDataPlane } from '../support/data-plane.ts';
import { waitUntil } from '../support/gateway.ts';
import { type Http2Origin, startHttp2Origin } from '../support/http2-origin.ts';
import { type IcapServer, options, startIcapServer, unmodified } from '../support/icap-server.ts';
import { openTunnel } from '../support/tunnel.ts';

/** A scanner that answers at once, but for what is slow: that waits until the test lets it go. */
let scanner: IcapServer;
let origin: Http2Origin;
let plane: TestDataPlane;
let session: ClientHttp2Session;
const slow: ((answer: string) => void)[] = [];

const replaced = (): string => {
  const head = 'HTTP/1.1 403 Forbidden\r\n\r\n';
  return `ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=${head.length}\r\n\r\n${head}2\r\nno\r\n0\r\n\r\n`;
};

beforeAll(async () => {
  scanner = await startIcapServer(({ method, text }, socket) => {
    if (method === 'OPTIONS') return options();
    if (!text.includes('/slow')) return unmodified;
    slow.push((answer) => socket.write(answer, 'latin1'));
    return undefined;
  });
  origin = await startHttp2Origin({
    handler: (stream, headers) => {
      let bytes = 0;
      stream.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      stream.on('end', () => {
        stream.respond({ ':status': 200 });
        // More than any window: the scan has to hold all of it.
        stream.end(headers[':path'] === '/slow-down' ? Buffer.alloc(300_000, 'x') : `took ${bytes}`);
      });
    },
  });
  const authority = `127.0.0.1:${scanner.port}`;
  const policy: ScannerPolicy = {
    id: 'av',
    service: { host: '127.0.0.1', port: scanner.port, url: `icap://${authority}/scan`, authority },
    mode: 'both',
    onFailure: 'block',
    timeoutMs: 10_000,
    maximumBytes: 1_000_000,
    hosts: [],
    assets: [],
    except: [],
  };
  plane = await startDataPlane({ scanners: [policy] });
  const socket = await openTunnel(plane.port, `127.0.0.1:${origin.port}`);
  session = connect(`http://127.0.0.1:${origin.port}`, { createConnection: () => socket });
});

afterAll(async () => {
  session?.destroy();
  await plane?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
  await scanner?.[Symbol.asyncDispose]();
});

interface Asked {
  readonly done: Promise<{ readonly status: number | undefined; readonly body: string }>;
  readonly isAnswered: () => boolean;
}

function ask(path: string, body?: Buffer): Asked {
  const stream = session.request({ ':path': path, ':method': body === undefined ? 'GET' : 'POST' });
  const chunks: Buffer[] = [];
  let status: number | undefined;
  stream.on('response', (headers) => {
    status = headers[':status'];
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('error', () => {});
  stream.end(body);
  const done = once(stream, 'close').then(() => ({ status, body: Buffer.concat(chunks).toString() }));
  return { done, isAnswered: () => status !== undefined };
}

async function nextSlow(): Promise<(answer: string) => void> {
  await waitUntil(
    () => slow.length > 0,
    () => 'nothing was shown',
  );
  return slow.shift() ?? (() => {});
}

describe('while a content scanner looks at one stream of HTTP/2', () => {
  test('the response of that stream waits, whatever its windows, and the others pass', async () => {
    const waiting = ask('/slow-down');
    const release = await nextSlow();
    expect(await ask('/fast').done).toEqual({ status: 200, body: 'took 0' });
    expect(await ask('/fast', Buffer.alloc(200_000)).done).toEqual({ status: 200, body: 'took 200000' });
    expect(waiting.isAnswered()).toBe(false);
    release(unmodified);
    const { status, body } = await waiting.done;
    expect([status, body.length]).toEqual([200, 300_000]);
  });

  test('its request waits, and the origin hears nothing of it', async () => {
    const waiting = ask('/slow-up', Buffer.alloc(400_000));
    const release = await nextSlow();
    expect(origin.requests.filter((request) => request.includes('/slow-up'))).toEqual([]);
    release(unmodified);
    (await nextSlow())(unmodified);
    expect(await waiting.done).toEqual({ status: 200, body: 'took 400000' });
    expect(plane.transactions.at(-1)?.scans).toMatchObject([
      { message: 'request', outcome: 'clean' },
      { message: 'response', outcome: 'clean' },
    ]);
  });

  test('what it blocks is answered with a page on its stream alone', async () => {
    const blocked = ask('/slow-down');
    const answer = await nextSlow();
    const gone = ask('/slow-gone');
    const end = await nextSlow();
    answer(replaced());
    expect((await blocked.done).status).toBe(403);
    expect(plane.transactions.at(-1)).toMatchObject({
      outcome: { failure: 'POLICY_SCANNER_BLOCK' },
      scans: [{ outcome: 'blocked' }],
    });
    end('');
    expect(gone.isAnswered()).toBe(false);
    expect((await ask('/fast').done).status).toBe(200);
  });

  test('is told the host of the request', () => {
    const [first] = scanner.requests.filter(({ method }) => method === 'RESPMOD');
    expect(first?.text).toContain('\r\nHost: 127.0.0.1\r\n');
  });
});
