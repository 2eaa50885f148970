import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startMailOrigin } from '../support/mail-origin.ts';
import { ocsfProblems } from '../support/ocsf.ts';
import { type RunningPostfix, startPostfix } from '../support/postfix.ts';
import { reverse } from '../support/reverse-listener.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

const isRoot = process.getuid?.() === 0;
const hasPostfix = isRoot && hasProgram('postfix');

describe.runIf(hasPostfix)('real mail clients to Postfix', () => {
  let authority: TestAuthority;
  let postfix: RunningPostfix;
  let gateway: RunningGateway;
  let port: number;
  let tlsPort: number;
  let proxyPort: number;

  beforeAll(async () => {
    authority = await createTestAuthority();
    postfix = await startPostfix({ credentials: await authority.issue({ names: ['mx.example.test', 'localhost'] }) });
    [port, tlsPort, proxyPort] = [await freePort(), await freePort(), await freePort()];
    gateway = await startGateway({
      files: {
        'root.pem': authority.rootPem,
        'mail.yaml': `
- { id: no-programs, title: Program by mail, action: block, when: { field: mail.attachment.type, equals: application/vnd.microsoft.portable-executable } }
- { id: codeword, title: Codeword, action: alarm, when: { field: mail.part.body, contains: falcon-seven } }
`,
      },
      config: {
        rules: { files: ['$DIRECTORY/mail.yaml'] },
        listeners: [
          reverse(port, postfix.port),
          reverse(tlsPort, postfix.tlsPort),
          { mode: 'explicit', listen: `127.0.0.1:${proxyPort}` },
        ],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
      },
    });
  }, 60_000);
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await postfix?.[Symbol.asyncDispose]();
  });

  /** Waits for a mail that holds the mark. */
  async function arrives(mark: string): Promise<string> {
    await expect.poll(() => postfix.mails().some((mail) => mail.includes(mark)), { timeout: 10_000 }).toBe(true);
    return postfix.mails().find((mail) => mail.includes(mark)) ?? '';
  }
  const mark = () => `mark-${randomBytes(6).toString('hex')}`;

  it.runIf(hasProgram('swaks'))('swaks with STARTTLS and pipelining, its certificate checked', async () => {
    const text = mark();
    const args = ['--server', `localhost:${port}`, '--to', 'a@example.test', '--from', 'b@c.test', '--pipeline'];
    const tls = ['--tls', '--tls-verify', '--tls-ca-path', gateway.caFile, '--body', text];
    const { code, stdout, stderr } = await run('swaks', [...args, ...tls]);
    expect(stdout + stderr).toContain('TLS started');
    expect(code, stdout + stderr).toBe(0);
    await arrives(text);
  });

  it('curl with smtps and with STARTTLS', async () => {
    const file = join(gateway.directory, 'mail.eml');
    for (const [url, extra] of [
      [`smtps://localhost:${tlsPort}/me`, []],
      [`smtp://localhost:${port}/me`, ['--ssl-reqd']],
    ] as const) {
      const text = mark();
      writeFileSync(file, `From: b@c.test\r\nSubject: x\r\n\r\n.leading dot\r\n${text}\r\n`);
      const mail = ['--mail-from', 'b@c.test', '--mail-rcpt', 'a@example.test', '-T', file];
      const { code, stderr } = await run('curl', ['-sS', '--cacert', gateway.caFile, url, ...extra, ...mail]);
      expect(code, stderr).toBe(0);
      expect(await arrives(text)).toContain('\n.leading dot');
    }
  });

  it('curl through CONNECT and through SOCKS5', async () => {
    const file = join(gateway.directory, 'mail2.eml');
    for (const proxy of [`http://127.0.0.1:${proxyPort}`, `socks5h://127.0.0.1:${proxyPort}`]) {
      for (const [url, extra] of [
        [`smtp://localhost:${postfix.port}/me`, ['--ssl-reqd', '-p']],
        [`smtps://localhost:${postfix.tlsPort}/me`, ['-p']],
      ] as const) {
        const text = mark();
        writeFileSync(file, `Subject: x\r\n\r\n${text}\r\n`);
        const mail = ['--mail-from', 'b@c.test', '--mail-rcpt', 'a@example.test', '-T', file, '-x', proxy];
        const { code, stderr } = await run('curl', ['-sS', '--cacert', gateway.caFile, url, ...extra, ...mail]);
        expect(code, stderr).toBe(0);
        await arrives(text);
      }
    }
  });

  it('openssl s_client with -starttls smtp and lmtp-like typing', async () => {
    const text = mark();
    const input = `EHLO me\r\nMAIL FROM:<b@c.test>\r\nrcpt to:<a@example.test>\r\nDATA\r\n${text}\r\n.\r\nQUIT\r\n`;
    const args = ['s_client', '-starttls', 'smtp', '-connect', `localhost:${port}`, '-servername', 'localhost'];
    const typed = run('sh', [
      '-c',
      `(printf '%s' "$0" | while IFS= read -r line; do printf '%s\\n' "$line"; sleep 0.2; done) | openssl "$@"`,
      input,
      ...args,
      '-quiet',
      '-ign_eof',
      '-CAfile',
      gateway.caFile,
      '-verify_return_error',
    ]);
    const { stdout, stderr } = await typed;
    expect(stdout, stderr).toMatch(/250 2\.0\.0 Ok: queued/);
    await arrives(text);
  });

  it.runIf(hasProgram('msmtp'))('msmtp over both kinds of TLS', async () => {
    for (const [at, starttls] of [
      [port, 'on'],
      [tlsPort, 'off'],
    ] as const) {
      const text = mark();
      const args = ['--host=localhost', `--port=${at}`, '--tls=on', `--tls-starttls=${starttls}`, '--from=b@c.test'];
      const { code, stderr } = await run('msmtp', [...args, `--tls-trust-file=${gateway.caFile}`, 'a@example.test'], {
        input: `Subject: x\n\n${text}\n`,
      });
      expect(code, stderr).toBe(0);
      await arrives(text);
    }
  });

  it('smtplib of Python, several mails in one session, RSET and VRFY between them', async () => {
    const text = mark();
    const script = `
import smtplib, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
with smtplib.SMTP('localhost', int(sys.argv[1])) as s:
    s.starttls(context=context)
    s.ehlo()
    assert s.has_extn('pipelining') and s.has_extn('dsn') and not s.has_extn('starttls'), s.esmtp_features
    for i in range(3):
        s.sendmail('b@c.test', ['a@example.test'], 'Subject: x\\r\\n\\r\\n' + sys.argv[3] + str(i), mail_options=['BODY=8BITMIME'], rcpt_options=['NOTIFY=NEVER'])
        s.rset()
        s.verify('a@example.test')
    code, text = s.docmd('XEXCH50 1 2')
    assert code == 502, text
`;
    const { code, stderr } = await run('python3', ['-c', script, String(port), gateway.caFile, text]);
    expect(code, stderr).toBe(0);
    for (const index of [0, 1, 2]) await arrives(`${text}${index}`);
  });

  it('chunks of BDAT to Postfix, pipelined, the last of them empty', async () => {
    const text = mark();
    const script = `
import smtplib, ssl, sys
with smtplib.SMTP('localhost', int(sys.argv[1])) as s:
    s.starttls(context=ssl.create_default_context(cafile=sys.argv[2]))
    s.ehlo()
    assert s.has_extn('chunking'), s.esmtp_features
    first, second = b'Subject: x\\r\\n\\r\\n.\\r\\n', sys.argv[3].encode() + b'\\r\\n'
    s.send(b'MAIL FROM:<b@c.test>\\r\\nRCPT TO:<a@example.test>\\r\\n')
    s.send(b'BDAT %d\\r\\n' % len(first) + first + b'BDAT %d\\r\\n' % len(second) + second + b'BDAT 0 LAST\\r\\n')
    codes = [s.getreply()[0] for _ in range(5)]
    assert codes == [250] * 5, codes
`;
    const { code, stderr } = await run('python3', ['-c', script, String(port), gateway.caFile, text]);
    expect(code, stderr).toBe(0);
    // A lone dot in a chunk is content.
    expect(await arrives(text)).toMatch(/\n\.\n/);
  });

  it('LMTP, one answer for each recipient', async () => {
    await using origin = await startMailOrigin(undefined, { lmtp: true });
    const lmtpPort = await freePort();
    await using lmtp = await startGateway({
      config: {
        listeners: [{ mode: 'reverse', listen: `127.0.0.1:${lmtpPort}`, origin: `127.0.0.1:${origin.port}` }],
      },
    });
    const script = `
import smtplib, sys
with smtplib.LMTP('127.0.0.1', int(sys.argv[1])) as s:
    s.sendmail('b@c.test', ['a@example.test', 'd@example.test'], 'Subject: x\\r\\n\\r\\nhello')
    # smtplib reads the answer for the first recipient alone.
    code, text = s.getreply()
    assert code == 250, text
`;
    const { code, stderr } = await run('python3', ['-c', script, String(lmtpPort)]);
    expect(code, stderr).toBe(0);
    expect(origin.mails).toHaveLength(1);
    const records = await lmtp.waitForRecords('traffic', (all) => all.some(({ class_uid }) => class_uid === 4009));
    expect(records.find(({ class_uid }) => class_uid === 4009)).toMatchObject({ protocol_name: 'lmtp' });
  });

  it('nodemailer with an attachment of 5 MB', async () => {
    const text = mark();
    const transport = createTransport({
      host: 'localhost',
      port,
      requireTLS: true,
      tls: { ca: gateway.process && (await run('cat', [gateway.caFile])).stdout, servername: 'localhost' },
    });
    const content = randomBytes(5_000_000);
    await transport.sendMail({
      from: 'b@c.test',
      to: 'a@example.test',
      subject: 'Grüße',
      text,
      attachments: [{ filename: 'ä.bin', content }],
    });
    transport.close();
    const mail = await arrives(text);
    expect(mail.replaceAll(/\r?\n/g, '')).toContain(content.toString('base64').slice(-2_000));
  });

  it('blocks a program under a false name, and lets the next mail of the session pass', async () => {
    const [blocked, passed] = [mark(), mark()];
    const script = `
import smtplib, ssl, sys
from email.message import EmailMessage
def mail(text, content):
    m = EmailMessage()
    m['From'], m['To'], m['Subject'] = 'b@c.test', 'a@example.test', 'R\\u00e9sum\\u00e9'
    m.set_content(text + ' falcon-seven')
    m.add_attachment(content, maintype='application', subtype='pdf', filename='report.pdf')
    return m
with smtplib.SMTP('localhost', int(sys.argv[1])) as s:
    s.starttls(context=ssl.create_default_context(cafile=sys.argv[2]))
    try:
        s.send_message(mail(sys.argv[3], bytes.fromhex('4d5a90000300000004000000ffff') + bytes(1000)))
        sys.exit('was not blocked')
    except smtplib.SMTPDataError as error:
        assert error.smtp_code == 550 and b'no-programs' in error.smtp_error, error
    s.send_message(mail(sys.argv[4], b'%PDF-1.4 x'))
`;
    const { code, stderr } = await run('python3', ['-c', script, String(port), gateway.caFile, blocked, passed]);
    expect(code, stderr).toBe(0);
    await arrives(passed);
    expect(postfix.mails().some((mail) => mail.includes(blocked))).toBe(false);
    const alarms = await gateway.waitForRecords('alarms', (all) => all.length >= 3);
    expect(alarms.map((alarm) => (alarm.firewall_rule as { uid: string }).uid).sort()).toEqual([
      'codeword',
      'codeword',
      'no-programs',
    ]);
    const isBlocked = (record: Record<string, unknown>) => record.status_code === 'POLICY_RULE_BLOCK';
    const records = await gateway.waitForRecords('traffic', (all) => all.some(isBlocked));
    expect(records.find(isBlocked)).toMatchObject({
      class_uid: 4009,
      metadata: { labels: ['Decryption Detection'] },
      to: ['a@example.test'],
      email: { subject: 'Résumé', files: [{ name: 'report.pdf' }] },
    });
  });

  it('records every session as decrypted mail', async () => {
    const records = await gateway.waitForRecords('traffic', (all) => all.length > 5);
    const protocols = records.map((record) => JSON.stringify(record).match(/"protocol(?:_name)?":"(smtp|lmtp)"/)?.[1]);
    expect(protocols.filter((protocol) => protocol === 'smtp').length).toBeGreaterThan(5);
    expect(records.flatMap((record) => ocsfProblems(record))).toEqual([]);
  });
});
