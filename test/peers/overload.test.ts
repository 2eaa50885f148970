import { execFileSync } from 'node:child_process';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, startGateway } from '../support/gateway.ts';
import { type HostileGround, openHostileGround } from '../support/hostile-ground.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { childrenOf, openDescriptors } from '../support/processes.ts';
import { hasProgram } from '../support/run.ts';
import { sleep } from '../support/tcp.ts';

let ground: HostileGround;
let plain: TestOrigin;

beforeAll(async () => {
  ground = await openHostileGround();
  plain = await startOrigin(undefined);
});
afterAll(async () => {
  await ground?.[Symbol.asyncDispose]();
  await plain?.[Symbol.asyncDispose]();
});

const relayOf = (): number => childrenOf(ground.gateway.pid)[0] ?? 0;

/** Requests over one connection of the client, to one origin. */
function requester(): { get: () => Promise<number | string>; agent: Agent } {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const host = `127.0.0.1:${plain.port}`;
  const get = (): Promise<number | string> =>
    new Promise((resolve) => {
      const wishes = { host: '127.0.0.1', port: ground.port, path: `http://${host}/`, headers: { host }, agent };
      const sent = request(wishes, (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0));
      });
      sent.on('error', (error) => resolve(error.message)).end();
    });
  return { get, agent };
}

describe.runIf(process.platform === 'linux' && hasProgram('prlimit'))('a relay without descriptors left', () => {
  it('serves whom it has, turns others away, and takes new ones when there are some again', async () => {
    const relay = relayOf();
    const { get, agent } = requester();
    expect(await get()).toBe(200);
    await ground.steady.stop();
    const most = openDescriptors(relay).length + 8;
    execFileSync('prlimit', ['--pid', String(relay), `--nofile=${most}:${most}`]);
    const crowd: Socket[] = Array.from({ length: 60 }, () => connect(ground.port, '127.0.0.1').on('error', () => {}));
    const closed = Promise.all(crowd.map((each) => new Promise((resolve) => each.resume().once('close', resolve))));
    // Longer than a report of metrics, which reads /proc.
    for (let round = 0; round < 15; round += 1) {
      expect(await get()).toBe(200);
      await sleep(100);
    }
    // The opening limit ends those that were taken in, the others were turned away at once.
    await closed;
    await expect.poll(() => requester().get(), { timeout: 10_000 }).toBe(200);
    agent.destroy();
    expect(relayOf()).toBe(relay);
    expect(ground.gateway.log()).not.toContain('GATEWAY_RELAY_CRASHED');
  });
});

describe.runIf(process.platform === 'linux' && hasProgram('prlimit'))(
  'a client that opens ever more connections',
  () => {
    it('leaves a quarter of what a relay has room for to others', async () => {
      await using crowd = await smallRelay({});
      for (let index = 0; index < 100; index += 1) await crowd.from('127.0.0.1');
      await expect.poll(() => crowd.open.size).toBe(54);
      expect(await crowd.ask('127.0.0.2')).toMatch(/^HTTP\/1\.1 200 /);
    });

    it('leaves it to others where a balancer might come, and it is none', async () => {
      await using crowd = await smallRelay({ proxyProtocol: 'accept', trustedProxies: ['192.0.2.0/24'] });
      for (let index = 0; index < 100; index += 1) await crowd.from('127.0.0.1', 'PROX');
      await expect.poll(() => crowd.open.size).toBe(54);
      expect(await crowd.ask('127.0.0.2')).toMatch(/^HTTP\/1\.1 200 /);
    });

    it('leaves it to others behind a balancer too, and has no more with all addresses of its IPv6 network', async () => {
      await using crowd = await smallRelay({ proxyProtocol: 'require', trustedProxies: ['127.0.0.1/32'] });
      const header = (ip: string): string => `PROXY TCP6 ${ip} 2001:db8::1 1024 8080\r\n`;
      for (let index = 1; index <= 100; index += 1) await crowd.from('127.0.0.1', header(`2001:db8:1:2::${index}`));
      await expect.poll(() => crowd.open.size).toBe(54);
      expect(await crowd.ask('127.0.0.1', header('2001:db8:1:3::1'))).toMatch(/^HTTP\/1\.1 200 /);
    });
  },
);

/** A gateway whose relay has room for 72 flows, of which one client may have 54. */
async function smallRelay(listener: object) {
  const ports = [await freePort(), await freePort()];
  const listeners = (count: number): object => ({
    listeners: ports.slice(0, count).map((port) => ({ mode: 'explicit', listen: `127.0.0.1:${port}`, ...listener })),
    originTrust: { system: true },
  });
  const gateway = await startGateway({ config: listeners(1) });
  // A relay has the limits that control has when it starts.
  execFileSync('prlimit', ['--pid', String(gateway.pid), '--nofile=400:400']);
  gateway.configure(listeners(2));
  gateway.process.kill('SIGHUP');
  await gateway.waitForLog(/"reloaded"/);
  const open = new Set<Socket>();
  const from = async (localAddress: string, first = ''): Promise<Socket> => {
    const socket = connect({ port: ports[0] ?? 0, host: '127.0.0.1', localAddress }).on('error', () => {});
    open.add(socket);
    socket.resume().once('close', () => open.delete(socket));
    await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
    if (first !== '') socket.write(first);
    return socket;
  };
  return {
    open,
    from,
    async ask(localAddress: string, first = ''): Promise<string> {
      const host = `127.0.0.1:${plain.port}`;
      const socket = await from(localAddress, first);
      const answered = new Promise<string>((resolve) => {
        socket.once('data', (bytes: Buffer) => resolve(bytes.toString())).once('close', () => resolve('closed'));
      });
      socket.write(`GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      return answered;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await gateway[Symbol.asyncDispose]();
    },
  };
}
