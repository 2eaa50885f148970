import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { runNet } from '../../src/control/net-command.ts';
import { failureCode } from '../support/failure-code.ts';
import { Sink } from '../support/sink.ts';

const directory = mkdtempSync(join(tmpdir(), 'daylight-net-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** Runs the command; `up` is always dry, so that no test changes this machine. */
async function net(...args: readonly string[]): Promise<{ code: number; out: string; error: string }> {
  const [stdout, stderr] = [new Sink(), new Sink()];
  const code = await runNet([...args, ...(args[0] === 'up' ? ['--dry-run'] : [])], { stdout, stderr, env: {} });
  return { code, out: stdout.text, error: stderr.text };
}

let written = 0;
/** Writes a configuration with these listeners and gives its path. */
function config(...listeners: readonly string[]): string {
  const file = join(directory, `${++written}.yaml`);
  writeFileSync(file, `listeners:\n${listeners.map((listener) => `  - { ${listener} }\n`).join('')}`);
  return file;
}

describe('daylight net', () => {
  it('explains itself', async () => {
    const { code, out } = await net('--help');
    expect(code).toBe(0);
    expect(out).toContain('daylight net down');
  });

  it.each([
    [[], /say up, down or show/],
    [['sideways'], /unknown action "sideways"/],
    [['up', 'down'], /unexpected argument "down"/],
    [['up', '--redirect-port', '8443'], /say whose traffic: --from, --interface or --local/],
    [['up', '--redirect-port', '0', '--from', '10.0.0.0/8'], /"0" is not a port/],
    [['up', '--redirect-port', '1', '--tproxy-port', '2', '--from', '10.0.0.0/8'], /exclude each other/],
    [['up', '--redirect-port', '1', '--config', 'x', '--from', '10.0.0.0/8'], /takes the place of --config/],
    [['up', '--redirect-port', '1', '--from', '10.1.0.0/8'], /bits set beyond \/8: write "10.0.0.0\/8"/],
    [['up', '--redirect-port', '1', '--from', '10.0.0.0/33'], /--from 10.0.0.0\/33: not a block/],
    [['up', '--redirect-port', '1', '--from', 'fd00::/8 accept'], /not a block/],
    [['up', '--redirect-port', '1', '--interface', 'a" accept'], /not the name of an interface/],
    [['up', '--redirect-port', '1', '--interface', 'lan0', '--ports', '443,x'], /"x" is not a port/],
    [['up', '--redirect-port', '1', '--interface', 'lan0', '--ports', ''], /"" is not a port/],
    [['up', '--redirect-port', '1', '--local'], /capture its own connections/],
    [['up', '--redirect-port', '1', '--local', '--except-user', 'x"; drop'], /not the name or number of a user/],
    [['up', '--redirect-port', '1', '--local', '--except-mark', '0'], /not a mark/],
    [['up', '--redirect-port', '1', '--interface', 'lan0', '--except-user', 'x'], /go with --local/],
    [['up', '--tproxy-port', '1', '--local', '--except-user', 'x'], /TPROXY takes forwarded traffic only/],
    [['up', '--capture', 'both', '--interface', 'lan0'], /--capture is redirect or tproxy/],
  ])('refuses %j', async (args, reason) => {
    const { code, out, error } = await net(...args);
    expect([code, out]).toEqual([2, '']);
    expect(error).toMatch(reason);
    expect(error).toContain('More: daylight net --help');
  });

  it('takes the listeners from the configuration', async () => {
    const file = config(
      'mode: explicit, listen: "127.0.0.1:8080"',
      'mode: transparent, listen: "0.0.0.0:8443", capture: redirect',
      'mode: transparent, listen: "[::]:8446", capture: redirect',
    );
    const { code, out } = await net('up', '--config', file, '--interface', 'lan0', '--ports', '443, 465');
    expect(code).toBe(0);
    expect(out).toContain('iifname { "lan0" } meta nfproto ipv4 tcp dport { 443, 465 } redirect to :8443');
    expect(out).toContain('iifname { "lan0" } meta nfproto ipv6 tcp dport { 443, 465 } redirect to :8446');
  });

  it('uses a listener on [::] for IPv4 too, and warns when IPv6 passes by', async () => {
    const dual = config('mode: transparent, listen: "[::]:9443", capture: tproxy');
    const { out } = await net('up', '--config', dual, '--interface', 'lan0');
    expect(out).toContain('tproxy ip to :9443');
    expect(out).toContain('tproxy ip6 to :9443');
    const single = config('mode: transparent, listen: "0.0.0.0:9443", capture: tproxy');
    const { out: only4, error } = await net('up', '--config', single, '--interface', 'lan0');
    expect(only4).not.toContain('ip6');
    expect(error).toContain('IPv6 passes by');
  });

  it('asks which kind when the configuration has both', async () => {
    const both = config(
      'mode: transparent, listen: "[::]:8443", capture: redirect',
      'mode: transparent, listen: "[::]:9443", capture: tproxy',
    );
    expect((await net('up', '--config', both, '--interface', 'lan0')).error).toContain('choose with --capture');
    const chosen = await net('up', '--config', both, '--interface', 'lan0', '--capture', 'tproxy');
    expect(chosen.out).toContain('tproxy ip to :9443');
  });

  it('tells listeners that can get nothing, or not all', async () => {
    const loopback = config('mode: transparent, listen: "127.0.0.1:8443", capture: redirect');
    expect((await net('up', '--config', loopback, '--interface', 'lan0')).error).toContain(
      'gets no forwarded connection',
    );
    const local = await net('up', '--config', loopback, '--local', '--except-user', 'daylight');
    expect(local.code).toBe(0);
    const narrow = config('mode: transparent, listen: "192.0.2.1:8443", capture: redirect');
    expect((await net('up', '--config', narrow, '--interface', 'lan0')).error).toContain('192.0.2.1 gets only what');
    const anyPort = config('mode: transparent, listen: "0.0.0.0:0", capture: redirect');
    expect((await net('up', '--config', anyPort, '--interface', 'lan0')).error).toContain('name one');
    const none = config('mode: explicit, listen: "127.0.0.1:8080"');
    const { code, error } = await net('up', '--config', none, '--interface', 'lan0');
    expect([code, error]).toEqual([2, expect.stringContaining('has no transparent listener')]);
  });

  it('names what is wrong with the configuration', async () => {
    const run = runNet(['up', '--config', config('mode: sideways'), '--interface', 'lan0'], {
      stdout: new Sink(),
      stderr: new Sink(),
      env: {},
    });
    expect(await failureCode(run)).toBe('GATEWAY_CONFIG_INVALID');
  });
});
