import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runNet } from '../../src/control/net-command.ts';
import { createTestNetwork, type Host, netnsUnavailable, type TestNetwork } from '../support/netns.ts';
import { Sink } from '../support/sink.ts';

const gatewayProgram = fileURLToPath(new URL('../support/transparent-gateway.ts', import.meta.url));
const originProgram = fileURLToPath(new URL('../support/address-origin.ts', import.meta.url));
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** What the origin says of a connection. */
interface Sight {
  readonly sees: string;
  readonly port: number;
}

const uncapture = `nft flush ruleset; for family in -4 -6; do
  ip $family rule del fwmark 0x1/0x1 lookup 100; ip $family route flush table 100
done 2>/dev/null; true`;

describe.skipIf(netnsUnavailable !== undefined)('in network namespaces', () => {
  let network: TestNetwork;
  /** What the gateway has printed of connections since it was started. */
  let facts: readonly string[] = [];
  let program: ChildProcess | undefined;

  beforeAll(async () => {
    network = await createTestNetwork();
    await network.origin.start(/ready/, process.execPath, originProgram, '80', '443', '8000');
  });
  afterAll(() => network?.[Symbol.asyncDispose]());
  beforeEach(() => {
    facts = [];
  });
  afterEach(async () => {
    program?.kill('SIGKILL');
    program = undefined;
    await network.gateway.run('sh', '-c', uncapture);
  });

  /** The `net` command in the gateway. */
  const net = (...args: readonly string[]): Promise<string> =>
    network.gateway.run(process.execPath, main, 'net', ...args);

  /** Does what `daylight net up` prints, which takes a tenth of the time of running it. */
  async function captureBy(...options: readonly string[]): Promise<void> {
    const stdout = new Sink();
    await runNet(['up', '--dry-run', ...options], { stdout, stderr: new Sink(), env: {} });
    await network.gateway.run('sh', '-ec', stdout.text);
  }

  async function startGateway(...args: readonly string[]): Promise<void> {
    program = await network.gateway.start(/ready/, process.execPath, gatewayProgram, ...args);
    program.stdout?.on('data', (chunk: Buffer) => {
      facts = [...facts, ...chunk.toString().trim().split('\n')];
    });
  }

  /** Connects from a host and gives what the origin says. */
  async function ask(from: Host, ip: string, port: number, seconds = 5): Promise<Sight> {
    const read = `read -r -d '}' a < /dev/tcp/${ip}/${port} && echo "$a}"`;
    const answer = await from.run('timeout', String(seconds), 'bash', '-c', read);
    return JSON.parse(answer) as Sight;
  }

  const families = [
    { family: 'IPv4', pick: ({ ipv4 }: Host) => ipv4, seen: (ip: string) => `::ffff:${ip}`, wan: '10.91.2.1' },
    { family: 'IPv6', pick: ({ ipv6 }: Host) => ipv6, seen: (ip: string) => ip, wan: 'fd91:2::1' },
  ];

  describe.each(families)('$family', ({ pick, seen, wan }) => {
    const destination = (port: number): string =>
      JSON.stringify({ client: pick(network.client), destination: { ip: pick(network.origin), port } });

    it('reaches the origin unseen without capture', async () => {
      expect(await ask(network.client, pick(network.origin), 443)).toEqual({
        sees: seen(pick(network.client)),
        port: 443,
      });
    });

    it('is captured by REDIRECT with its original destination, by a gateway without privileges', async () => {
      await startGateway('redirect', '8443', 'unprivileged');
      await captureBy('--redirect-port', '8443', '--interface', 'lan0');
      expect(await ask(network.client, pick(network.origin), 443)).toEqual({ sees: seen(wan), port: 443 });
      expect(await ask(network.client, pick(network.origin), 80)).toEqual({ sees: seen(wan), port: 80 });
      await expect.poll(() => facts).toEqual([destination(443), destination(80)]);
      // Ports that are not captured go their own way.
      expect(await ask(network.client, pick(network.origin), 8000)).toMatchObject({ sees: seen(pick(network.client)) });
      expect(facts.length).toBe(2);
    });

    it('is captured by TPROXY with its destination kept', async () => {
      await startGateway('tproxy', '9443');
      await captureBy('--tproxy-port', '9443', '--interface', 'lan0');
      expect(await ask(network.client, pick(network.origin), 443)).toEqual({ sees: seen(wan), port: 443 });
      await expect.poll(() => facts).toEqual([destination(443)]);
      expect(await ask(network.client, pick(network.origin), 8000)).toMatchObject({ sees: seen(pick(network.client)) });
    });

    it('shows the origin the address of the client when it is spoofed', async () => {
      await startGateway('tproxy', '9443', 'spoof');
      await captureBy('--tproxy-port', '9443', '--from', '10.91.1.0/24,fd91:1::/64');
      const both = await Promise.all([443, 80].map((port) => ask(network.client, pick(network.origin), port)));
      expect(both.map(({ sees }) => sees)).toEqual([seen(pick(network.client)), seen(pick(network.client))]);
      await expect.poll(() => facts.toSorted()).toEqual([destination(443), destination(80)]);
    });

    it('is not captured when it comes from others than named', async () => {
      await startGateway('redirect', '8443');
      await captureBy('--redirect-port', '8443', '--from', '10.92.0.0/16,fd92::/16');
      expect(await ask(network.client, pick(network.origin), 443)).toMatchObject({ sees: seen(pick(network.client)) });
      expect(facts).toEqual([]);
    });

    it.each(['redirect', 'tproxy'])(
      'does not loop when a client connects to the port of %s itself',
      async (capture) => {
        await startGateway(capture, '8443');
        await captureBy(`--${capture}-port`, '8443', '--interface', 'lan0');
        await expect(ask(network.client, pick(network.gateway), 8443)).rejects.toThrow();
        const direct = { client: pick(network.client), destination: { ip: pick(network.gateway), port: 8443 } };
        await expect.poll(() => facts).toEqual([JSON.stringify(direct), '{"failure":"POLICY_LOOP"}']);
      },
    );

    it.each(['redirect', 'tproxy'])('does not pass uninspected while no gateway runs behind %s', async (capture) => {
      await captureBy(`--${capture}-port`, '8443', '--interface', 'lan0');
      // TPROXY for IPv4 drops, all others refuse.
      await expect(ask(network.client, pick(network.origin), 443, 1)).rejects.toMatchObject({
        code: expect.any(Number),
      });
    });

    it('captures programs of the gateway host, but not those of the user that is left alone', async () => {
      await startGateway('redirect', '8443');
      // The gateway runs as root here, so the others are those of `daemon`.
      await captureBy('--redirect-port', '8443', '--local', '--except-user', 'root');
      const probe = `read -r -d '}' a < /dev/tcp/${pick(network.origin)}/443`;
      await network.gateway.run('timeout', '5', 'setpriv', '--reuid=daemon', '--clear-groups', 'bash', '-c', probe);
      await expect
        .poll(() => facts)
        .toEqual([JSON.stringify({ client: wan, destination: { ip: pick(network.origin), port: 443 } })]);
      await ask(network.gateway, pick(network.origin), 443);
      expect(facts.length).toBe(1);
    });

    it('captures all programs of the gateway host, but not what the gateway marks', async () => {
      await startGateway('redirect', '8443', 'mark');
      await captureBy('--redirect-port', '8443', '--local', '--except-mark', '0x2');
      expect(await ask(network.gateway, pick(network.origin), 443)).toEqual({ sees: seen(wan), port: 443 });
      await expect.poll(() => facts.length).toBe(1);
    });
  });

  it('refuses QUIC on captured ports unless told not to', async () => {
    const quic = `
      const socket = require('dgram').createSocket('udp4').on('error', (e) => { console.log(e.code); process.exit(); });
      socket.connect(443, '${network.origin.ipv4}', () => socket.send('initial'));
      setTimeout(() => { console.log('silence'); process.exit(); }, 500);`;
    await network.origin.start(
      /ready/,
      process.execPath,
      '-e',
      `require('dgram').createSocket('udp4').bind(443, () => console.log('ready'))`,
    );
    const send = () => network.client.run(process.execPath, '-e', quic);
    await captureBy('--redirect-port', '8443', '--interface', 'lan0');
    expect(await send()).toBe('ECONNREFUSED\n');
    await captureBy('--redirect-port', '8443', '--interface', 'lan0', '--allow-quic');
    expect(await send()).toBe('silence\n');
  });

  describe('daylight net', () => {
    const rules = (): Promise<string> => {
      const lists = [
        'nft list ruleset',
        'ip -4 rule',
        'ip -6 rule',
        'ip -4 route show table all',
        'ip -6 route show table all',
      ];
      return network.gateway.run('sh', '-ec', lists.join('; '));
    };

    it('leaves nothing behind, whatever was up, and may be told so twice', async () => {
      const before = await rules();
      expect(before).not.toContain('daylight');
      for (const up of [
        ['--redirect-port', '8443', '--interface', 'lan0'],
        ['--tproxy-port', '9443', '--interface', 'lan0', '--from', '10.91.1.0/24'],
        ['--redirect-port', '8443', '--local', '--except-user', 'daemon', '--except-mark', '0x2'],
      ]) {
        await net('up', ...up);
        const once = await rules();
        await net('up', ...up);
        expect(await rules()).toBe(once);
        expect(once).not.toBe(before);
        await net('down');
        expect(await rules()).toBe(before);
      }
      await net('down');
      expect(await rules()).toBe(before);
      expect(await network.gateway.run('nft', 'list', 'ruleset')).toBe('');
    }, 90_000);

    it('replaces one capture by another, and leaves the rules of others alone', async () => {
      await network.gateway.run('nft', 'add', 'table', 'inet', 'other');
      const before = await rules();
      await net('up', '--tproxy-port', '9443', '--interface', 'lan0');
      await net('up', '--redirect-port', '8443', '--interface', 'lan0');
      const shown = await net('show');
      expect(shown).toContain('redirect to :8443');
      expect(shown).not.toContain('fwmark');
      await net('down');
      expect(await rules()).toBe(before);
      await network.gateway.run('nft', 'delete', 'table', 'inet', 'other');
    });

    it('keeps what was there when the new rules are refused', async () => {
      await net('up', '--redirect-port', '8443', '--interface', 'lan0');
      const before = await rules();
      const up = net('up', '--redirect-port', '8443', '--local', '--except-user', 'no-such-user');
      const stderr = 'daylight net: --except-user no-such-user: this host has no such user\n';
      await expect(up).rejects.toMatchObject({ code: 1, stderr });
      expect(await rules()).toBe(before);
    });

    it('leaves a routing rule of others alone that is about the whole mark', async () => {
      await network.gateway.run('ip', 'rule', 'add', 'fwmark', '0x1', 'lookup', '100');
      const before = await rules();
      expect(await net('show')).toBe('nothing is captured\n');
      await net('up', '--tproxy-port', '9443', '--interface', 'lan0');
      expect(await network.gateway.run('ip', 'rule')).toContain('fwmark 0x1/0x1 lookup 100');
      await net('down');
      expect(await rules()).toBe(before);
      await network.gateway.run('ip', 'rule', 'del', 'fwmark', '0x1', 'lookup', '100');
    });

    it('warns of what would pass by, or not get through', async () => {
      const warnings = (...options: readonly string[]): Promise<string> =>
        network.gateway.run('sh', '-c', '"$0" "$@" 2>&1 >/dev/null', process.execPath, main, 'net', 'up', ...options);
      expect(await warnings('--redirect-port', '8443', '--interface', 'lan0')).toBe('');
      expect(await warnings('--redirect-port', '8443', '--interface', 'lan0,typo0,wan*,none*')).toBe(
        ['typo0', 'none*']
          .map((name) => `daylight net: warning: there is no interface ${name} on this host yet\n`)
          .join(''),
      );
      expect(await warnings('--redirect-port', '8443', '--from', '10.91.1.0/24')).toContain('IPv6 passes by');
      await network.gateway.run('sysctl', '-qw', 'net.ipv6.conf.all.forwarding=0');
      expect(await warnings('--redirect-port', '8443', '--interface', 'lan0')).toContain('does not forward IPv6');
      await network.gateway.run('sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1');
    });

    it('shows what is active, and what would be without doing it', async () => {
      expect(await net('show')).toBe('nothing is captured\n');
      const options = ['--tproxy-port', '9443', '--interface', 'lan0'];
      const would = await net('show', '--dry-run', ...options);
      expect(would).toBe(await net('up', '--dry-run', ...options));
      expect(would).toContain('tproxy ip6 to :9443');
      expect(await net('show')).toBe('nothing is captured\n');
      // What is printed is what would be run.
      await network.gateway.run('sh', '-ec', would);
      expect(await net('show')).toContain('ip -6 rule fwmark 0x1/0x1 lookup 100');
    });

    it('says which privilege is missing', async () => {
      const { gateway } = network;
      const asNobody = ['setpriv', '--reuid=nobody', '--clear-groups'] as const;
      await expect(gateway.run(...asNobody, process.execPath, main, 'net', 'down')).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/run as root, or with CAP_NET_ADMIN/),
      });
    });
  });
});
