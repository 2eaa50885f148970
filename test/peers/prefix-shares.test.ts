import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { freePort, startGateway } from '../support/gateway.ts';
import { createTestNetwork, netnsUnavailable } from '../support/netns.ts';
import { hasProgram } from '../support/run.ts';

const isPossible = netnsUnavailable === undefined && hasProgram('prlimit');

describe.runIf(isPossible)('a client that has an IPv6 prefix of its own', () => {
  it('gets the share of one client, whatever addresses of it it comes from', async () => {
    await using network = await createTestNetwork();
    const { gateway: host } = network;
    await host.run('sysctl', '-qw', 'net.ipv6.ip_nonlocal_bind=1');
    for (const prefix of ['fd92:1::/64', 'fd92:2::/64']) {
      await host.run('ip', '-6', 'route', 'add', 'local', prefix, 'dev', 'lo');
    }
    const ports = [await freePort(), await freePort()];
    const listeners = (count: number): object => ({
      listeners: ports.slice(0, count).map((port) => ({ mode: 'explicit', listen: `[::1]:${port}` })),
      originTrust: { system: true },
    });
    await using gateway = await startGateway({ config: listeners(1), namespace: host.name });
    // As in overload.test.ts: room for 72 flows, of which one client may have 54.
    execFileSync('prlimit', ['--pid', String(gateway.pid), '--nofile=400:400']);
    gateway.configure(listeners(2));
    gateway.process.kill('SIGHUP');
    await gateway.waitForLog(/"reloaded"/);
    const script = new URL('../support/prefix-clients.ts', import.meta.url).pathname;
    const seen = JSON.parse(
      await host.run(process.execPath, script, String(ports[0]), 'fd92:1::', 'fd92:2::', '100'),
    ) as unknown;
    expect(seen).toEqual({ open: 54, answer: expect.stringMatching(/^HTTP\/1\.1 5\d\d /) });
  });
});
