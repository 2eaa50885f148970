import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientHello, serverNames } from '../codec/hello-builder.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { createTestNetwork, type Host, netnsUnavailable, type TestNetwork } from '../support/netns.ts';
import { ocsfProblems } from '../support/ocsf.ts';
import { childrenOf } from '../support/processes.ts';
import { quicHello } from '../support/quic-initial.ts';
import {
  failureOf,
  gatewayField,
  isTransaction,
  type Line,
  labelOf,
  member,
  textOf,
} from '../support/record-fields.ts';
import { hasProgram, type Ran, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const originProgram = fileURLToPath(new URL('../support/transparent-origin.ts', import.meta.url));
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const canRun = netnsUnavailable === undefined && hasProgram('curl');

let network: TestNetwork;
let roots: string;
/** Files of the test's own: root and credentials of the origin. */
let directory: string;

beforeAll(async () => {
  if (!canRun) return;
  directory = mkdtempSync(join(tmpdir(), 'daylight-transparent-'));
  const authority = await createTestAuthority();
  roots = join(directory, 'roots.pem');
  writeFileSync(roots, authority.rootPem);
  network = await createTestNetwork();
  const { ipv4, ipv6 } = network.origin;
  const { cert, key } = await authority.issue({ names: ['origin.test', ipv4, ipv6] });
  const files = { cert: join(directory, 'origin.pem'), key: join(directory, 'origin.key') };
  writeFileSync(files.cert, cert);
  writeFileSync(files.key, key, { mode: 0o600 });
  await network.origin.start(/ready/, process.execPath, originProgram, files.cert, files.key);
  // A second client on the same wire, an asset that is not to be inspected; deprecated, so that none comes from it unasked.
  await network.client.run('ip', 'addr', 'add', '10.91.1.3/24', 'dev', 'eth0');
  await network.client.run('ip', 'addr', 'add', 'fd91:1::3/64', 'dev', 'eth0', 'nodad', 'preferred_lft', '0');
});
afterAll(async () => {
  await network?.[Symbol.asyncDispose]();
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

/** Sends a datagram to UDP 443 of an origin and prints what comes back. */
const quicClient = `
  const [datagram, origin, from] = process.argv.slice(1);
  const socket = require('dgram').createSocket(origin.includes(':') ? 'udp6' : 'udp4');
  const end = (text) => { console.log(text); process.exit(); };
  socket.on('error', (error) => end(error.code)).on('message', (answer) => end(answer.toString('hex')));
  socket.bind(0, from, () => socket.connect(443, origin, () => socket.send(Buffer.from(datagram, 'hex'))));
  setTimeout(() => end('silence'), 5000);`;

interface Family {
  readonly family: 4 | 6;
  readonly of: (host: Host) => string;
  readonly quietClient: string;
  /** What origins see of a connection that the gateway makes of its own. */
  readonly wan: string;
}
const families: readonly Family[] = [
  { family: 4, of: ({ ipv4 }) => ipv4, quietClient: '10.91.1.3', wan: '10.91.2.1' },
  { family: 6, of: ({ ipv6 }) => ipv6, quietClient: 'fd91:1::3', wan: 'fd91:2::1' },
];
const captures = [
  { capture: 'redirect', spoofClient: false },
  { capture: 'tproxy', spoofClient: false },
  { capture: 'tproxy', spoofClient: true },
] as const;

const bracketed = (ip: string): string => (ip.includes(':') ? `[${ip}]` : ip);

describe.runIf(canRun).each(captures)('a gateway with $capture, spoofClient $spoofClient', (listener) => {
  const port = 8443;
  let gateway: RunningGateway;
  let rulesBefore: string;

  const start = (earlier?: string): Promise<RunningGateway> =>
    startGateway({
      namespace: network.gateway.name,
      ...(earlier === undefined ? {} : { directory: earlier }),
      config: {
        listeners: [{ mode: 'transparent', listen: `[::]:${port}`, ...listener }],
        originTrust: { system: false, files: [roots] },
        timeouts: { drain: '2s' },
        assets: [
          { id: 'quiet', kind: 'cvm', addresses: ['10.91.1.3', 'fd91:1::3'], detect: false, quic: 'allow' },
          { id: 'lan', kind: 'cvm', addresses: ['10.91.1.0/24', 'fd91:1::/64'] },
        ],
      },
    });
  const net = (...args: readonly string[]) => network.gateway.run(process.execPath, main, 'net', ...args);
  /** All of the kernel's rules and routes but those of link-local addresses, which the kernel adds when it is ready. */
  const rules = (): Promise<string> => {
    const tables = ['nft list ruleset', 'ip -4 rule', 'ip -6 rule', 'ip -4 route show table all'];
    const all = [...tables, 'ip -6 route show table all'].join('; ');
    return network.gateway.run('sh', '-c', `{ ${all}; } | grep -v fe80:`);
  };
  const capture = () => net('up', '--config', gateway.configFile, '--interface', 'lan0', '--ports', '80,443,2525,8081');

  beforeAll(async () => {
    rulesBefore = await rules();
    gateway = await start();
    await capture();
  });
  afterAll(async () => {
    await network.gateway.run('sh', '-c', removeEverything);
    await gateway?.[Symbol.asyncDispose]();
  });

  const inClient = (command: string, ...args: readonly string[]): Promise<Ran> =>
    run('ip', ['netns', 'exec', network.client.name, command, ...args]);
  /** curl in the client's network, which knows of no gateway. */
  const curl = (family: Family, url: string, ...args: readonly string[]): Promise<Ran> => {
    const address = bracketed(family.of(network.origin));
    const pin = [443, 80, 8081].flatMap((at) => ['--resolve', `origin.test:${at}:${address}`]);
    return inClient('curl', '-sS', '--max-time', '10', '--noproxy', '*', ...pin, ...args, url);
  };
  const trustingUs = (): readonly string[] => ['--cacert', gateway.caFile];

  /** The first line that a test is looking for. */
  const recorded = async (wanted: (line: Line) => boolean): Promise<Line | undefined> =>
    (await gateway.waitForRecords('traffic', (lines) => lines.some(wanted))).find(wanted);
  const requestOf = (path: string) => (line: Line) => isTransaction(line) && textOf(line).includes(path);

  describe.each(families)('IPv$family', (family) => {
    /** Whom the origin must see. */
    const seen = (): string => {
      const ip = listener.spoofClient ? family.of(network.client) : family.wan;
      return family.family === 4 ? `::ffff:${ip}` : ip;
    };
    const path = (name: string): string => `/${name}-${family.family}`;

    it('inspects HTTP/2 without TLS, which its first bytes tell', async () => {
      const { stdout, stderr } = await curl(
        family,
        `http://origin.test:8081${path('clear')}`,
        '--http2-prior-knowledge',
        '-w',
        '%{http_version}',
      );
      expect({ stdout, stderr }).toEqual({
        stdout: `GET origin.test:8081${path('clear')} over 2.0\n2`,
        stderr: '',
      });
      const record = await recorded(requestOf(path('clear')));
      expect(gatewayField(record, 'protocol')).toBe('h2');
      expect(labelOf(record)).toBe('Plaintext');
    });

    it('refuses QUIC at once, and records who asked for what', async () => {
      const name = `quic-${family.family}-${listener.capture}.example`;
      const hello = quicHello(clientHello({ extensions: [serverNames(name)] }));
      // From an address of its own, or from that of the asset whose QUIC may pass: then the origin itself refuses.
      const ask = (from: string): Promise<Ran> =>
        inClient(process.execPath, '-e', quicClient, hello.toString('hex'), family.of(network.origin), from);
      expect((await ask(family.of(network.client))).stdout).toBe('c00000000000088394c8f03e5157081a2a3a4a\n');
      const line = await recorded((one) => member(one, 'dst_endpoint', 'hostname') === name);
      expect(ocsfProblems(line)).toEqual([]);
      expect(failureOf(line)).toBe('POLICY_QUIC_REFUSED');
      expect(line).toMatchObject({
        src_endpoint: { ip: family.of(network.client), uid: 'lan' },
        connection_info: { protocol_num: 17, protocol_name: 'udp' },
        tls: { sni: name },
      });
      expect((await ask(family.quietClient)).stdout).toBe('ECONNREFUSED\n');
    });

    it('inspects HTTPS that the client sends to the origin itself', async () => {
      const url = `https://origin.test${path('hello')}?q=1`;
      const { stdout, stderr } = await curl(family, url, ...trustingUs());
      expect({ stdout, stderr }).toEqual({
        stdout: `GET origin.test${path('hello')}?q=1 from ${seen()}\n`,
        stderr: '',
      });
      const line = await recorded(requestOf(path('hello')));
      expect(labelOf(line)).toBe('Decryption Detection');
      expect(line).toMatchObject({
        src_endpoint: { ip: family.of(network.client), uid: 'lan' },
        dst_endpoint: { ip: family.of(network.origin), port: 443 },
        connection_info: { protocol_ver_id: family.family },
        http_request: { url: { hostname: 'origin.test', path: path('hello'), query_string: 'q=1' } },
      });
      expect(gatewayField(line, 'via')).toBe(listener.capture);
      expect(gatewayField(line, 'decision_reason')).toBe('asset lan');
      expect(member(line, 'tls', 'certificate', 'issuer')).not.toBe(member(line, 'proxy_tls', 'certificate', 'issuer'));
      // The leaf is ours: the origin's own root does not vouch for it.
      expect(await curl(family, url, '--cacert', roots)).toMatchObject({ code: 60 });
    });

    it('verifies an origin by its address where the client names none', async () => {
      const url = `https://${bracketed(family.of(network.origin))}${path('by-address')}`;
      expect(await curl(family, url, ...trustingUs())).toMatchObject({ code: 0, stderr: '' });
      const line = await recorded(requestOf(path('by-address')));
      expect(member(line, 'tls', 'sni')).toBeUndefined();
      expect(labelOf(line)).toBe('Decryption Detection');
    });

    it('records plain HTTP', async () => {
      const { stdout } = await curl(family, `http://origin.test${path('plain')}`);
      expect(stdout).toBe(`GET origin.test${path('plain')} from ${seen()}\n`);
      const line = await recorded(requestOf(path('plain')));
      expect(labelOf(line)).toBe('Plaintext');
      expect(line).toMatchObject({ dst_endpoint: { ip: family.of(network.origin), port: 80 } });
    });

    it('passes an asset by that is not to be inspected, with the certificate of the origin', async () => {
      const from = ['--interface', family.quietClient];
      const url = `https://origin.test${path('unread')}`;
      expect(await curl(family, url, ...from, '--cacert', roots)).toMatchObject({ code: 0, stderr: '' });
      const line = await recorded((candidate) => member(candidate, 'src_endpoint', 'ip') === family.quietClient);
      expect(labelOf(line)).toBe('Bypass');
      expect(line).toMatchObject({ src_endpoint: { uid: 'quiet' }, tls: { sni: 'origin.test' } });
      expect(gatewayField(line, 'decision_reason')).toBe('asset quiet');
      expect(textOf(line ?? {})).not.toContain('unread');
    });

    it('lets a server speak first', async () => {
      const script = `exec 3<>/dev/tcp/${family.of(network.origin)}/2525; read -r hello <&3; echo "$hello"
        echo ping >&3; read -r pong <&3; echo "$pong"`;
      const { stdout } = await inClient('timeout', '10', 'bash', '-c', script);
      expect(stdout).toBe('READY to echo\nping\n');
      const ofFamily = (line: Line) => member(line, 'connection_info', 'protocol_ver_id') === family.family;
      const line = await recorded((each) => ofFamily(each) && member(each, 'dst_endpoint', 'port') === 2525);
      expect(line).toMatchObject({ class_uid: 4001, traffic: { bytes_out: 5 } });
      expect(gatewayField(line, 'decision')).toBe('intercept');
      expect(failureOf(line)).toBeUndefined();
    });

    it('refuses a client that connects to the capturing port itself', async () => {
      const address = family.of(network.gateway);
      const { code } = await curl(family, `http://${bracketed(address)}:${port}/`);
      expect([52, 56]).toContain(code);
      const isDirect = (line: Line): boolean => member(line, 'dst_endpoint', 'ip') === address;
      expect(failureOf(await recorded(isDirect))).toBe('POLICY_LOOP');
    });

    it('tells a client of a closed port by a TLS alert, and records the refusal', async () => {
      await network.origin.run('nft', 'add', 'table', 'inet', 'closed');
      await network.origin.run('sh', '-ec', closePort443);
      try {
        const { code } = await curl(family, `https://origin.test/`, ...trustingUs());
        expect(code).toBe(35);
        const line = await recorded(
          (each) =>
            failureOf(each) === 'ORIGIN_REFUSED' && member(each, 'dst_endpoint', 'ip') === family.of(network.origin),
        );
        expect(line).toMatchObject({ dst_endpoint: { port: 443 }, tls: { sni: 'origin.test' } });
      } finally {
        await network.origin.run('nft', 'delete', 'table', 'inet', 'closed');
      }
    });
  });

  it('survives the crash of a relay: only what it carried is lost', async () => {
    const [family] = families;
    if (family === undefined) return;
    const slow = curl(family, 'https://origin.test/slow', ...trustingUs());
    await new Promise((resolve) => setTimeout(resolve, 700));
    const [relay] = childrenOf(gateway.pid);
    process.kill(relay ?? 0, 'SIGKILL');
    // The cut download is seen as such, and a client that comes in between waits in the kernel for the next relay.
    const meanwhile = curl(family, 'https://origin.test/meanwhile', ...trustingUs());
    expect([18, 56]).toContain((await slow).code);
    expect(await meanwhile).toMatchObject({ code: 0, stderr: '' });
    expect(gateway.log()).toContain('GATEWAY_RELAY_CRASHED');
  });

  it('is stopped and started again under the rules: nothing passes uninspected meanwhile', async () => {
    const [family] = families;
    if (family === undefined) return;
    expect(await gateway.stop()).toBe(0);
    const refused = await curl(family, 'https://origin.test/', '--insecure', '--connect-timeout', '1');
    // TPROXY for IPv4 drops, REDIRECT refuses.
    expect([7, 28]).toContain(refused.code);
    gateway = await start(gateway.directory);
    expect(await curl(family, 'https://origin.test/again', ...trustingUs())).toMatchObject({ code: 0, stderr: '' });
    expect(labelOf(await recorded(requestOf('/again')))).toBe('Decryption Detection');
  });

  it('leaves nothing in the kernel after `net down`, and clients go their own way', async () => {
    const [family] = families;
    if (family === undefined) return;
    expect(await rules()).not.toBe(rulesBefore);
    await net('down');
    expect(await rules()).toBe(rulesBefore);
    const { stdout } = await curl(family, 'https://origin.test/direct', '--cacert', roots);
    expect(stdout).toBe(`GET origin.test/direct from ::ffff:${family.of(network.client)}\n`);
  });
});

/** Whatever a failed test has left. */
const removeEverything = `nft flush ruleset; for family in -4 -6; do
  ip $family rule del fwmark 0x1/0x1 lookup 100; ip $family route flush table 100
done 2>/dev/null; true`;

const closePort443 = `nft add chain inet closed in '{ type filter hook input priority 0; }'
nft add rule inet closed in tcp dport 443 reject with tcp reset`;
