import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { createTestNetwork, type Host, netnsUnavailable, type TestNetwork } from '../support/netns.ts';
import { type RunningPostfix, startPostfix } from '../support/postfix.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const canRun = netnsUnavailable === undefined && hasProgram('postfix') && hasProgram('curl');
const removeEverything =
  'nft flush ruleset; ip rule del fwmark 0x1 2>/dev/null; ip -6 rule del fwmark 0x1 2>/dev/null; true';

/** A client and a Postfix in networks of their own: capture knows the address of the origin and no name. */
describe.runIf(canRun)('mail through transparent capture', () => {
  let network: TestNetwork;
  let authority: TestAuthority;
  let postfix: RunningPostfix;
  let gateway: RunningGateway;

  beforeAll(async () => {
    network = await createTestNetwork();
    authority = await createTestAuthority();
    postfix = await startPostfix({
      credentials: await authority.issue({ names: ['mx.example.test'] }),
      namespace: network.origin.name,
    });
    const listener = (port: number, kind: string, more: object = {}) => ({
      mode: 'transparent',
      listen: `[::]:${port}`,
      capture: kind,
      ...more,
    });
    gateway = await startGateway({
      namespace: network.gateway.name,
      files: { 'root.pem': authority.rootPem },
      config: {
        listeners: [
          listener(8443, 'redirect'),
          listener(9443, 'tproxy'),
          listener(9444, 'tproxy', { spoofClient: true }),
        ],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
        timeouts: { drain: '2s' },
      },
    });
  }, 60_000);
  afterAll(async () => {
    await network?.gateway.run('sh', '-c', removeEverything);
    await gateway?.[Symbol.asyncDispose]();
    await postfix?.[Symbol.asyncDispose]();
    await network?.[Symbol.asyncDispose]();
  });

  const capture = async (option: string, port: number): Promise<void> => {
    await network.gateway.run('sh', '-c', removeEverything);
    const ports = `${postfix.port},${postfix.tlsPort}`;
    const up = ['net', 'up', `--${option}-port`, String(port), '--interface', 'lan0', '--ports', ports];
    await network.gateway.run(process.execPath, main, ...up);
  };
  const inClient = (command: string, args: readonly string[], input = '') =>
    run('ip', ['netns', 'exec', network.client.name, command, ...args], { input, timeoutMs: 30_000 });
  const send = (ip: string, url: string, name: string, text: string, ...args: readonly string[]) => {
    const mail = ['--mail-from', 'b@c.test', '--mail-rcpt', 'a@example.test', '-T', '-', '--max-time', '20'];
    const pin = [postfix.port, postfix.tlsPort].flatMap((at) => ['--resolve', `${name}:${at}:${ip}`]);
    const command = ['-sS', '--cacert', gateway.caFile, ...pin, ...args, url, ...mail];
    return inClient('curl', command, `Subject: x\r\n\r\n${text}\r\n`);
  };
  const mark = () => `mark-${randomBytes(6).toString('hex')}`;
  const arrives = async (text: string): Promise<string> => {
    await expect.poll(() => postfix.mails().some((mail) => mail.includes(text)), { timeout: 15_000 }).toBe(true);
    return postfix.mails().find((mail) => mail.includes(text)) ?? '';
  };

  const families = [
    { family: 'IPv4', pick: ({ ipv4 }: Host) => ipv4 },
    { family: 'IPv6', pick: ({ ipv6 }: Host) => ipv6 },
  ] as const;
  const captures = [
    { kind: 'redirect', option: 'redirect', port: 8443, isSpoofed: false },
    { kind: 'tproxy', option: 'tproxy', port: 9443, isSpoofed: false },
    { kind: 'tproxy that shows origins the client', option: 'tproxy', port: 9444, isSpoofed: true },
  ] as const;

  describe.each(captures)('by $kind', ({ option, port, isSpoofed }) => {
    beforeAll(() => capture(option, port), 30_000);

    it.each(families)('passes over STARTTLS, TLS and neither, over $family', async ({ pick }) => {
      const ip = pick(network.origin);
      for (const [scheme, at, args] of [
        ['smtp', postfix.port, ['--ssl-reqd']],
        ['smtps', postfix.tlsPort, []],
        ['smtp', postfix.port, []],
      ] as const) {
        const text = mark();
        const before = gateway.records('traffic').filter(isMail).length;
        const { code, stderr } = await send(
          ip,
          `${scheme}://mx.example.test:${at}/me`,
          'mx.example.test',
          text,
          ...args,
        );
        expect(code, stderr).toBe(0);
        // Whom the origin takes the client for.
        const from = isSpoofed ? pick(network.client) : undefined;
        const arrived = await arrives(text);
        if (from !== undefined) expect(arrived).toContain(from);
        const records = await gateway.waitForRecords('traffic', (all) => all.filter(isMail).length > before);
        const label = scheme === 'smtp' && args.length === 0 ? 'Plaintext' : 'Decryption Detection';
        expect(records.filter(isMail).at(-1)).toMatchObject({ metadata: { labels: [label] }, protocol_name: 'smtp' });
      }
    });

    it.runIf(hasProgram('swaks'))('swaks sends with STARTTLS', async () => {
      const text = mark();
      const args = ['--server', network.origin.ipv4, '--port', String(postfix.port), '--tls', '--tls-verify'];
      const mail = ['--tls-ca-path', gateway.caFile, '--to', 'a@example.test', '--from', 'b@c.test', '--body', text];
      const { code, stdout, stderr } = await inClient('swaks', [...args, ...mail]);
      expect(code, stdout + stderr).toBe(0);
      await arrives(text);
    });
  });

  it('fails for a client that asks for a name that the certificate does not cover', async () => {
    const before = postfix.mails().length;
    const url = `smtp://other.test:${postfix.port}/me`;
    const { code } = await send(network.origin.ipv4, url, 'other.test', mark(), '--ssl-reqd');
    expect(code).not.toBe(0);
    const isMismatch = (record: Record<string, unknown>) => record.status_code === 'ORIGIN_CERT_NAME_MISMATCH';
    expect(await gateway.waitForRecords('traffic', (all) => all.some(isMismatch))).toBeDefined();
    expect(postfix.mails().length).toBe(before);
  });
});

function isMail(record: Record<string, unknown>): boolean {
  return record.class_uid === 4009;
}
