import { expect, test } from 'vitest';
import type { IcapMessage } from '../../src/codec/icap-request.ts';
import { limits } from '../../src/core/limits.ts';
import { IcapClient } from '../../src/net/icap-client.ts';
import { waitUntil } from '../support/gateway.ts';
import { type IcapServer, options, startIcapServer, unmodified } from '../support/icap-server.ts';

const message: IcapMessage = {
  method: 'RESPMOD',
  requestHead: Buffer.from('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n'),
  responseHead: Buffer.from('HTTP/1.1 200 OK\r\n\r\n'),
  body: [Buffer.from('a body')],
  bodyBytes: 6,
};
const forever = new AbortController().signal;
const codeOf = (scan: Promise<{ readonly kind: string }>): Promise<string> =>
  scan.then(
    ({ kind }) => kind,
    ({ code }: { code: string }) => code,
  );

function clientOf({ port }: IcapServer, timeoutMs = 10_000): IcapClient {
  const authority = `127.0.0.1:${port}`;
  const service = { host: '127.0.0.1', port, url: `icap://${authority}/scan`, authority };
  return new IcapClient({ host: '127.0.0.1', port, service, timeoutMs });
}

/** A scanner that answers when it is told to. */
async function slowScanner(fields: string) {
  const waiting: (() => void)[] = [];
  const server = await startIcapServer(({ method }, socket) => {
    if (method === 'OPTIONS') return options(fields);
    waiting.push(() => void socket.write(unmodified));
    return undefined;
  });
  return { server, waiting };
}

test('opens as many connections as its scanner wants, and keeps them for those that wait', async () => {
  const { server, waiting } = await slowScanner('Max-Connections: 2\r\n');
  await using _ = server;
  const client = clientOf(server);
  const first = client.scan(message, 'a', forever);
  await waitUntil(
    () => waiting.length === 1,
    () => 'no first scan',
  );
  let most = 0;
  let done = 0;
  const scans = Array.from({ length: 20 }, (_, index) =>
    client.scan(message, index % 2 === 0 ? 'a' : 'b', forever).then((outcome) => {
      done += 1;
      // Whoever comes at the moment in which another leaves must wait as well.
      if (done < 10) scans.push(client.scan(message, 'a', forever));
      return outcome;
    }),
  );
  scans.push(first);
  for (let round = 0; done < 29 && round < 500; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    most = Math.max(most, waiting.length);
    for (const answer of waiting.splice(0)) answer();
  }
  expect(new Set((await Promise.all(scans)).map(({ kind }) => kind))).toEqual(new Set(['clean']));
  expect(most).toBe(2);
  expect(server.connections()).toBeLessThanOrEqual(2);
});

test('refuses what finds no place to wait, and gives up what waits too long', async () => {
  const { server, waiting } = await slowScanner('Max-Connections: 1\r\n');
  await using _ = server;
  const client = clientOf(server, 400);
  const first = codeOf(client.scan(message, 'first', forever));
  await waitUntil(
    () => waiting.length === 1,
    () => 'no first scan',
  );
  const scans = Array.from({ length: limits.scannerQueue + 2 }, (_, at) =>
    codeOf(client.scan(message, `${at}`, forever)),
  );
  expect(await first).toBe('GATEWAY_SCANNER_TIMEOUT');
  const codes = await Promise.all(scans);
  expect(codes.filter((code) => code === 'GATEWAY_OVERLOADED')).toHaveLength(3);
  expect(codes.filter((code) => code === 'GATEWAY_SCANNER_TIMEOUT')).toHaveLength(limits.scannerQueue - 1);
  // Its place is free again.
  const answering = setInterval(() => {
    for (const answer of waiting.splice(0)) answer();
  }, 5);
  expect(await codeOf(client.scan(message, 'first', forever))).toBe('clean');
  clearInterval(answering);
});

test('leaves half of all places to other clients, and tells one that has its share so', async () => {
  const { server, waiting } = await slowScanner('');
  await using _ = server;
  const client = clientOf(server);
  const flood = Array.from({ length: limits.scannerQueue }, () => codeOf(client.scan(message, 'flood', forever)));
  let others = 0;
  const other = codeOf(client.scan(message, 'other', forever)).finally(() => {
    others += 1;
  });
  await waitUntil(
    () => waiting.length === limits.scannerConnections / 2 + 1,
    () => `${waiting.length} scans`,
  );
  // The other one did not wait behind the flood, of which nothing was answered yet.
  waiting.pop()?.();
  expect(await other).toBe('clean');
  expect(others).toBe(1);
  const answering = setInterval(() => {
    for (const answer of waiting.splice(0)) answer();
  }, 1);
  const codes = await Promise.all(flood);
  clearInterval(answering);
  expect(codes.filter((code) => code === 'CLIENT_HOARDING')).toHaveLength(limits.scannerQueue / 2);
  expect(codes.filter((code) => code === 'clean')).toHaveLength(limits.scannerQueue / 2);
});

test('serves clients by turns where there is one place', async () => {
  const { server, waiting } = await slowScanner('Max-Connections: 1\r\n');
  await using _ = server;
  const client = clientOf(server);
  const order: string[] = [];
  const scan = (who: string): Promise<number> => client.scan(message, who, forever).then(() => order.push(who));
  const first = scan('a');
  await waitUntil(
    () => waiting.length === 1,
    () => 'no first scan',
  );
  const rest = [...Array.from({ length: 5 }, () => scan('a')), scan('b'), scan('c'), scan('b')];
  const answering = setInterval(() => waiting.pop()?.(), 2);
  await Promise.all([first, ...rest]);
  clearInterval(answering);
  expect(order.join('')).toBe('aabcabaaa');
});

test('what waits too long behind messages of its own client is told so, unless the scanner answers nobody', async () => {
  const { server, waiting } = await slowScanner('Max-Connections: 1\r\n');
  await using _ = server;
  const client = clientOf(server, 1_000);
  // One in a tenth of a second is not enough for all of them.
  const flood = Array.from({ length: 60 }, () => codeOf(client.scan(message, 'flood', forever)));
  const other = codeOf(client.scan(message, 'other', forever));
  const answering = setInterval(() => waiting.shift()?.(), 100);
  const codes = await Promise.all(flood);
  clearInterval(answering);
  expect(codes).toContain('CLIENT_HOARDING');
  expect(await other).toBe('clean');
  // From here on nobody is answered, which is no fault of the one that waits.
  const silent = [1, 2, 3].map(() => codeOf(client.scan(message, 'flood', forever)));
  expect(await Promise.all(silent)).toEqual(Array(3).fill('GATEWAY_SCANNER_TIMEOUT'));
});

test('takes what is cancelled out of those who wait', async () => {
  const { server, waiting } = await slowScanner('Max-Connections: 1\r\n');
  await using _ = server;
  const client = clientOf(server);
  const first = codeOf(client.scan(message, 'a', forever));
  await waitUntil(
    () => waiting.length === 1,
    () => 'no first scan',
  );
  for (let round = 0; round < 2 * limits.scannerQueue; round += 1) {
    const cancel = new AbortController();
    const cancelled = codeOf(client.scan(message, 'b', cancel.signal));
    cancel.abort({ code: 'CLIENT_GONE' });
    expect(await cancelled).toBe('CLIENT_GONE');
  }
  const last = codeOf(client.scan(message, 'b', forever));
  const answering = setInterval(() => waiting.pop()?.(), 2);
  expect(await Promise.all([first, last])).toEqual(['clean', 'clean']);
  clearInterval(answering);
});
