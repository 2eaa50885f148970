import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type RunningDovecot, startDovecot } from '../support/dovecot.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { type RunningPostfix, startPostfix } from '../support/postfix.ts';
import { hasProgram, type Ran, run } from '../support/run.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

const canRun = process.getuid?.() === 0 && hasProgram('postfix') && hasProgram('dovecot');
const password = `secret-${randomBytes(9).toString('hex')}`;
const user = 'anna@example.test';

/** What a session of ESMTP may use besides sending mail, with a server that has all of it. */
describe.runIf(canRun)('an ESMTP session with Postfix', () => {
  let authority: TestAuthority;
  let dovecot: RunningDovecot;
  let postfix: RunningPostfix;
  let gateway: RunningGateway;
  const ports = { submission: 0, xclient: 0 };

  beforeAll(async () => {
    authority = await createTestAuthority();
    const credentials = await authority.issue({ names: ['localhost'] });
    dovecot = await startDovecot(credentials, [user], password);
    postfix = await startPostfix({
      credentials,
      settings: {
        smtpd_sasl_auth_enable: 'yes',
        smtpd_sasl_type: 'dovecot',
        smtpd_sasl_path: dovecot.authSocket,
        smtpd_authorized_xclient_hosts: '127.0.0.0/8',
        smtpd_authorized_xforward_hosts: '127.0.0.0/8',
        message_size_limit: '1000000',
        smtpd_discard_ehlo_keywords: '',
      },
    });
    [ports.submission, ports.xclient] = [await freePort(), await freePort()];
    gateway = await gatewayTo(ports.submission, {});
  }, 90_000);
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await postfix?.[Symbol.asyncDispose]();
    await dovecot?.[Symbol.asyncDispose]();
  });

  function gatewayTo(port: number, mail: object, more: object = {}): Promise<RunningGateway> {
    return startGateway({
      files: { 'root.pem': authority.rootPem },
      config: {
        listeners: [
          {
            mode: 'reverse',
            listen: `127.0.0.1:${port}`,
            origin: `127.0.0.1:${postfix.port}`,
            originName: 'localhost',
          },
        ],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
        mail,
        ...more,
      },
    });
  }

  const mark = () => `mark-${randomBytes(6).toString('hex')}`;
  const arrives = (text: string) =>
    expect.poll(() => postfix.mails().some((mail) => mail.includes(text)), { timeout: 15_000 }).toBe(true);
  async function recordOf(through: RunningGateway, matches: (gatewayPart: Record<string, unknown>) => boolean) {
    const isIt = (record: Record<string, unknown>) => {
      const { gateway: part } = (record.unmapped ?? {}) as { gateway?: { mail?: Record<string, unknown> } };
      return record.class_uid === 4009 && part?.mail !== undefined && matches(part.mail);
    };
    const records = await through.waitForRecords('traffic', (all) => all.some(isIt));
    return records.find(isIt);
  }
  const python = (script: string, at: RunningGateway, port: number, ...args: readonly string[]): Promise<Ran> =>
    run('python3', ['-c', `import smtplib, ssl, sys\n${script}`, String(port), at.caFile, ...args]);
  const open = `
s = smtplib.SMTP('localhost', int(sys.argv[1]))
s.starttls(context=ssl.create_default_context(cafile=sys.argv[2]))
s.ehlo()
`;

  it.each(['PLAIN', 'LOGIN', 'CRAM-MD5'])('AUTH %s by swaks', async (mechanism) => {
    const text = mark();
    const args = ['--server', `localhost:${ports.submission}`, '--to', 'a@example.test', '--from', user];
    const auth = ['--auth', mechanism, '--auth-user', user, '--auth-password', password, '--body', text];
    const tls = ['--tls', '--tls-verify', '--tls-ca-path', gateway.caFile];
    const { code, stdout, stderr } = await run('swaks', [...args, ...auth, ...tls]);
    expect(code, stdout + stderr).toBe(0);
    await arrives(text);
    expect(await recordOf(gateway, ({ auth_mechanism }) => auth_mechanism === mechanism)).toMatchObject({
      unmapped: { gateway: { mail: { auth_identity: user } } },
    });
  });

  it.each(['scram-sha-1', 'scram-sha-256'])('AUTH %s by msmtp', async (mechanism) => {
    const text = mark();
    const args = ['--host=localhost', `--port=${ports.submission}`, '--tls=on', '--tls-starttls=on', `--from=${user}`];
    const auth = [`--auth=${mechanism}`, `--user=${user}`, `--passwordeval=echo ${password}`];
    const { code, stderr } = await run(
      'msmtp',
      [...args, ...auth, `--tls-trust-file=${gateway.caFile}`, 'a@example.test'],
      { input: `Subject: x\n\n${text}\n` },
    );
    expect(code, stderr).toBe(0);
    await arrives(text);
    const upper = mechanism.toUpperCase();
    expect(await recordOf(gateway, ({ auth_mechanism }) => auth_mechanism === upper)).toMatchObject({
      unmapped: { gateway: { mail: { auth_identity: user } } },
    });
  });

  it('a wrong password is refused by the origin and gives no identity', async () => {
    const script = `${open}
try:
    s.login('${user}', 'wrong')
    sys.exit('was let in')
except smtplib.SMTPAuthenticationError as error:
    assert error.smtp_code == 535, error
`;
    const { code, stderr } = await python(script, gateway, ports.submission);
    expect(code, stderr).toBe(0);
  });

  it('no password is in any record or log, in any encoding that was sent', () => {
    const directory = join(gateway.directory, 'records');
    const all = readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'));
    const sent = [password, `\0${user}\0${password}`].map((text) => Buffer.from(text).toString('base64'));
    for (const text of [...all, gateway.log()]) {
      for (const secret of [password, ...sent.map((base64) => base64.slice(0, -4))]) expect(text).not.toContain(secret);
    }
  });

  it('SMTPUTF8, DSN and SIZE pass, and the record shows the address', async () => {
    const text = mark();
    const script = `${open}
for name in ['smtputf8', 'dsn', 'size', '8bitmime', 'enhancedstatuscodes', 'pipelining', 'chunking', 'vrfy', 'etrn']:
    assert s.has_extn(name), (name, s.esmtp_features)
assert not s.has_extn('xclient'), s.esmtp_features
code, reply = s.mail('j\\u00f6rg@c.test', ['SMTPUTF8', 'BODY=8BITMIME', 'RET=HDRS', 'ENVID=QQ314159'])
assert code == 250, reply
code, reply = s.docmd('RCPT TO:<a@example.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;A+40example.test')
assert code == 250, reply
code, reply = s.data(('Subject: Gr\\u00fc\\u00dfe\\r\\n\\r\\n' + sys.argv[3]).encode())
assert code == 250, reply
code, reply = s.docmd('MAIL FROM:<b@c.test> SIZE=2000000')
assert code == 552 and reply.startswith(b'5.3.4'), (code, reply)
code, reply = s.docmd('HELP')
assert code in (214, 500, 502), (code, reply)
`;
    const { code, stderr } = await python(script, gateway, ports.submission, text);
    expect(code, stderr).toBe(0);
    await arrives(text);
    expect(await recordOf(gateway, ({ from }) => from === 'jörg@c.test')).toMatchObject({
      email: { subject: 'Grüße' },
      unmapped: { gateway: { mail: { removed_offers: expect.arrayContaining(['XCLIENT', 'XFORWARD']) } } },
    });
  });

  it('XCLIENT and XFORWARD are answered 502, or pass where policy says so', async () => {
    const refused = `${open}
for line in ['XCLIENT ADDR=192.0.2.7 NAME=far.test', 'XFORWARD ADDR=192.0.2.7']:
    code, reply = s.docmd(line)
    assert code == 502, (line, code, reply)
`;
    const first = await python(refused, gateway, ports.submission);
    expect(first.code, first.stderr).toBe(0);
    await using other = await gatewayTo(ports.xclient, { xclient: true });
    const text = mark();
    const passed = `${open}
assert s.has_extn('xclient') and s.has_extn('xforward'), s.esmtp_features
code, reply = s.docmd('XFORWARD ADDR=192.0.2.8 NAME=before.test')
assert code == 250, reply
code, reply = s.docmd('XCLIENT ADDR=192.0.2.7 NAME=far.test')
assert code == 220, reply
s.ehlo()
s.sendmail('b@c.test', ['a@example.test'], 'Subject: x\\r\\n\\r\\n' + sys.argv[3])
`;
    const second = await python(passed, other, ports.xclient, text);
    expect(second.code, second.stderr).toBe(0);
    await arrives(text);
    // The origin has believed it.
    expect(postfix.mails().find((mail) => mail.includes(text))).toMatch(/Received: from .*far\.test \[192\.0\.2\.7\]/);
  });

  it('is told 421 where it idles, and where the gateway goes down, and Postfix hears QUIT from it', async () => {
    const port = await freePort();
    await using idling = await gatewayTo(port, {}, { timeouts: { idle: '2s' } });
    const lingers = `${open}
open(sys.argv[4], 'w').close()
code, reply = s.getreply()
assert code == 421, (code, reply)
assert reply.decode().startswith(sys.argv[3]), reply
s.close()
`;
    const idle = await python(lingers, idling, port, '4.4.2 CLIENT_IDLE_TIMEOUT', `${idling.directory}/idle`);
    expect(idle.code, idle.stderr).toBe(0);
    const marker = `${gateway.directory}/idle`;
    const down = python(lingers, gateway, ports.submission, '4.3.2 GATEWAY_SHUTTING_DOWN', marker);
    await expect.poll(() => existsSync(marker), { timeout: 15_000 }).toBe(true);
    await gateway.stop();
    const { code, stderr } = await down;
    expect(code, stderr).toBe(0);
    await expect
      .poll(() => postfix.log().match(/disconnect from .*starttls=1 quit=1/g)?.length ?? 0, { timeout: 10_000 })
      .toBeGreaterThanOrEqual(2);
  }, 60_000);

  it('the worked example of a mail relay runs as it stands, but for its addresses', async () => {
    const example = parse(
      readFileSync(fileURLToPath(new URL('../../config/mail-relay.yaml', import.meta.url)), 'utf8'),
    ) as { listeners: { mode: string; listen: string; origin?: string; originName?: string }[]; rules: object };
    const origins: Readonly<Record<string, number>> = {
      '587': postfix.port,
      '465': postfix.tlsPort,
      '25': postfix.port,
    };
    const listening = new Map<string, number>();
    for (const listener of example.listeners) {
      const own = await freePort();
      const [, port = ''] = listener.listen.split(':');
      listening.set(port, own);
      listener.listen = `127.0.0.1:${own}`;
      if (listener.origin === undefined) continue;
      listener.origin = `localhost:${origins[port] ?? 0}`;
    }
    const rulesOf = fileURLToPath(new URL('../../config/rules/*.yaml', import.meta.url));
    await using relay = await startGateway({
      files: { 'root.pem': authority.rootPem },
      config: {
        ...example,
        rules: { files: [rulesOf] },
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
      },
    });
    for (const [port, url, args] of [
      ['587', 'smtp', ['--ssl-reqd']],
      ['465', 'smtps', []],
      ['25', 'smtp', ['--ssl-reqd']],
    ] as const) {
      const text = mark();
      const to = ['--mail-from', 'b@c.test', '--mail-rcpt', 'a@example.test', '-T', '-'];
      const target = `${url}://localhost:${listening.get(port) ?? 0}/me`;
      const { code, stderr } = await run('curl', ['-sS', '--cacert', relay.caFile, ...args, target, ...to], {
        input: `Subject: x\r\n\r\n${text}\r\n`,
      });
      expect(code, `${port}: ${stderr}`).toBe(0);
      await arrives(text);
    }
    // TLS is demanded there.
    const plain = await run('curl', [
      ...['-sS', `smtp://localhost:${listening.get('587') ?? 0}/me`, '--mail-from', 'b@c.test'],
      ...['--mail-rcpt', 'a@example.test', '-T', '-'],
    ]);
    expect(plain.code).not.toBe(0);
  });
});
