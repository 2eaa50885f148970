import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext, type TLSSocket } from 'node:tls';
import { resetConnection } from '../../src/net/reset.ts';
import { clientHelloBytes } from './client-hello-bytes.ts';
import type { RawConnection } from './raw-origin.ts';
import { sleep } from './tcp.ts';

/** Whom a client that misbehaves meets. */
export interface Stage {
  readonly proxyPort: number;
  /** An origin that answers by `answerByPath`. */
  readonly originPort: number;
  /** An origin that breaks off before TLS is there. */
  readonly brokenPort: number;
}

const ok = 'HTTP/1.1 200 OK\r\n';
const whole = answerOf(2_000);
/** More than all buffers on the way of a client that does not read. */
const large = answerOf(4_000_000);

function answerOf(bodyBytes: number): Buffer {
  return Buffer.concat([Buffer.from(`${ok}Content-Length: ${bodyBytes}\r\n\r\n`), Buffer.alloc(bodyBytes, 'x')]);
}

/** What the origin of a stage answers: all of it, or something that it breaks off. */
export function answerByPath({ socket, transport }: RawConnection, request: string): void {
  const reset = (): void => resetConnection(transport, socket);
  if (request.includes(' /whole ')) socket.end(whole);
  else if (request.includes(' /large ')) socket.end(large);
  else if (request.includes(' /end ')) socket.end(`${ok}Content-Length: 100\r\n\r\nnot all of it`);
  else if (request.includes(' /reset ')) socket.write(`${ok}Content-Length: 100\r\n\r\nnot all`, reset);
  else if (request.includes(' /bad ')) socket.end(`${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`);
  else if (request.includes(' /silent ')) socket.on('end', () => socket.end());
  else reset();
}

/** The broken origin of a stage: it resets or ends at accept, or resets at the hello. */
export function breakOff(transport: Socket): void {
  const ways = [
    () => transport.resetAndDestroy(),
    () => transport.end(),
    () => transport.once('data', () => transport.resetAndDestroy()),
  ];
  ways[breaks++ % ways.length]?.();
}
let breaks = 0;

const hello = await clientHelloBytes({ servername: 'localhost' });
/** Made once: it costs more than the handshake. */
const secureContext = createSecureContext();

type Deed = (stage: Stage) => Promise<void>;

/** Ways to treat a gateway badly, each one connection; they resolve when it is over and never reject. */
export const misdeeds = {
  resetAtOnce: async (stage) => {
    const client = await open(stage);
    client.resetAndDestroy();
  },
  resetInProxyRequest: async (stage) => {
    const client = await open(stage);
    client.write('CONNECT loc', () => client.resetAndDestroy());
    await closed(client);
  },
  resetAfterConnect: async (stage) => {
    const client = await tunnel(stage);
    client.resetAndDestroy();
  },
  resetInHello: async (stage) => {
    const client = await tunnel(stage);
    client.write(hello.subarray(0, 300), () => client.resetAndDestroy());
    await closed(client);
  },
  resetInHandshake: async (stage) => {
    const client = await tunnel(stage);
    client.write(hello);
    client.once('data', () => client.resetAndDestroy());
    await closed(client);
  },
  resetInRequest: async (stage) => {
    const client = await secure(stage);
    client.write('GET /whole HT', () => reset(client));
    await closed(client);
  },
  resetInBody: async (stage) => {
    const client = await secure(stage);
    client.write(`POST /silent HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\nsome`, () => reset(client));
    await closed(client);
  },
  resetInResponse: async (stage) => {
    const client = await ask(stage, '/large');
    client.once('data', () => reset(client));
    await closed(client);
  },
  leaveInResponse: async (stage) => {
    const client = await ask(stage, '/large');
    client.once('data', () => client.destroy());
    await closed(client);
  },
  bothReset: async (stage) => {
    const client = await ask(stage, '/reset');
    await sleep(1);
    reset(client);
    await closed(client);
  },
  originEnds: (stage) => read(ask(stage, '/end')),
  originResets: (stage) => read(ask(stage, '/reset')),
  originResetsWithoutAnswer: (stage) => read(ask(stage, '/none')),
  originAmbiguous: (stage) => read(ask(stage, '/bad')),
  originBreaksOff: (stage) => read(secure({ ...stage, originPort: stage.brokenPort })),
  originNotThere: (stage) => read(secure({ ...stage, originPort: 1 })),
} as const satisfies Record<string, Deed>;

/** Slow or half-open, some of which end only with a time limit. */
export const lateness = {
  halfClosesAfterRequest: async (stage) => {
    const client = await ask(stage, '/whole');
    client.end();
    await read(Promise.resolve(client));
  },
  readsSlowly: async (stage) => {
    const client = await ask(stage, '/large');
    client.on('data', () => {
      client.pause();
      setTimeout(() => client.resume(), 1);
    });
    await closed(client);
  },
  neverSpeaks: async (stage) => read(open(stage)),
  neverSpeaksInTunnel: async (stage) => read(tunnel(stage)),
  neverFinishesRequest: async (stage) => {
    const client = await secure(stage);
    client.write('GET /whole HTTP/1.1\r\nHost');
    await read(Promise.resolve(client));
  },
  neverReads: async (stage) => {
    const client = await ask(stage, '/large');
    client.pause();
    // The gateway resets it, which a client that does not read learns only when it looks.
    await sleep(3_500);
    client.destroy();
  },
  neverAnswered: (stage) => read(ask(stage, '/silent')),
} as const satisfies Record<string, Deed>;

/** Performs one; whatever error it meets is part of it. */
export async function perform(deed: Deed, stage: Stage): Promise<void> {
  await deed(stage).catch(() => {});
}

/** A whole request by HTTPS; rejects when the answer is not whole. */
export async function fetchWhole(stage: Stage): Promise<void> {
  const client = await ask(stage, '/whole');
  let bytes = 0;
  client.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await closed(client);
  if (bytes < whole.length) throw new Error(`${bytes} bytes came`);
}

const patienceMs = 15_000;

async function open({ proxyPort }: Stage): Promise<Socket> {
  const client = connect({ port: proxyPort, host: '127.0.0.1', noDelay: true });
  await once(client, 'connect', { signal: AbortSignal.timeout(patienceMs) });
  client.on('error', () => {});
  return client;
}

async function tunnel(stage: Stage): Promise<Socket> {
  const client = await open(stage);
  client.write(`CONNECT localhost:${stage.originPort} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  const [answer] = (await once(client, 'data', { signal: AbortSignal.timeout(patienceMs) })) as [Buffer];
  if (answer.toString().startsWith('HTTP/1.1 200')) return client;
  client.destroy();
  throw new Error(answer.toString().split('\r\n', 1)[0]);
}

const transports = new WeakMap<TLSSocket, Socket>();

async function secure(stage: Stage): Promise<TLSSocket> {
  const transport = await tunnel(stage);
  const client = connectTls({
    socket: transport,
    secureContext,
    servername: 'localhost',
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  });
  transports.set(client, transport);
  await once(client, 'secureConnect', { signal: AbortSignal.timeout(patienceMs) });
  client.on('error', () => {});
  return client;
}

async function ask(stage: Stage, path: string): Promise<TLSSocket> {
  const client = await secure(stage);
  client.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  return client;
}

function reset(client: TLSSocket): void {
  const transport = transports.get(client);
  if (transport !== undefined) resetConnection(transport, client);
}

/** Reads to the end of the connection. */
async function read(opening: Promise<Socket>): Promise<void> {
  const client = await opening;
  client.resume();
  await closed(client);
}

async function closed(client: Socket): Promise<void> {
  if (client.closed) return;
  await once(client, 'close', { signal: AbortSignal.timeout(patienceMs) }).finally(() => client.destroy());
}
