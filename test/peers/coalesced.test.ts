import { connect as connectHttp2 } from 'node:http2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { type Http2Origin, startHttp2Origin } from '../support/http2-origin.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { talk } from '../support/raw-client.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { openTlsTunnel } from '../support/tunnel.ts';

/** All of one certificate, so that a client may ask for each over a connection to any. */
const names = [
  'lenient.example',
  'lenient-too.example',
  'more-lenient.example',
  'plain.example',
  'unasked.example',
  'insisting.example',
  'localhost',
];
let gateway: RunningGateway;
let port: number;
let origin: TestOrigin;
let h2Origin: Http2Origin;

beforeAll(async () => {
  const authority = await createTestAuthority();
  // One that lives for some days would need nobody to say that it is not revoked.
  const credentials = await authority.issue({ names, validForMs: 365 * 86_400_000 });
  origin = await startOrigin(credentials);
  h2Origin = await startHttp2Origin({ credentials });
  port = await freePort();
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem },
    config: {
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
      originExceptions: [
        { hosts: ['lenient.example', 'lenient-too.example'], allow: ['missing-eku'], reason: 'old device' },
        { hosts: ['more-lenient.example'], allow: ['missing-eku', 'suffix-wildcard'], reason: 'older device' },
      ],
      revocation: {
        overrides: [
          { hosts: ['unasked.example'], mode: 'off' },
          { hosts: ['insisting.example'], mode: 'hard-fail' },
        ],
      },
    },
  });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
  await h2Origin?.[Symbol.asyncDispose]();
});

const rows = [
  ['one that nothing is forgiven', 'lenient.example', 'plain.example', 421],
  ['the one that CONNECT names', 'lenient.example', 'localhost', 421],
  ['one that less is forgiven', 'more-lenient.example', 'lenient.example', 421],
  ['one that as much is forgiven', 'lenient.example', 'lenient-too.example', 200],
  ['one that more is forgiven', 'plain.example', 'more-lenient.example', 200],
  ['one whose revocation is asked about', 'unasked.example', 'plain.example', 421],
  ['one that must be known not to be revoked', 'plain.example', 'insisting.example', 421],
  ['one whose revocation is not asked about', 'plain.example', 'unasked.example', 200],
] as const;

describe('a request on a connection that was judged for another host', () => {
  it.each(rows)('to %s is answered for what policy says of its own (HTTP/1.1)', async (_, opened, asked, status) => {
    const target = `localhost:${origin.port}`;
    const path = `/${opened}/${asked}`;
    const before = origin.requests.length;
    const { text } = await talk(port, {
      before: `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`,
      until: '\r\n\r\n',
      tls: { servername: opened },
      say: `GET /first HTTP/1.1\r\nHost: ${opened}\r\n\r\nGET ${path} HTTP/1.1\r\nHost: ${asked}\r\nConnection: close\r\n\r\n`,
    });
    expect(text.match(/^HTTP\/1\.1 \d+/gm)).toEqual(['HTTP/1.1 200', `HTTP/1.1 ${status}`]);
    const seen = origin.requests.slice(before);
    expect(seen).toEqual(status === 200 ? ['GET /first', `GET ${path}`] : ['GET /first']);
  });

  it.each(rows)('to %s is answered for what policy says of its own (HTTP/2)', async (_, opened, asked, status) => {
    const target = `localhost:${h2Origin.port}`;
    const socket = await openTlsTunnel(port, target, {
      servername: opened,
      ALPNProtocols: ['h2'],
      rejectUnauthorized: false,
    });
    const session = connectHttp2(`https://${opened}`, { createConnection: () => socket });
    const answers: unknown[] = [];
    for (const authority of [opened, asked]) {
      const stream = session.request({ ':authority': authority, ':path': `/${opened}/${asked}` });
      answers.push(await new Promise((resolve) => stream.on('response', (head) => resolve(head[':status']))));
      stream.close();
    }
    session.destroy();
    expect(answers).toEqual([200, status]);
    const isSeen = h2Origin.requests.includes(`GET ${asked} /${opened}/${asked}`);
    expect(isSeen).toBe(status === 200);
  });
});
