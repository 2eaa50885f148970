import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect, createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDataPlane } from '../support/data-plane.ts';
import { type RunningDovecot, startDovecot } from '../support/dovecot.ts';
import { published } from '../support/ftp-session.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { Typist } from '../support/mail-origin.ts';
import { type RunningPostfix, startPostfix } from '../support/postfix.ts';
import { reverse } from '../support/reverse-listener.ts';
import { hasProgram, run } from '../support/run.ts';
import { listening } from '../support/tcp.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const canRun = process.getuid?.() === 0 && hasProgram('postfix') && hasProgram('dovecot') && hasProgram('msmtp');
const token = `ya29.${randomBytes(24).toString('base64url')}`;
const outlived = `ya29.${randomBytes(24).toString('base64url')}`;
const user = 'anna@example.test';

/** Tells Dovecot whose a token is (RFC 7662), and counts how often it was asked. */
async function startIntrospection() {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      const said = new URLSearchParams(body).get('token') ?? '';
      asked.push(said);
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(said === token ? { active: true, username: user } : { active: false }));
    });
  });
  return { asked, server, port: await listening(server) };
}

/** Clients that show a token in place of a password, with servers that ask somebody else whose it is. */
describe.runIf(canRun)('AUTH with tokens', () => {
  let introspection: { asked: string[]; server: Server; port: number };
  let dovecot: RunningDovecot;
  let postfix: RunningPostfix;
  let gateway: RunningGateway;
  let port: number;

  beforeAll(async () => {
    const authority = await createTestAuthority();
    const credentials = await authority.issue({ names: ['localhost'] });
    introspection = await startIntrospection();
    const { port: asks } = introspection;
    dovecot = await startDovecot(credentials, [user], 'no password', `http://127.0.0.1:${asks}/introspect`);
    postfix = await startPostfix({
      credentials,
      settings: {
        smtpd_sasl_auth_enable: 'yes',
        smtpd_sasl_type: 'dovecot',
        smtpd_sasl_path: dovecot.authSocket,
        smtpd_tls_auth_only: 'yes',
      },
    });
    port = await freePort();
    gateway = await startGateway({
      files: {
        'root.pem': authority.rootPem,
        'mail.yaml': `
- id: not-anna
  title: Somebody who may not send
  action: block
  when:
    all:
      - { field: mail.auth.identity, equals: ${user} }
      - { field: mail.subject, contains: forbidden }
`,
      },
      config: {
        listeners: [reverse(port, postfix.port)],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
        rules: { files: ['$DIRECTORY/mail.yaml'] },
      },
    });
  }, 90_000);
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await postfix?.[Symbol.asyncDispose]();
    await dovecot?.[Symbol.asyncDispose]();
    introspection?.server.close();
  });

  const mark = () => `mark-${randomBytes(6).toString('hex')}`;
  const arrives = (text: string) =>
    expect.poll(() => postfix.mails().some((mail) => mail.includes(text)), { timeout: 15_000 }).toBe(true);
  const recordWith = (text: string) =>
    gateway
      .waitForRecords('traffic', (all) => all.some((one) => subjectOf(one) === text))
      .then((all) => all.find((one) => subjectOf(one) === text));
  const subjectOf = (record: Record<string, unknown>) => (record.email as { subject?: string } | undefined)?.subject;

  const clients = {
    curl: (mechanism: string, secret: string, subject: string) => {
      const target = ['--ssl-reqd', '--cacert', gateway.caFile, `smtp://localhost:${port}/me`];
      // Where both are offered, this is what curl takes.
      expect(mechanism).toBe('OAUTHBEARER');
      const auth = ['-u', `${user}:`, '--oauth2-bearer', secret];
      const mail = ['--mail-from', user, '--mail-rcpt', 'b@example.test', '-T', '-'];
      return run('curl', ['-sS', ...target, ...auth, ...mail], { input: `Subject: ${subject}\r\n\r\nx\r\n` });
    },
    msmtp: (mechanism: string, secret: string, subject: string) => {
      const target = ['--host=localhost', `--port=${port}`, '--tls=on', '--tls-starttls=on', `--from=${user}`];
      const auth = [`--auth=${mechanism.toLowerCase()}`, `--user=${user}`, `--passwordeval=echo ${secret}`];
      return run('msmtp', [...target, ...auth, `--tls-trust-file=${gateway.caFile}`, 'b@example.test'], {
        input: `Subject: ${subject}\n\nx\n`,
      });
    },
  };

  it.each([
    ['curl', 'OAUTHBEARER'],
    ['msmtp', 'XOAUTH2'],
    ['msmtp', 'OAUTHBEARER'],
  ] as const)('by %s with %s let the mail pass, and the record says whose', async (client, mechanism) => {
    const subject = mark();
    const before = introspection.asked.length;
    const { code, stderr } = await clients[client](mechanism, token, subject);
    expect(code, `${stderr}\n${dovecot.log()}`).toBe(0);
    await arrives(subject);
    expect(await recordWith(subject)).toMatchObject({
      unmapped: { gateway: { mail: { auth_mechanism: mechanism, auth_identity: user } } },
    });
    // Dovecot may remember a token that was good.
    for (const said of introspection.asked.slice(before)) expect(said).toBe(token);
  });

  it('by nodemailer with XOAUTH2 pass, too', async () => {
    const subject = mark();
    const transport = createTransport({
      host: 'localhost',
      port,
      requireTLS: true,
      tls: { ca: readFileSync(gateway.caFile, 'utf8') },
      auth: { type: 'OAuth2', user, accessToken: token },
    });
    await transport.sendMail({ from: user, to: 'b@example.test', subject, text: 'x' });
    transport.close();
    await arrives(subject);
    expect(await recordWith(subject)).toMatchObject({
      unmapped: { gateway: { mail: { auth_mechanism: 'XOAUTH2', auth_identity: user } } },
    });
  });

  it('of somebody whom a rule names block a mail', async () => {
    const { code, stderr } = await clients.msmtp('OAUTHBEARER', token, 'forbidden');
    expect(code).not.toBe(0);
    expect(stderr).toContain('550 5.7.1 POLICY_RULE_BLOCK not-anna');
  });

  it('that are not good any more are refused by the origin, and curl hears it', async () => {
    const { code, stderr } = await clients.curl('OAUTHBEARER', outlived, mark());
    expect(code, stderr).toBe(67);
    expect(introspection.asked).toContain(outlived);
  });

  it('never stand in a record or log, in any encoding that was sent', () => {
    expect(introspection.asked).toContain(token);
    const directory = join(gateway.directory, 'records');
    const all = readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'));
    // Base64 of a text depends on where it begins in what is encoded; each has the middle of the token in one of three.
    const encoded = [token, outlived].flatMap((secret) =>
      ['', 'x', 'xx'].map((before) =>
        Buffer.from(before + secret)
          .toString('base64')
          .slice(4, -4),
      ),
    );
    for (const text of [...all, gateway.log()]) {
      for (const secret of [token, outlived, ...encoded]) expect(text).not.toContain(secret);
    }
  });
});

/** A challenge of NTLM that a client can answer: any eight octets, for no realm in particular. */
const ntlmChallenge = (() => {
  const message = Buffer.alloc(48);
  message.write('NTLMSSP\0', 'latin1');
  message.writeUInt32LE(2, 8);
  message.writeUInt32LE(48, 16);
  message.writeUInt32LE(0x0000_8201, 20);
  message.write('12345678', 24, 'latin1');
  message.writeUInt32LE(48, 44);
  return message.toString('base64');
})();

/** A server that answers AUTH with the words of a script, and takes any mail. */
async function startScripted(offer: string, script: readonly string[]) {
  const heard: string[] = [];
  let step = -1;
  let isInMail = false;
  const answer = (line: string): string | undefined => {
    if (isInMail) {
      isInMail = line !== '.';
      return isInMail ? undefined : '250 taken';
    }
    if (line.startsWith('AUTH ')) step = 0;
    if (step >= 0 && step < script.length) {
      heard.push(line);
      return script[step++];
    }
    isInMail = line === 'DATA';
    if (line.startsWith('EHLO')) return `250-mx.example\r\n250 AUTH ${offer}`;
    return isInMail ? '354 go' : '250 OK';
  };
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.write('220 mx.example ESMTP\r\n');
    let text = '';
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
        const said = answer(text.slice(0, end));
        text = text.slice(end + 2);
        if (said !== undefined) socket.write(`${said}\r\n`);
      }
    });
  });
  return { heard, server, port: await listening(server) };
}

async function throughPlane(origin: { readonly port: number; readonly server: TcpServer }) {
  const plane = await startDataPlane({ listeners: [published('127.0.0.1', origin.port)] });
  return {
    plane,
    async [Symbol.asyncDispose]() {
      await plane[Symbol.asyncDispose]();
      origin.server.close();
    },
  };
}

/** What no server of the tests speaks: challenges and answers are for its two ends alone, and pass word for word. */
describe('AUTH by mechanisms that the gateway cannot read', () => {
  it('NTLM by curl: three messages, and no identity', async () => {
    const origin = await startScripted('NTLM', ['334', `334 ${ntlmChallenge}`, '235 2.7.0 OK']);
    await using through = await throughPlane(origin);
    const auth = ['-u', 'DOMAIN\\anna:no-password', '--login-options', 'AUTH=NTLM'];
    const mail = ['--mail-from', user, '--mail-rcpt', 'b@example.test', '-T', '-'];
    const { code, stderr } = await run('curl', ['-sS', `smtp://127.0.0.1:${through.plane.port}/me`, ...auth, ...mail], {
      input: 'Subject: x\r\n\r\nx\r\n',
    });
    expect(code, stderr).toBe(0);
    const [first, negotiate = '', authenticate = ''] = origin.heard;
    expect(first).toBe('AUTH NTLM');
    for (const message of [negotiate, authenticate]) {
      expect(Buffer.from(message, 'base64').toString('latin1', 0, 7)).toBe('NTLMSSP');
    }
    expect(Buffer.from(authenticate, 'base64').readUInt32LE(8)).toBe(3);
    await expect.poll(() => through.plane.mails.length).toBe(1);
    expect(through.plane.mails[0]?.envelope).toMatchObject({ authMechanism: 'NTLM', authIdentity: undefined });
  });

  it.each([
    ['GSSAPI', ['YIICdwYJKoZIhvcSAQICAQBuggJm', 'BQQE/wAMAAAAAAAAMBo=', '']],
    ['GS2-KRB5', ['cCxhPWFubmEsYIIC', '*', '']],
  ] as const)('%s: tokens, an empty answer and a long challenge', async (mechanism, says) => {
    const longest = Buffer.alloc(9_000, 7).toString('base64');
    const script = [`334 ${longest}`, '334 ', '334', '235 2.7.0 OK'];
    const origin = await startScripted(mechanism, script);
    await using through = await throughPlane(origin);
    const socket = connect(through.plane.port, '127.0.0.1');
    const typist = new Typist(socket);
    await typist.hears(/^220 /);
    typist.say('EHLO me\r\n');
    await typist.hears(new RegExp(`AUTH ${mechanism}\r\n`));
    const heard: string[] = [];
    for (const line of [`AUTH ${mechanism}`, ...says]) {
      typist.say(`${line}\r\n`);
      heard.push((await typist.hears(/\r\n$/)).slice(0, -2));
    }
    expect(origin.heard).toEqual([`AUTH ${mechanism}`, ...says]);
    expect(heard).toEqual(script);
    socket.destroy();
  });
});

describe.runIf(canRun)('SCRAM with an origin that offers to bind it to its TLS', () => {
  it('goes on without: -PLUS is taken out of the offer, and the record says so', async () => {
    const password = `secret-${randomBytes(9).toString('hex')}`;
    const authority = await createTestAuthority();
    await using dovecot = await startDovecot(await authority.issue({ names: ['localhost'] }), [user], password);
    await using postfix = await startPostfix({
      settings: {
        smtpd_sasl_auth_enable: 'yes',
        smtpd_sasl_type: 'dovecot',
        smtpd_sasl_path: dovecot.authSocket,
        // Nothing of what Debian has offers -PLUS: it is put into the offer on its way to the gateway.
        smtpd_discard_ehlo_keywords: 'chunking',
      },
    });
    const server = createTcpServer((socket) => {
      const own = connect(postfix.port, '127.0.0.1');
      for (const end of [socket, own])
        end.on('error', () => {}).on('close', () => [socket, own].map((it) => it.destroy()));
      socket.pipe(own);
      own.on('data', (bytes: Buffer) =>
        socket.write(bytes.toString('latin1').replace('250-AUTH ', '250-AUTH SCRAM-SHA-256-PLUS '), 'latin1'),
      );
    });
    await using through = await throughPlane({ server, port: await listening(server) });
    const target = ['--host=127.0.0.1', `--port=${through.plane.port}`, '--tls=off', `--from=${user}`];
    const auth = ['--auth=scram-sha-256', `--user=${user}`, `--passwordeval=echo ${password}`];
    const { code, stderr } = await run('msmtp', [...target, ...auth, 'b@example.test'], { input: 'Subject: x\n\nx\n' });
    expect(code, stderr).toBe(0);
    await expect.poll(() => through.plane.mails.length).toBe(1);
    expect(through.plane.mails[0]?.envelope).toMatchObject({
      authMechanism: 'SCRAM-SHA-256',
      authIdentity: user,
      removedOffers: expect.arrayContaining(['AUTH SCRAM-SHA-256-PLUS']),
    });
  }, 60_000);
});
