import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { failureOf, isFlow, member } from '../support/record-fields.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { openTunnel } from '../support/tunnel.ts';

let gateway: RunningGateway;
let origin: TestOrigin;
let port: number;

beforeAll(async () => {
  const authority = await createTestAuthority();
  origin = await startOrigin(await authority.issue({ names: ['localhost'] }));
  port = await freePort();
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem },
    config: {
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
    },
  });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
});

/** Handshake record of TLS 1.2 that begins with a message of this type. */
const clientKeyExchange = (record: Buffer): boolean => record[0] === 22 && record[5] === 16;
/** The first record behind ChangeCipherSpec: Finished, in either version. */
const finished = (() => {
  let isSealed = false;
  return {
    begin: () => {
      isSealed = false;
    },
    test: (record: Buffer): boolean => {
      const isIt = isSealed;
      isSealed = record[0] === 20;
      return isIt;
    },
  };
})();

it.each([
  ['key exchange', 'TLSv1.2', clientKeyExchange],
  ['Finished', 'TLSv1.2', finished.test],
  ['Finished', 'TLSv1.3', finished.test],
] as const)('a changed %s of a client ends its handshake with an alert (%s)', async (_what, version, isIt) => {
  finished.begin();
  const before = origin.requests.length;
  const socket = await openTunnel(port, `localhost:${origin.port}`);
  const clientPort = socket.localPort;
  const changing = changed(socket, isIt);
  const secure = connectTls({
    socket: changing.stream,
    servername: 'localhost',
    rejectUnauthorized: false,
    minVersion: version,
    maxVersion: version,
  });
  secure.on('secureConnect', () => secure.write('GET /changed HTTP/1.1\r\nHost: localhost\r\n\r\n'));
  let heard = '';
  secure.on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1');
  });
  const error = await new Promise<string>((resolve) => {
    secure.on('error', (cause: NodeJS.ErrnoException) => resolve(String(cause.code))).on('close', () => resolve('end'));
  });
  expect(changing.changes()).toBe(1);
  expect(error).toMatch(/ALERT_(?:BAD_RECORD_MAC|DECRYPT_ERROR|HANDSHAKE_FAILURE|ILLEGAL_PARAMETER|DECODE_ERROR)/);
  expect(heard).toBe('');
  const isTheirs = (line: Record<string, unknown>): boolean =>
    isFlow(line) && member(line, 'src_endpoint', 'port') === clientPort;
  const lines = await gateway.waitForRecords('traffic', (all) => all.some(isTheirs));
  expect(failureOf(lines.find(isTheirs))).toBe('CLIENT_HANDSHAKE_FAILED');
  expect(origin.requests.length).toBe(before);
});

/** The stream below a client's TLS: of the first record that is meant, one bit in the middle of its content is flipped. */
function changed(
  socket: Socket,
  isIt: (record: Buffer) => boolean,
): { readonly stream: Duplex; readonly changes: () => number } {
  let changes = 0;
  let pending = Buffer.alloc(0);
  const stream = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      pending = Buffer.concat([pending, chunk]);
      for (;;) {
        const end = pending.length < 5 ? Number.POSITIVE_INFINITY : 5 + pending.readUInt16BE(3);
        if (pending.length < end) break;
        const record = Buffer.from(pending.subarray(0, end));
        pending = pending.subarray(end);
        if (changes === 0 && isIt(record)) {
          changes += 1;
          const at = 5 + ((record.length - 5) >> 1);
          record[at] = (record[at] ?? 0) ^ 1;
        }
        socket.write(record);
      }
      done();
    },
    final(done) {
      socket.end();
      done();
    },
  });
  socket.on('data', (chunk: Buffer) => stream.push(chunk)).on('end', () => stream.push(null));
  socket.on('close', () => stream.destroy());
  socket.resume();
  return { stream, changes: () => changes };
}
