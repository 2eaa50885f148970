import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { createTestNetwork, netnsUnavailable, type TestNetwork } from '../support/netns.ts';
import { type RunningPostfix, startPostfix } from '../support/postfix.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const canRun = netnsUnavailable === undefined && hasProgram('postfix') && hasProgram('curl');
const removeEverything = 'nft flush ruleset; ip rule del fwmark 0x1 2>/dev/null; true';

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
      address: network.origin.ipv4,
    });
    gateway = await startGateway({
      namespace: network.gateway.name,
      files: { 'root.pem': authority.rootPem },
      config: {
        listeners: [{ mode: 'transparent', listen: '[::]:8443', capture: 'redirect' }],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
        timeouts: { drain: '2s' },
      },
    });
    const ports = `${postfix.port},${postfix.tlsPort}`;
    const up = ['net', 'up', '--config', gateway.configFile, '--interface', 'lan0', '--ports', ports];
    await network.gateway.run(process.execPath, main, ...up);
  }, 60_000);
  afterAll(async () => {
    await network?.gateway.run('sh', '-c', removeEverything);
    await gateway?.[Symbol.asyncDispose]();
    await postfix?.[Symbol.asyncDispose]();
    await network?.[Symbol.asyncDispose]();
  });

  const send = (url: string, name: string, ...args: readonly string[]) => {
    const mail = ['--mail-from', 'b@c.test', '--mail-rcpt', 'a@example.test', '-T', '-', '--max-time', '10'];
    const pin = [postfix.port, postfix.tlsPort].flatMap((at) => ['--resolve', `${name}:${at}:${network.origin.ipv4}`]);
    const command = ['curl', '-sS', '--cacert', gateway.caFile, ...pin, ...args, url, ...mail];
    return run('ip', ['netns', 'exec', network.client.name, ...command], { input: 'Subject: x\r\n\r\nhello\r\n' });
  };

  it('passes over STARTTLS and over TLS, the origin held to its own name', async () => {
    const starttls = await send(`smtp://mx.example.test:${postfix.port}/me`, 'mx.example.test', '--ssl-reqd');
    expect(starttls.code, starttls.stderr).toBe(0);
    const implicit = await send(`smtps://mx.example.test:${postfix.tlsPort}/me`, 'mx.example.test');
    expect(implicit.code, implicit.stderr).toBe(0);
    await postfix.waitForMails(2);
    const records = await gateway.waitForRecords('traffic', (all) => all.filter(isMail).length === 2);
    for (const record of records.filter(isMail)) {
      expect(record).toMatchObject({ metadata: { labels: ['Decryption Detection'] }, protocol_name: 'smtp' });
    }
  });

  it('fails for a client that asks for a name that the certificate does not cover', async () => {
    const { code } = await send(`smtp://other.test:${postfix.port}/me`, 'other.test', '--ssl-reqd');
    expect(code).not.toBe(0);
    const isMismatch = (record: Record<string, unknown>) => record.status_code === 'ORIGIN_CERT_NAME_MISMATCH';
    expect(await gateway.waitForRecords('traffic', (all) => all.some(isMismatch))).toBeDefined();
    expect(postfix.mails().length).toBe(2);
  });

  it('passes in plaintext where the client does without TLS, and says so', async () => {
    const { code, stderr } = await send(`smtp://mx.example.test:${postfix.port}/me`, 'mx.example.test');
    expect(code, stderr).toBe(0);
    const isPlain = (record: Record<string, unknown>) =>
      isMail(record) && JSON.stringify(record.metadata).includes('Plaintext');
    expect(await gateway.waitForRecords('traffic', (all) => all.some(isPlain))).toBeDefined();
  });
});

function isMail(record: Record<string, unknown>): boolean {
  return record.class_uid === 4009;
}
