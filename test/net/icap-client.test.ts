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
  const first = client.scan(message, forever);
  await waitUntil(
    () => waiting.length === 1,
    () => 'no first scan',
  );
  let most = 0;
  let done = 0;
  const scans = Array.from({ length: 20 }, () =>
    client.scan(message, forever).then((outcome) => {
      done += 1;
      // Whoever comes at the moment in which another leaves must wait as well.
      if (done < 10) scans.push(client.scan(message, forever));
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
  const codeOf = (scan: Promise<{ readonly kind: string }>): Promise<string> =>
    scan.then(
      ({ kind }) => kind,
      ({ code }: { code: string }) => code,
    );
  const first = codeOf(client.scan(message, forever));
  await waitUntil(
    () => waiting.length === 1,
    () => 'no first scan',
  );
  const outcomes = Array.from({ length: limits.scannerQueue + 3 }, () => codeOf(client.scan(message, forever)));
  const codes = await Promise.all(outcomes);
  expect(codes.filter((code) => code === 'GATEWAY_OVERLOADED')).toHaveLength(3);
  expect(codes.filter((code) => code === 'GATEWAY_SCANNER_TIMEOUT')).toHaveLength(limits.scannerQueue);
  expect(await first).toBe('GATEWAY_SCANNER_TIMEOUT');
  // Its place is free again.
  const answering = setInterval(() => {
    for (const answer of waiting.splice(0)) answer();
  }, 5);
  expect(await codeOf(client.scan(message, forever))).toBe('clean');
  clearInterval(answering);
});
