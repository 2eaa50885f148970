import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningDovecot, startDovecot } from '../support/dovecot.ts';
import { hasExim, type RunningExim, sendWithExim, startExim } from '../support/exim.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { type RunningPostfix, startPostfix } from '../support/postfix.ts';
import { reverse } from '../support/reverse-listener.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

const isRoot = process.getuid?.() === 0;
const canRun = isRoot && hasExim() && hasProgram('postfix') && hasProgram('dovecot');

/** Servers that pass mail on to each other, the gateway in between: what their own clients do to it. */
describe.runIf(canRun)("mail servers as each other's clients", () => {
  let authority: TestAuthority;
  let exim: RunningExim;
  let postfix: RunningPostfix;
  let dovecot: RunningDovecot;
  let gateway: RunningGateway;
  const ports = { exim: 0, eximTls: 0, postfix: 0, postfixTls: 0, lmtp: 0 };

  beforeAll(async () => {
    authority = await createTestAuthority();
    const credentials = await authority.issue({ names: ['mx.example.test', 'localhost'] });
    [exim, postfix, dovecot] = await Promise.all([
      startExim(credentials),
      startPostfix({ credentials }),
      startDovecot(credentials, ['ann@example.test', 'bob@example.test']),
    ]);
    for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort();
    gateway = await startGateway({
      files: {
        'root.pem': authority.rootPem,
        'mail.yaml': `
- { id: codeword, title: Codeword, action: block, when: { field: mail.part.body, contains: falcon-seven } }
`,
      },
      config: {
        rules: { files: ['$DIRECTORY/mail.yaml'] },
        listeners: [
          reverse(ports.exim, exim.port),
          reverse(ports.eximTls, exim.tlsPort),
          reverse(ports.postfix, postfix.port),
          reverse(ports.postfixTls, postfix.tlsPort),
          reverse(ports.lmtp, dovecot.port),
        ],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
        mail: { headers: { set: ['X-Inspected: yes'] } },
      },
    });
  }, 90_000);
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await Promise.all([exim, postfix, dovecot].map(async (server) => server?.[Symbol.asyncDispose]()));
  });

  const mark = () => `mark-${randomBytes(6).toString('hex')}`;
  const arrives = (box: { readonly mails: () => readonly string[] }, text: string) =>
    expect.poll(() => box.mails().some((mail) => mail.includes(text)), { timeout: 15_000 }).toBe(true);
  const mail = (text: string) => `From: b@c.test\nTo: a@example.test\nSubject: x\n\n.a dot\n..two dots\n.\n${text}\n`;

  /** The record of the mail whose head names the subject. */
  async function recordOf(matches: (record: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> {
    const isIt = (record: Record<string, unknown>) => record.class_uid === 4009 && matches(record);
    const records = await gateway.waitForRecords('traffic', (all) => all.some(isIt));
    return records.find(isIt) ?? {};
  }

  it.each(['smtp', 'smtps'] as const)('Exim to Exim by %s, in chunks, its certificate checked', async (protocol) => {
    const text = mark();
    const { code, log } = await sendWithExim({
      port: protocol === 'smtp' ? ports.exim : ports.eximTls,
      protocol,
      caFile: gateway.caFile,
      recipients: ['a@example.test'],
      mail: mail(text),
    });
    expect(code, log).toBe(0);
    // K: sent by BDAT. CV=yes: the certificate was verified.
    expect(log).toMatch(/=> a@example\.test .* K .*CV=yes|=> a@example\.test .*CV=yes.* K /);
    await arrives(exim, text);
    const arrived = exim.mails().find((one) => one.includes(text)) ?? '';
    expect(arrived).toContain('\n.a dot\n..two dots\n.\n');
    // A chunk of its own, in front of those that Exim sent.
    expect(arrived).toMatch(/^X-Inspected: yes$/m);
  });

  it('Exim to Postfix, its mails one after the other, a blocked one among them', async () => {
    const [first, blocked, last] = [mark(), mark(), mark()];
    const send = (text: string) =>
      sendWithExim({
        port: ports.postfix,
        protocol: 'smtp',
        caFile: gateway.caFile,
        recipients: ['a@example.test'],
        mail: mail(text),
      });
    expect((await send(first)).log).toMatch(/=> a@example\.test/);
    const { log } = await send(`${blocked} falcon-seven`);
    expect(log).toMatch(/\*\* a@example\.test .*550 5\.7\.1 POLICY_RULE_BLOCK codeword/);
    expect((await send(last)).log).toMatch(/=> a@example\.test/);
    await arrives(postfix, first);
    await arrives(postfix, last);
    expect(postfix.mails().some((one) => one.includes(blocked))).toBe(false);
  });

  it('Exim refuses a leaf that it has no reason to trust', async () => {
    const { log } = await sendWithExim({
      port: ports.exim,
      protocol: 'smtp',
      caFile: '/etc/ssl/certs/ca-certificates.crt',
      recipients: ['a@example.test'],
      mail: mail(mark()),
    });
    expect(log).toMatch(/certificate|TLS/i);
    expect(log).not.toMatch(/=> a@example\.test/);
  });

  it('Exim by LMTP to Dovecot, one answer for each of two recipients', async () => {
    const text = mark();
    const { code, log } = await sendWithExim({
      port: ports.lmtp,
      protocol: 'lmtp',
      caFile: gateway.caFile,
      recipients: ['ann@example.test', 'bob@example.test'],
      mail: mail(text),
    });
    expect(code, log).toBe(0);
    for (const user of ['ann@example.test', 'bob@example.test']) {
      expect(log).toMatch(new RegExp(`[-=]> ${user} .*CV=yes.*Saved`));
      await expect.poll(() => dovecot.mailsOf(user).some((one) => one.includes(text))).toBe(true);
    }
  });

  describe('Postfix as a client', () => {
    let relay: RunningPostfix;
    beforeAll(async () => {
      relay = await startPostfix({
        settings: {
          virtual_transport: `lmtp:inet:localhost:${ports.lmtp}`,
          default_transport: `smtp:[localhost]:${ports.exim}`,
          lmtp_tls_security_level: 'secure',
          lmtp_tls_CAfile: gateway.caFile,
          lmtp_tls_secure_cert_match: 'nexthop',
          smtp_tls_security_level: 'secure',
          smtp_tls_CAfile: gateway.caFile,
          smtp_tls_secure_cert_match: 'nexthop',
          smtp_dns_support_level: 'disabled',
          lmtp_host_lookup: 'native',
          smtp_host_lookup: 'native',
          inet_protocols: 'ipv4',
        },
      });
    }, 60_000);
    afterAll(async () => {
      await relay?.[Symbol.asyncDispose]();
    });

    const inject = (recipients: readonly string[], text: string) =>
      run('python3', [
        '-c',
        `
import smtplib, sys
with smtplib.SMTP('127.0.0.1', int(sys.argv[1])) as s:
    s.sendmail('b@c.test', sys.argv[3].split(','), 'Subject: x\\r\\n\\r\\n..dots\\r\\n' + sys.argv[2] + '\\r\\n')
`,
        String(relay.port),
        text,
        recipients.join(','),
      ]);

    it('by LMTP to Dovecot, an unknown recipient refused between two that are known', async () => {
      const text = mark();
      const { code, stderr } = await inject(['ann@example.test', 'nobody@example.test', 'bob@example.test'], text);
      expect(code, stderr).toBe(0);
      for (const user of ['ann@example.test', 'bob@example.test']) {
        await expect
          .poll(() => dovecot.mailsOf(user).some((one) => one.includes(text)), { timeout: 15_000 })
          .toBe(true);
      }
      const record = await recordOf(
        ({ protocol_name, command }) => protocol_name === 'lmtp' && command === 'LHLO mx.example.test',
      );
      expect(record).toMatchObject({
        metadata: { labels: ['Decryption Detection'] },
        to: ['ann@example.test', 'bob@example.test'],
        unmapped: { gateway: { mail: { accepted: 2, refused: 1 } } },
      });
    });

    it('by LMTP, a blocked mail is answered for each recipient and reaches none', async () => {
      const text = mark();
      await inject(['ann@example.test', 'bob@example.test'], `${text} falcon-seven`);
      const record = await recordOf(
        ({ status_code, protocol_name }) => status_code === 'POLICY_RULE_BLOCK' && protocol_name === 'lmtp',
      );
      expect(record).toMatchObject({ unmapped: { gateway: { mail: { accepted: 2 }, rule: 'codeword' } } });
      await new Promise((resolve) => setTimeout(resolve, 500));
      for (const user of ['ann@example.test', 'bob@example.test']) {
        expect(dovecot.mailsOf(user).some((one) => one.includes(text))).toBe(false);
      }
    });

    it('by SMTP to Exim', async () => {
      const text = mark();
      const { code, stderr } = await inject(['someone@elsewhere.test'], text);
      expect(code, stderr).toBe(0);
      await arrives(exim, text);
    });
  });
});
