import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { type Nginx, startNginx } from '../support/nginx.ts';
import { hasProgram } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

/**
 * Who shares what at the origin: nginx tells of each request whether its TLS session was resumed, and the number of its
 * connection. It hands out tickets and keeps sessions, as most servers do.
 */

const versions = ['TLSv1.2', 'TLSv1.3'] as const;
type Version = (typeof versions)[number];

let nginx: Nginx;
let gateway: RunningGateway;
let port: number;
let rootPem: string;
let ca: string;

const available = hasProgram('nginx');
if (!available) console.warn('skipped: no nginx here');

describe.runIf(available)('TLS sessions and connections towards an origin', { timeout: 60_000 }, () => {
  beforeAll(async () => {
    const authority = await createTestAuthority();
    rootPem = authority.rootPem;
    const reports = 'return 200 "$ssl_session_reused $connection\\n";';
    const locations = `ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:kept:1m; location / { ${reports} }`;
    nginx = await startNginx(await authority.issue({ names: ['localhost'] }), locations, 'http2');
    port = await freePort();
    gateway = await startGateway({
      files: { 'roots.pem': rootPem },
      config: {
        relays: 2,
        listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
        originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      },
    });
    ca = readFileSync(gateway.caFile, 'utf8');
  });
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await nginx?.[Symbol.asyncDispose]();
  });

  it.each(versions)('would be resumed by a client that speaks to this origin itself (%s)', async (version) => {
    const straight = { version, at: nginx.port, trust: rootPem };
    const first = await visit({ ...straight, requests: 1 });
    const second = await visit({ ...straight, requests: 1, session: first.session });
    expect([...first.told, ...second.told].map(({ reuse }) => reuse)).toEqual(['.', 'r']);
  });

  it.each(versions)(
    'are never shared between clients: each has a session and a connection of its own (%s)',
    async (version) => {
      const visits: Visit[] = [];
      for (const from of ['127.0.0.11', '127.0.0.12', '127.0.0.11', '127.0.0.13']) {
        visits.push(await visit({ version, from, requests: 3 }));
      }
      visits.push(
        ...(await Promise.all(['127.0.0.14', '127.0.0.15'].map((from) => visit({ version, from, requests: 3 })))),
      );
      expectUnshared(visits, 3);
    },
  );

  it.each(versions)('are not had by a client that brings the ticket of another (%s)', async (version) => {
    const first = await visit({ version, from: '127.0.0.21', requests: 1 });
    const thief = await visit({ version, from: '127.0.0.22', requests: 1, session: first.session });
    // The ticket spares it a handshake with the gateway. The origin sees a stranger.
    expect(thief.resumed).toBe(true);
    expectUnshared([first, thief], 1);
  });

  it('are never shared in HTTP/2 either, however many streams a client opens', async () => {
    const visits = await Promise.all(['127.0.0.31', '127.0.0.32', '127.0.0.33'].map((from) => visitByHttp2(from, 5)));
    expectUnshared(visits, 5);
  });
});

interface Told {
  /** `r` where the session was resumed, `.` where it was not. */
  readonly reuse: string;
  readonly connection: string;
}
interface Visit {
  readonly told: readonly Told[];
  readonly resumed: boolean;
  readonly session: Buffer | undefined;
}

/** Every visit had one connection of its own, with a handshake in full. */
function expectUnshared(visits: readonly Visit[], requests: number): void {
  const connections = visits.map(({ told }) => new Set(told.map(({ connection }) => connection)));
  expect(visits.map(({ told }) => told.length)).toEqual(visits.map(() => requests));
  expect(connections.map(({ size }) => size)).toEqual(visits.map(() => 1));
  expect(new Set(connections.flatMap((each) => [...each])).size).toBe(visits.length);
  expect(new Set(visits.flatMap(({ told }) => told.map(({ reuse }) => reuse)))).toEqual(new Set(['.']));
}

interface Wishes {
  readonly version: Version;
  readonly requests: number;
  readonly from?: string;
  /** Where to connect to, and whom to trust there: the gateway unless given. */
  readonly at?: number;
  readonly trust?: string;
  readonly session?: Buffer | undefined;
}

async function visit({ version, requests, from, at, trust, session }: Wishes): Promise<Visit> {
  const transport = at === undefined ? await tunnel(from) : connect(at, '127.0.0.1');
  const socket = connectTls({
    socket: transport,
    servername: 'localhost',
    ca: trust ?? ca,
    minVersion: version,
    maxVersion: version,
    ALPNProtocols: ['http/1.1'],
    ...(session === undefined ? {} : { session }),
  });
  let kept: Buffer | undefined;
  socket.on('session', (made: Buffer) => {
    kept = made;
  });
  await once(socket, 'secureConnect');
  const told: Told[] = [];
  for (let index = 0; index < requests; index += 1) told.push(await ask(socket));
  await expect.poll(() => kept ?? session).toBeDefined();
  const resumed = socket.isSessionReused();
  socket.destroy();
  return { told, resumed, session: kept };
}

async function ask(socket: TLSSocket): Promise<Told> {
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  let heard = '';
  while (!/\r\n\r\n[.r] \d+\n/.test(heard)) heard += String((await once(socket, 'data'))[0]);
  return toldIn(heard);
}

async function visitByHttp2(from: string, requests: number): Promise<Visit> {
  const socket = connectTls({ socket: await tunnel(from), servername: 'localhost', ca, ALPNProtocols: ['h2'] });
  await once(socket, 'secureConnect');
  const session = connectHttp2('https://localhost', { createConnection: () => socket });
  const one = async (): Promise<Told> => {
    let heard = '';
    for await (const chunk of session.request({ ':path': '/' })) heard += String(chunk);
    return toldIn(heard);
  };
  const told = await Promise.all(Array.from({ length: requests }, one));
  session.destroy();
  return { told, resumed: socket.isSessionReused(), session: undefined };
}

async function tunnel(from = '127.0.0.1') {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from });
  socket.write(`CONNECT localhost:${nginx.port} HTTP/1.1\r\nHost: localhost:${nginx.port}\r\n\r\n`);
  const [answer] = await once(socket, 'data');
  expect(String(answer)).toMatch(/^HTTP\/1\.1 200 /);
  return socket;
}

function toldIn(heard: string): Told {
  const [, reuse = '', connection = ''] = /([.r]) (\d+)\n$/.exec(heard) ?? [];
  return { reuse, connection };
}
