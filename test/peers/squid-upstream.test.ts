import { hostname } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { hasProgram, run } from '../support/run.ts';
import { type Squid, startSquid } from '../support/squid.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const here = hasProgram('squid') && hasProgram('curl');

let secure: TestOrigin;
let plain: TestOrigin;
let squid: Squid;
let gateway: RunningGateway;
const ports = { explicit: 0, admin: 0, packets: 0 };

beforeAll(async () => {
  if (!here) return;
  const authority = await createTestAuthority();
  secure = await startOrigin(await authority.issue({ names: ['localhost', '127.0.0.1'] }));
  plain = await startOrigin(undefined);
  squid = await startSquid();
  for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort();
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem },
    config: {
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${ports.explicit}` }],
      admin: { listen: `127.0.0.1:${ports.admin}` },
      export: { pcapOverIp: `127.0.0.1:${ports.packets}` },
      upstream: { proxy: `http://127.0.0.1:${squid.port}` },
    },
  });
}, 60_000);

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  for (const one of [squid, secure, plain]) await one?.[Symbol.asyncDispose]();
});

const curl = (scheme: 'http' | 'socks5h', ...args: readonly string[]) =>
  run('curl', [
    ...['-sS', '--max-time', '10', '--cacert', gateway.caFile, '--noproxy', ''],
    ...['--proxy', `${scheme}://127.0.0.1:${ports.explicit}`, ...args],
  ]);

describe.runIf(here)('through Squid on the same host', () => {
  it.each(['http', 'socks5h'] as const)('web passes, asked for by %s', async (scheme) => {
    const ran = await curl(scheme, `https://localhost:${secure.port}/s`, `http://localhost:${plain.port}/p`);
    const stdout = `GET localhost:${secure.port} /s 0\nGET localhost:${plain.port} /p 0\n`;
    expect(ran).toEqual({ code: 0, stdout, stderr: '' });
    // Squid writes a line when a tunnel ends.
    await expect.poll(() => squid.log()).toContain(`CONNECT localhost:${secure.port}`);
    await expect.poll(() => squid.log()).toContain(`CONNECT localhost:${plain.port}`);
  });

  it.each([
    ['the admin address', 'admin', 'POLICY_ADMIN_ADDRESS', '/health'],
    ['decrypted packets', 'packets', 'POLICY_LOOP', '/'],
    ['the listener', 'explicit', 'POLICY_LOOP', '/'],
  ] as const)('no name leads to %s', async (_what, name, code, path) => {
    // The host's own name leads to the loopback in some places, to a network in others.
    for (const host of ['localhost', 'LOCALHOST', 'localhost.', '127.0.0.1', '[::ffff:127.0.0.1]', hostname()]) {
      const { stdout } = await curl('http', `http://${host}:${ports[name]}${path}`);
      expect([host, stdout]).toEqual([host, expect.stringMatching(host === hostname() ? /POLICY_|ORIGIN_/ : code)]);
      const socks = await curl('socks5h', `http://${host}:${ports[name]}${path}`);
      expect(socks.code).toBe(97);
    }
    expect(squid.log()).not.toMatch(new RegExp(`CONNECT (?:localhost|127\\.0\\.0\\.1)\\.?:${ports[name]} `));
  });
});
