import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { FlowFailure } from '../../src/core/failures.ts';
import { hasSocketOptions } from '../../src/net/libc.ts';
import { acceptOn, closeListeningSocket, listeningAddress, openListeningSockets } from '../../src/net/listen.ts';
import { failureCode } from '../support/failure-code.ts';
import { listening, receiveAll, sleep } from '../support/tcp.ts';

const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));
const plain = { transparent: false };
const opened: number[] = [];

/** Opens sockets that are closed after the test. */
function open(ip: string, port: number, count: number): readonly number[] {
  const fds = openListeningSockets({ ip, port }, count, plain).map((fd) => {
    if (fd === undefined) throw new Error('no descriptor');
    return fd;
  });
  opened.push(...fds);
  return fds;
}

/** The failure that opening throws. */
function failure(ip: string, port: number): FlowFailure | undefined {
  try {
    for (const fd of openListeningSockets({ ip, port }, 1, plain)) if (fd !== undefined) opened.push(fd);
    return undefined;
  } catch (error) {
    if (error instanceof FlowFailure) return error;
    throw error;
  }
}

afterEach(() => {
  for (const fd of opened.splice(0)) closeListeningSocket(fd);
});

describe.skipIf(!hasSocketOptions)('listening sockets', () => {
  it('share a port among relays, and keep it when a relay crashes', async () => {
    const fds = open('127.0.0.1', 0, 2);
    const [first = 0, second = 0] = fds;
    const { port } = listeningAddress(first);
    expect(port).toBeGreaterThan(0);
    expect(listeningAddress(second)).toEqual({ ip: '127.0.0.1', port });
    const relays = await Promise.all(fds.map(startRelay));
    const answers = new Set<string>();
    for (let count = 0; count < 40 && answers.size < 2; count++) answers.add(await ask(port));
    expect(answers).toEqual(new Set(relays.map(({ pid }) => String(pid))));
    const exits = relays.map((relay) => once(relay, 'exit'));
    for (const relay of relays) relay.kill('SIGKILL');
    await Promise.all(exits);
    // Nobody accepts now, but nobody is refused: the connections wait for the next relays.
    const waiting = Array.from({ length: 10 }, () => ask(port));
    await sleep(100);
    const successors = await Promise.all(fds.map(startRelay));
    const served = new Set(await Promise.all(waiting));
    expect([...served].every((pid) => successors.some((relay) => String(relay.pid) === pid))).toBe(true);
    for (const relay of successors) relay.kill('SIGKILL');
  });

  it('are refused where another program listens, even one that shares its port', async () => {
    const other = createServer();
    const port = await listening(other);
    expect(failure('127.0.0.1', port)).toMatchObject({
      code: 'GATEWAY_PORT_IN_USE',
      detail: `127.0.0.1:${port}: EADDRINUSE`,
    });
    expect(failure('0.0.0.0', port)?.code).toBe('GATEWAY_PORT_IN_USE');
    if (hasIpv6) expect(failure('::', port)?.code).toBe('GATEWAY_PORT_IN_USE');
    expect(failure('127.0.0.2', port)).toBeUndefined();
    other.close();
    const [shared = 0] = open('127.0.0.1', 0, 1);
    expect(failure('127.0.0.1', listeningAddress(shared).port)?.code).toBe('GATEWAY_PORT_IN_USE');
  });

  it('are free again while connections of the last run wind down', async () => {
    const [fd = 0] = open('127.0.0.1', 0, 1);
    const { port } = listeningAddress(fd);
    const server = createServer((socket) => socket.end('bye'));
    await acceptOn(server, { ip: '127.0.0.1', port }, fd);
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    expect((await receiveAll(client)).toString()).toBe('bye');
    server.close();
    closeListeningSocket(opened.pop() ?? -1);
    expect(failure('127.0.0.1', port)).toBeUndefined();
    client.destroy();
  });

  it('tell a denied address from a used one', () => {
    expect(failure('192.0.2.1', 8080)).toMatchObject({
      code: 'GATEWAY_LISTEN_DENIED',
      detail: '192.0.2.1:8080: EADDRNOTAVAIL',
    });
    if (process.getuid?.() !== 0) expect(failure('127.0.0.1', 80)?.code).toBe('GATEWAY_LISTEN_DENIED');
  });

  it.skipIf(!hasIpv6)('take IPv4 on `::`, and are alone on any other IPv6 address', async () => {
    const [dual = 0] = open('::', 0, 1);
    const { port } = listeningAddress(dual);
    const server = createServer((socket) => socket.end(socket.remoteAddress ?? 'gone'));
    await acceptOn(server, { ip: '::', port }, dual);
    expect(await ask(port, '127.0.0.1')).toBe('::ffff:127.0.0.1');
    expect(isIPv6(await ask(port, '::1'))).toBe(true);
    server.close();
    const [single = 0] = open('::1', 0, 1);
    expect(failure('127.0.0.1', listeningAddress(single).port)).toBeUndefined();
  });

  it('leave no descriptor open when one of them fails', async () => {
    const other = createServer();
    const port = await listening(other);
    const [before = 0] = open('127.0.0.1', 0, 1);
    for (let count = 0; count < 20; count++) expect(failure('127.0.0.1', port)?.code).toBe('GATEWAY_PORT_IN_USE');
    const [after = 0] = open('127.0.0.1', 0, 1);
    expect(after - before).toBeLessThan(5);
    other.close();
  });
});

describe('acceptOn', () => {
  it('listens by address where there is no descriptor, with the same failures', async () => {
    const other = createServer();
    const port = await listening(other);
    const server = createServer();
    expect(await failureCode(acceptOn(server, { ip: '127.0.0.1', port }, undefined))).toBe('GATEWAY_PORT_IN_USE');
    other.close();
    await once(other, 'close');
    await acceptOn(server, { ip: '127.0.0.1', port }, undefined);
    expect(server.listening).toBe(true);
    server.close();
  });
});

/** A process that inherits a listening socket as descriptor 3 and answers with its process id. */
async function startRelay(fd: number): Promise<ChildProcess> {
  const script = `require('net').createServer((s) => s.end(String(process.pid))).listen({ fd: 3 }, () => console.log('up'))`;
  const relay = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit', fd] });
  if (relay.stdout !== null) await once(relay.stdout, 'data');
  return relay;
}

async function ask(port: number, host = '127.0.0.1'): Promise<string> {
  return (await receiveAll(connect({ port, host }))).toString();
}
