import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext, TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pemOf } from '../../src/pki/pem.ts';
import { casesOf } from '../../src/selftest/cases/all-cases.ts';
import { Farm, type FarmCredentials, farmAddress } from '../../src/selftest/farm.ts';
import type { OriginCase } from '../../src/selftest/origin-case.ts';
import { startDataPlane, type TestDataPlane } from '../support/data-plane.ts';
import { Typist } from '../support/mail-origin.ts';
import { listening } from '../support/tcp.ts';
import { openTunnel } from '../support/tunnel.ts';

/**
 * Origins of the self-test that are bad in their certificates, each as a server that does TLS at once (HTTPS, SMTPS, FTPS),
 * one of mail that does after STARTTLS, and one of files that does after AUTH TLS: nobody may be judged more kindly.
 */

const farm = new Farm({ gatewayCa: new Farm().root });
let plane: TestDataPlane;

beforeAll(async () => {
  plane = await startDataPlane({ originTrust: { rootsPem: [farm.trustedPem] } });
});
afterAll(() => plane?.[Symbol.asyncDispose]());

/** What an origin says in the clear before it does TLS, and when it does; what its client says to get there. */
interface Way {
  readonly greeting?: (host: string) => string;
  readonly answer: (line: string, host: string) => { readonly say: string; readonly tls?: boolean } | undefined;
  readonly lead: (typist: Typist) => Promise<void>;
  /** What the client says in TLS. */
  readonly say: string;
}

const ways: Readonly<Record<string, Way>> = {
  'TLS at once': {
    answer: () => undefined,
    lead: async () => {},
    say: 'GET / HTTP/1.1\r\nHost: good.selftest.invalid\r\n\r\n',
  },
  STARTTLS: {
    say: 'EHLO again\r\n',
    greeting: (host) => `220 ${host} ESMTP\r\n`,
    answer: (line, host) =>
      line.startsWith('EHLO')
        ? { say: `250-${host}\r\n250 STARTTLS\r\n` }
        : { say: '220 go\r\n', tls: line === 'STARTTLS' },
    async lead(typist) {
      await typist.hears(/^220 /);
      typist.say('EHLO me\r\n');
      await typist.hears(/250 STARTTLS\r\n/);
      typist.say('STARTTLS\r\n');
      await typist.hears(/^220 /);
    },
  },
  'AUTH TLS': {
    say: 'NOOP\r\n',
    greeting: () => '220 FTP ready\r\n',
    answer: (line) =>
      line.startsWith('SYST') ? { say: '215 UNIX Type: L8\r\n' } : { say: '234 go\r\n', tls: line === 'AUTH TLS' },
    async lead(typist) {
      await typist.hears(/^220 /);
      typist.say('SYST\r\n');
      await typist.hears(/^215 /);
      typist.say('AUTH TLS\r\n');
      await typist.hears(/^234 /);
    },
  },
};

interface Origin extends AsyncDisposable {
  readonly port: number;
  /** Bytes that arrived inside TLS. */
  readonly bytes: () => number;
}

async function openOrigin(way: Way, host: string, { certificates, key }: FarmCredentials): Promise<Origin> {
  const secureContext = createSecureContext({
    cert: certificates.map((der) => pemOf('CERTIFICATE', der)).join(''),
    key: key.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    ciphers: 'DEFAULT:@SECLEVEL=0',
  });
  let bytes = 0;
  const sockets = new Set<Socket>();
  const secure = (socket: Socket): void => {
    socket.removeAllListeners('data');
    new TLSSocket(socket, { isServer: true, secureContext })
      .on('error', () => {})
      .on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
  };
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    if (way.greeting === undefined) return secure(socket);
    socket.write(way.greeting(host));
    socket.on('data', (chunk) => {
      const said = way.answer(String(chunk).trimEnd(), host);
      if (said !== undefined) socket.write(said.say);
      if (said?.tls === true) secure(socket);
    });
  });
  return {
    port: await listening(server),
    bytes: () => bytes,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close').catch(() => {});
    },
  };
}

/** A client that would be served at any price. Gives the code of its flow, and what the origin got. */
async function visit(way: Way, host: string, credentials: FarmCredentials) {
  const origin = await openOrigin(way, host, credentials);
  const before = plane.flows.length;
  const socket = await openTunnel(plane.port, `${farmAddress}:${origin.port}`);
  const typist = new Typist(socket);
  // The session may be over before TLS is: a refusal in the clear.
  const isLed = await way.lead(typist).then(
    () => true,
    () => false,
  );
  if (isLed) {
    typist.leave();
    const client = connectTls({ socket, servername: host, rejectUnauthorized: false });
    client.on('secureConnect', () => client.write(way.say)).on('error', () => {});
    await expect.poll(() => client.destroyed || origin.bytes() > 0, { timeout: 10_000 }).toBe(true);
    client.destroy();
  }
  socket.destroy();
  await origin[Symbol.asyncDispose]();
  await expect.poll(() => plane.flows.length, { timeout: 10_000 }).toBe(before + 1);
  return { code: plane.flows[before]?.failure, bytes: origin.bytes() };
}

const badClasses: readonly string[] = ['chain', 'names', 'time', 'algorithms'];
const bad = casesOf(farm).flatMap((origin: OriginCase) => {
  if (!badClasses.includes(origin.class) || origin.host === farmAddress) return [];
  const setup = origin.open(farm);
  if (setup.kind !== 'tls' || setup.tamper !== undefined || setup.options !== undefined) return [];
  return setup.credentials === undefined ? [] : [{ origin, credentials: setup.credentials }];
});

describe.each(Object.entries(ways))('an origin with %s', (_what, way) => {
  it('is refused for its own fault and gets no byte, whatever is wrong with its certificate', {
    timeout: 120_000,
  }, async () => {
    const wrong: unknown[] = [];
    for (const { origin, credentials } of bad) {
      const { code, bytes } = await visit(way, origin.host, credentials);
      if (bytes > 0 || code === undefined || !origin.codes.includes(code)) wrong.push([origin.name, code, bytes]);
    }
    expect(wrong).toEqual([]);
    expect(bad.length).toBeGreaterThan(60);
    expect(plane.leafsIssued()).toBe(0);
  });
});

describe.each(Object.entries(ways))('a good origin with %s', (_what, way) => {
  it('gets what its client says', async () => {
    const { code, bytes } = await visit(way, 'good.selftest.invalid', farm.leaf());
    expect(bytes, code).toBeGreaterThan(0);
  });
});
