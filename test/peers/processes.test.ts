import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway, waitUntil } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { gatewayField, type Line, member } from '../support/record-fields.ts';

let gateway: RunningGateway;
let origin: TestOrigin;
let port: number;
let config: { listeners: object[]; relays: number; originTrust: object };

beforeEach(async () => {
  origin = await startOrigin(undefined);
  port = await freePort();
  config = {
    relays: 2,
    listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
    originTrust: { system: true },
  };
  gateway = await startGateway({ config });
});
afterEach(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
});

/** One request on its own connection; resolves with its status, or the error's code. */
function get(path = '/'): Promise<number | string> {
  return new Promise((resolve) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        path: `http://127.0.0.1:${origin.port}${path}`,
        headers: { host: `127.0.0.1:${origin.port}` },
        agent: false,
        timeout: 10_000,
      },
      (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
        response.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
      },
    );
    sent.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
    sent.end();
  });
}

function children(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => {
      try {
        return readFileSync(`/proc/${child}/stat`, 'utf8').split(') ')[1]?.split(' ')[1] === String(pid);
      } catch {
        return false;
      }
    });
}

describe.runIf(process.platform === 'linux')('the processes of a gateway', () => {
  it('refuse no connection while relays are killed, and start them again', async () => {
    const outcomes: (number | string)[] = [];
    let running = true;
    const load = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (running) outcomes.push(await get());
      }),
    );
    for (let kill = 0; kill < 3; kill += 1) {
      const [victim] = children(gateway.pid);
      if (victim !== undefined) process.kill(victim, 'SIGKILL');
      await waitUntil(() => (gateway.log().match(/GATEWAY_RELAY_CRASHED/g) ?? []).length > kill, gateway.log);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    const served = () => outcomes.filter((outcome) => outcome === 200).length;
    await waitUntil(
      () => served() > 20,
      () => JSON.stringify(outcomes),
    );
    running = false;
    await load;
    // What was under way in the killed relay is lost with it; nothing is refused.
    expect(outcomes.filter((outcome) => outcome === 'ECONNREFUSED')).toEqual([]);
    expect(outcomes.filter((outcome) => outcome !== 200).length).toBeLessThanOrEqual(3 * 4);
    await waitUntil(
      () => children(gateway.pid).length === 2,
      () => 'two relays should run again',
    );
  });

  it('keep the records of a relay that is killed, and say in them what may be missing', async () => {
    for (let index = 0; index < 20; index += 1) expect(await get(`/kept-${index}`)).toBe(200);
    await using silent = await startOrigin(undefined, () => {});
    const live = connect(port, '127.0.0.1').on('error', () => {});
    live.write(`GET http://127.0.0.1:${silent.port}/live HTTP/1.1\r\nHost: 127.0.0.1:${silent.port}\r\n\r\n`);
    await waitUntil(
      () => silent.requests.length === 1,
      () => 'no request',
    );
    // Relays report once a second how many flows are open, later where others have the processors.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(await get('/last')).toBe(200);
    // Nobody makes the relay write it: it does so by itself, in 10 ms where it gets the processor.
    await gateway.waitForRecords('traffic', (all) =>
      all.some((line) => member(line, 'http_request', 'url', 'path') === '/last'),
    );
    const sources = new Set(gateway.records('traffic').map((line) => member(line, 'metadata', 'log_source')));
    for (const relay of children(gateway.pid)) process.kill(relay, 'SIGKILL');
    const crashes = (lines: readonly Line[]) => lines.filter((line) => line.activity_name === 'Relay crashed');
    const lines = await gateway.waitForRecords('traffic', (all) => crashes(all).length === 2);
    for (const path of ['/last', ...Array.from({ length: 20 }, (_, index) => `/kept-${index}`)]) {
      const mine = lines.filter((line) => member(line, 'http_request', 'url', 'path') === path);
      expect(mine).toHaveLength(1);
    }
    const open = crashes(lines).map((line) => Number(gatewayField(line, 'open_flows')));
    expect(open.reduce((sum, flows) => sum + flows)).toBe(1);
    const crashed = crashes(lines).map((line) => gatewayField(line, 'crashed_source'));
    for (const source of sources) expect(crashed).toContain(source);
    expect(crashes(lines)[0]).toMatchObject({ status_code: 'GATEWAY_RELAY_CRASHED', status_detail: 'SIGKILL' });
    live.destroy();
  });

  it('record relays that were killed though those that stand in for them are killed as they start', async () => {
    expect(await get()).toBe(200);
    const isServed = (line: Line): boolean => member(line, 'http_request') !== undefined;
    const served = (await gateway.waitForRecords('traffic', (all) => all.some(isServed))).find(isServed);
    const killed = new Set<number>();
    // The first two served, the next two never did.
    while (killed.size < 4) {
      for (const relay of children(gateway.pid)
        .filter((pid) => !killed.has(pid))
        .slice(0, 4 - killed.size)) {
        process.kill(relay, 'SIGKILL');
        killed.add(relay);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const crashed = (lines: readonly Line[]) =>
      lines
        .filter((line) => line.activity_name === 'Relay crashed')
        .map((line) => gatewayField(line, 'crashed_source'));
    const lines = await gateway.waitForRecords('traffic', (all) => crashed(all).length === 2);
    expect(gateway.log()).toContain('a relay cannot start');
    expect(new Set(crashed(lines)).size).toBe(2);
    expect(crashed(lines)).toContain(member(served, 'metadata', 'log_source'));
  });

  it('record a relay that is killed while it lets its last flows end, and start none in its place', async () => {
    await using silent = await startOrigin(undefined, () => {});
    const [first, second] = [await freePort(), await freePort()];
    const one = { ...config, relays: 1, listeners: [{ mode: 'explicit', listen: `127.0.0.1:${first}` }] };
    await using running = await startGateway({ config: one });
    const relays = (): number[] => children(running.pid);
    const [old] = relays();
    if (old === undefined) throw new Error('no relay');
    const live = connect(first, '127.0.0.1').on('error', () => {});
    live.write(`GET http://127.0.0.1:${silent.port}/live HTTP/1.1\r\nHost: 127.0.0.1:${silent.port}\r\n\r\n`);
    await waitUntil(
      () => silent.requests.length === 1,
      () => 'no request',
    );
    running.configure({ ...one, listeners: [...one.listeners, { mode: 'explicit', listen: `127.0.0.1:${second}` }] });
    running.process.kill('SIGHUP');
    await waitUntil(() => running.log().includes('"reloaded"'), running.log);
    expect(relays()).toContain(old);
    // Relays report once a second how many flows are open, later where others have the processors.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    process.kill(old, 'SIGKILL');
    const isCrash = (line: Line): boolean => line.activity_name === 'Relay crashed';
    const crash = (await running.waitForRecords('traffic', (all) => all.some(isCrash))).find(isCrash);
    expect(gatewayField(crash, 'open_flows')).toBe(1);
    expect(running.log()).toContain('"a relay ended unexpectedly"');
    expect(relays()).toHaveLength(1);
    live.destroy();
  });

  it('let a live exchange end on SIGTERM, then exit with 0 and every record written', async () => {
    let release: () => void = () => {};
    await using slow = await startOrigin(undefined, (_request, response) => {
      response.write('first half ');
      release = () => response.end('second half');
    });
    const received: string[] = [];
    const client = connect(port, '127.0.0.1');
    client.on('data', (chunk) => received.push(chunk.toString()));
    client.write(`GET http://127.0.0.1:${slow.port}/slow HTTP/1.1\r\nHost: 127.0.0.1:${slow.port}\r\n\r\n`);
    await waitUntil(
      () => received.join('').includes('first half'),
      () => received.join(''),
    );
    const stopped = gateway.stop();
    await waitUntil(() => gateway.log().includes('stopping'), gateway.log);
    // A terminal's interrupt comes twice under npm, and is no second one.
    gateway.process.kill('SIGINT');
    await new Promise((resolve) => setTimeout(resolve, 300));
    release();
    expect(await stopped).toBe(0);
    expect(received.join('')).toContain('second half');
    const records = gateway.records('traffic');
    expect(records.some((record) => JSON.stringify(record).includes('/slow'))).toBe(true);
    const sequences = records.map((record) => (record.metadata as { sequence: number }).sequence).sort((a, b) => a - b);
    expect(sequences).toEqual(sequences.map((_, index) => index));
  });

  it('cut what is left at a second signal', async () => {
    await using silent = await startOrigin(undefined, () => {});
    const client = connect(port, '127.0.0.1').on('error', () => {});
    client.write(`GET http://127.0.0.1:${silent.port}/never HTTP/1.1\r\nHost: 127.0.0.1:${silent.port}\r\n\r\n`);
    await waitUntil(
      () => silent.requests.length === 1,
      () => 'no request',
    );
    const stopped = gateway.stop();
    await waitUntil(() => gateway.log().includes('stopping'), gateway.log);
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(client.destroyed).toBe(false);
    gateway.process.kill('SIGTERM');
    expect(await stopped).toBe(0);
    client.destroy();
  });

  it('reload on SIGHUP, all or nothing', async () => {
    gateway.configure({ ...config, refuse: [{ hosts: ['127.0.0.1'], reason: 'closed' }] });
    gateway.process.kill('SIGHUP');
    await gateway.waitForLog(/reloaded/);
    await waitUntil(
      () => true,
      () => '',
    );
    expect(await get()).toBe(403);
    gateway.configure({ ...config, refuse: [{ hosts: ['not a host!'], reason: 'broken' }], nonsense: true });
    gateway.process.kill('SIGHUP');
    await gateway.waitForLog(/reload failed/);
    expect(gateway.log()).toMatch(/daylight\.yaml:\d+:\d+: .*nonsense/);
    expect(await get()).toBe(403);
  });

  it('keep what they have when a file is emptied, as a full disk leaves it', async () => {
    const rules = join(gateway.directory, 'rules.yaml');
    const blocking = '- { id: t.path, title: t, action: block, when: { field: http.path, prefix: / } }\n';
    writeFileSync(rules, blocking);
    gateway.configure({ ...config, rules: { files: [rules] } });
    gateway.process.kill('SIGHUP');
    await gateway.waitForLog(/"msg":"reloaded"/);
    expect(await get()).toBe(403);
    writeFileSync(rules, '');
    gateway.process.kill('SIGHUP');
    await gateway.waitForLog(/rules\.yaml:1:1: is empty/);
    expect(await get()).toBe(403);
    writeFileSync(rules, blocking);
    writeFileSync(gateway.configFile, '');
    gateway.process.kill('SIGHUP');
    await gateway.waitForLog(/daylight\.yaml:1:1: is empty/);
    expect(await get()).toBe(403);
  });

  it('reload when the file changes', async () => {
    gateway.configure({ ...config, refuse: [{ hosts: ['127.0.0.1'], reason: 'closed' }] });
    await gateway.waitForLog(/reloaded/);
    expect(await get()).toBe(403);
  });

  it('open a listener that a reload adds, without refusing connections on the one that stays', async () => {
    const second = await freePort();
    const outcomes: (number | string)[] = [];
    let running = true;
    const load = (async () => {
      while (running) outcomes.push(await get());
    })();
    gateway.configure({
      ...config,
      listeners: [...config.listeners, { mode: 'explicit', listen: `127.0.0.1:${second}` }],
    });
    gateway.process.kill('SIGHUP');
    await gateway.waitForLog(/reloaded/);
    running = false;
    await load;
    expect(outcomes.every((outcome) => outcome === 200)).toBe(true);
    const client = connect(second, '127.0.0.1');
    await new Promise((resolve, reject) => client.once('connect', resolve).once('error', reject));
    client.destroy();
  });

  it('cost clients that keep their connections busy no request when a reload replaces relays', async () => {
    const errors: string[] = [];
    let [served, farewells, running] = [0, 0, true];
    const agents = Array.from({ length: 4 }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
    const fetch = (agent: Agent): Promise<void> =>
      new Promise((resolve) => {
        const to = { host: '127.0.0.1', port, path: `http://127.0.0.1:${origin.port}/`, agent };
        const sent = request({ ...to, headers: { host: `127.0.0.1:${origin.port}` } }, (response) => {
          served += 1;
          if (response.headers.connection === 'close') farewells += 1;
          response.resume().on('close', resolve);
        });
        sent.on('error', (error) => resolve(void errors.push(`${error} ${sent.reusedSocket}`))).end();
      });
    const load = Promise.all(
      agents.map(async (agent) => {
        while (running) await fetch(agent);
      }),
    );
    const silent = connect(port, '127.0.0.1').on('error', () => {});
    const silentEnds = new Promise((resolve) => silent.resume().on('end', resolve));
    for (const round of [1, 2]) {
      const more = { mode: 'explicit', listen: `127.0.0.1:${await freePort()}` };
      gateway.configure({ ...config, listeners: [...config.listeners, more] });
      gateway.process.kill('SIGHUP');
      await waitUntil(() => gateway.log().split('"reloaded"').length > round, gateway.log);
      await waitUntil(
        () => children(gateway.pid).length === 2,
        () => `${children(gateway.pid)}`,
      );
    }
    await silentEnds;
    const before = served;
    await waitUntil(
      () => served > before + 20,
      () => `${served}`,
    );
    running = false;
    await load;
    for (const agent of agents) agent.destroy();
    silent.destroy();
    expect(errors).toEqual([]);
    expect(farewells).toBe(8);
  }, 60_000);

  it('let flows end in relays that a reload replaces, but not in ever more of them', async () => {
    const held = new Map<string, () => void>();
    await using slow = await startOrigin(undefined, ({ url = '' }, response) => {
      response.write('first half ');
      held.set(url, () => response.end('second half'));
    });
    const own = { ...config, relays: 1, timeouts: { drain: '200ms' } };
    const listenersOf = (ports: readonly number[]) =>
      ports.map((one) => ({ mode: 'explicit', listen: `127.0.0.1:${one}` }));
    const ports = [await freePort()];
    await using running = await startGateway({ config: { ...own, listeners: listenersOf(ports) } });
    const reload = async (): Promise<void> => {
      ports.push(await freePort());
      running.configure({ ...own, listeners: listenersOf(ports) });
      running.process.kill('SIGHUP');
      await waitUntil(() => running.log().split('"reloaded"').length === ports.length, running.log);
    };
    const relays = (): number => children(running.process.pid ?? 0).length;
    const fetchSlowly = async (
      path: string,
    ): Promise<{ readonly body: () => string; readonly isOpen: () => boolean }> => {
      let [body, isOpen] = ['', true];
      const client = connect(ports[0] ?? 0, '127.0.0.1').on('error', () => {});
      client.on('data', (chunk) => {
        body += chunk.toString();
      });
      client.on('close', () => {
        isOpen = false;
      });
      client.write(`GET http://127.0.0.1:${slow.port}${path} HTTP/1.1\r\nHost: 127.0.0.1:${slow.port}\r\n\r\n`);
      await waitUntil(
        () => body.includes('first half'),
        () => body,
      );
      return { body: () => body, isOpen: () => isOpen };
    };

    const download = await fetchSlowly('/download');
    await reload();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect([download.isOpen(), relays()]).toEqual([true, 2]);
    held.get('/download')?.();
    await waitUntil(
      () => download.body().includes('second half') && relays() === 1,
      () => `${download.body()}, ${relays()} relays`,
    );

    const endless = await fetchSlowly('/endless');
    for (const _ of [1, 2, 3]) await reload();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect([endless.isOpen(), relays()]).toEqual([true, 2]);
    await reload();
    await waitUntil(
      () => !endless.isOpen() && relays() === 1,
      () => `${endless.isOpen()}, ${relays()} relays`,
    );
    const failed = running.records('traffic').filter((line) => line.status_code === 'GATEWAY_SHUTTING_DOWN');
    expect(JSON.stringify(failed)).toContain('/endless');
    expect(JSON.stringify(failed)).not.toContain('/download');
  }, 60_000);

  it('say which port is in use', async () => {
    await expect(startGateway({ config })).rejects.toThrow(/GATEWAY_PORT_IN_USE|in use/);
  });
});
