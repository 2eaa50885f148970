import { execFileSync } from 'node:child_process';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
