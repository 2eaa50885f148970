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
      const ports = [await freePort(), await freePort()];
      const listeners = (count: number): object => ({
        listeners: ports.slice(0, count).map((port) => ({ mode: 'explicit', listen: `127.0.0.1:${port}` })),
        originTrust: { system: true },
      });
      await using gateway = await startGateway({ config: listeners(1) });
      // A relay has the limits that control has when it starts: room for 72 flows, of which one address may have 54.
      execFileSync('prlimit', ['--pid', String(gateway.pid), '--nofile=400:400']);
      gateway.configure(listeners(2));
      gateway.process.kill('SIGHUP');
      await gateway.waitForLog(/"reloaded"/);
      const open = new Set<Socket>();
      const from = async (localAddress: string): Promise<Socket> => {
        const socket = connect({ port: ports[0] ?? 0, host: '127.0.0.1', localAddress }).on('error', () => {});
        open.add(socket);
        socket.resume().once('close', () => open.delete(socket));
        await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
        return socket;
      };
      for (let index = 0; index < 100; index += 1) await from('127.0.0.1');
      await expect.poll(() => open.size).toBe(54);
      const host = `127.0.0.1:${plain.port}`;
      const other = await from('127.0.0.2');
      const answered = new Promise<string>((resolve) =>
        other.once('data', (bytes: Buffer) => resolve(bytes.toString())),
      );
      other.write(`GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      expect(await answered).toMatch(/^HTTP\/1\.1 200 /);
      for (const socket of open) socket.destroy();
    });
  },
);
