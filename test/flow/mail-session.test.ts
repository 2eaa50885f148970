import { once } from 'node:events';
import { connect as connectTcp, createServer } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { describe, expect, it } from 'vitest';
import type { PolicyDocument } from '../../src/core/policy.ts';
import { startDataPlane } from '../support/data-plane.ts';
import { startMailOrigin, Typist } from '../support/mail-origin.ts';
import { policyDocument } from '../support/policy.ts';
import { listening } from '../support/tcp.ts';
import { createTestAuthority, type OriginWishes } from '../support/test-authority.ts';
import { openTunnel } from '../support/tunnel.ts';

async function openSession(wishes: Partial<OriginWishes> = {}, changes: Partial<PolicyDocument> = {}) {
  const authority = await createTestAuthority();
  const origin = await startMailOrigin(await authority.issue({ names: ['localhost'], ...wishes }));
  const plane = await startDataPlane({ originTrust: { rootsPem: [authority.rootPem] }, ...changes });
  const socket = await openTunnel(plane.port, `localhost:${origin.port}`);
  const typist = new Typist(socket);
  return {
    origin,
    plane,
    socket,
    typist,
    async [Symbol.asyncDispose]() {
      socket.destroy();
      await plane[Symbol.asyncDispose]();
      await origin[Symbol.asyncDispose]();
    },
  };
}

async function askForTls(typist: Typist): Promise<void> {
  await typist.hears(/^220 /);
  typist.say('EHLO me\r\n');
  await typist.hears(/250[ -]STARTTLS/);
  typist.say('STARTTLS\r\n');
}

describe('STARTTLS', () => {
  it('goes through both legs, and a mail passes over TLS', async () => {
    await using session = await openSession();
    const { typist, socket, plane, origin } = session;
    await askForTls(typist);
    await typist.hears(/^220 /);
    typist.leave();
    const secure = connectTls({ socket, servername: 'localhost', ca: plane.ca });
    await once(secure, 'secureConnect');
    const inside = new Typist(secure);
    inside.say('EHLO me\r\n');
    expect(await inside.hears(/250 .*\r\n$/)).not.toContain('STARTTLS');
    inside.say('MAIL FROM:<a@x>\r\n');
    await inside.hears(/^250 /);
    inside.say('RCPT TO:<b@y>\r\n');
    await inside.hears(/^250 /);
    inside.say('DATA\r\n');
    await inside.hears(/^354 /);
    inside.say('Subject: x\r\n\r\nhello\r\n.\r\n');
    await inside.hears(/^250 /);
    inside.say('QUIT\r\n');
    expect(await inside.hearsEnd()).toMatch(/^221 /);
    expect(origin.mails).toEqual(['Subject: x\r\n\r\nhello\r\n']);
    await expect.poll(() => plane.flows.length).toBe(1);
    expect(plane.flows[0]).toMatchObject({
      protocol: 'smtp',
      decrypted: true,
      serverName: 'localhost',
      failure: undefined,
      transactions: 1,
      clientTls: { version: 'TLSv1.3' },
      originTls: { version: 'TLSv1.3' },
    });
  });

  it.each([
    ['expired', { validFromMs: -7_200_000, validForMs: 3_600_000 }, 'ORIGIN_CERT_EXPIRED'],
    ['of another name', { names: ['elsewhere.example'] }, 'ORIGIN_CERT_NAME_MISMATCH'],
  ] as const)(
    'of an origin whose certificate is %s is answered 454, and nothing goes on',
    async (_what, wishes, code) => {
      await using session = await openSession(wishes);
      await askForTls(session.typist);
      session.typist.say('');
      expect(await session.typist.hearsEnd()).toMatch(new RegExp(`^454 4\\.7\\.5 ${code} [^\r\n]*\r\n$`));
      await expect.poll(() => session.plane.flows.map(({ failure }) => failure)).toEqual([code]);
      expect(session.plane.leafsIssued()).toBe(0);
      expect(session.plane.flows[0]?.originTls?.certificate).toBeDefined();
    },
  );

  it('of an origin that fails its check is answered 454 where policy says warn, too', async () => {
    const tls = { ...policyDocument().tls, onOriginFailure: 'warn' as const };
    await using session = await openSession({ names: ['elsewhere.example'] }, { tls });
    await askForTls(session.typist);
    expect(await session.typist.hearsEnd()).toMatch(/^454 4\.7\.5 ORIGIN_CERT_NAME_MISMATCH/);
    await expect.poll(() => session.plane.flows.length).toBe(1);
    expect(session.plane.flows[0]).toMatchObject({ failure: 'ORIGIN_CERT_NAME_MISMATCH', decrypted: false });
    expect(session.plane.leafsIssued()).toBe(0);
  });

  it('of an origin that fails its check leads the client to it where policy says bypass', async () => {
    const tls = { ...policyDocument().tls, onOriginFailure: 'bypass' as const };
    await using session = await openSession({ names: ['elsewhere.example'] }, { tls });
    const { typist, socket, origin, plane } = session;
    await askForTls(typist);
    await typist.hears(/^220 /);
    typist.leave();
    const secure = connectTls({ socket, servername: 'elsewhere.example', rejectUnauthorized: false });
    await once(secure, 'secureConnect');
    expect(secure.getPeerX509Certificate()?.subjectAltName).toBe('DNS:elsewhere.example');
    const inside = new Typist(secure);
    inside.say('EHLO me\r\nMAIL FROM:<through@x>\r\nQUIT\r\n');
    expect(await inside.hearsEnd()).toMatch(/250 [^\r\n]*\r\n221 /);
    expect(origin.senders).toEqual(['through@x']);
    secure.end();
    await expect.poll(() => plane.flows.length, { timeout: 5_000 }).toBe(1);
    expect(plane.flows[0]).toMatchObject({
      failure: undefined,
      decrypted: false,
      decision: { kind: 'bypass', reason: 'origin failure: ORIGIN_CERT_NAME_MISMATCH' },
      bypassedFailure: { code: 'ORIGIN_CERT_NAME_MISMATCH' },
    });
    expect(plane.leafsIssued()).toBe(0);
  });

  it('that begins at once, at a port of mail, with a failed check is answered in mail where policy says warn', async () => {
    const authority = await createTestAuthority();
    const server = createTlsServer(await authority.issue({ names: ['elsewhere.example'] }));
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(2525, '127.0.0.77', resolve));
    const tls = { ...policyDocument().tls, onOriginFailure: 'warn' as const };
    await using plane = await startDataPlane({ originTrust: { rootsPem: [authority.rootPem] }, tls });
    const socket = await openTunnel(plane.port, '127.0.0.77:2525');
    const client = connectTls({ socket, servername: 'mail.example', rejectUnauthorized: false });
    await once(client, 'secureConnect');
    expect(client.getPeerX509Certificate()?.issuer).toMatch(/untrusted/i);
    expect(await new Typist(client).hearsEnd()).toMatch(/^421 4\.7\.5 ORIGIN_CERT_NAME_MISMATCH [^\r\n]*\r\n$/);
    server.close();
  });

  it('of an origin that nobody vouches for is answered 454', async () => {
    await using session = await openSession({}, { originTrust: { rootsPem: [(await createTestAuthority()).rootPem] } });
    await askForTls(session.typist);
    expect(await session.typist.hearsEnd()).toMatch(/^454 4\.7\.5 ORIGIN_CERT_(UNTRUSTED|SELF_SIGNED)/);
  });

  it('with commands behind it in one segment ends the session, and no such command reaches the origin', async () => {
    await using session = await openSession();
    await session.typist.hears(/^220 /);
    session.typist.say('EHLO me\r\n');
    await session.typist.hears(/250 /);
    session.typist.say('STARTTLS\r\nMAIL FROM:<evil@x>\r\n');
    expect(await session.typist.hearsEnd()).toMatch(/^554 5\.7\.0 CLIENT_UPGRADE_INJECTION/);
    expect(session.origin.senders).toEqual([]);
  });

  it('that is followed by plaintext instead of a ClientHello ends the session', async () => {
    await using session = await openSession();
    await askForTls(session.typist);
    await session.typist.hears(/^220 /);
    session.typist.say('MAIL FROM:<evil@x>\r\n');
    await session.typist.hearsEnd();
    await expect.poll(() => session.plane.flows.map(({ failure }) => failure)).toEqual(['CLIENT_UPGRADE_INJECTION']);
    expect(session.origin.senders).toEqual([]);
  });

  it.each([
    ['another server name', { servername: 'other.example' }, 'ORIGIN_CERT_NAME_MISMATCH'],
    ['HTTP alone', { servername: 'localhost', ALPNProtocols: ['http/1.1'] }, 'CLIENT_ALPN_UNSUPPORTED'],
  ] as const)('whose ClientHello asks for %s is refused with an alert', async (_what, options, code) => {
    await using session = await openSession();
    await askForTls(session.typist);
    await session.typist.hears(/^220 /);
    session.typist.leave();
    const secure = connectTls({ socket: session.socket, rejectUnauthorized: false, ...options });
    const [error] = (await once(secure, 'error')) as [Error & { code?: string }];
    expect(error.code).toMatch(/ALERT/);
    await expect.poll(() => session.plane.flows.map(({ failure }) => failure)).toEqual([code]);
    expect(session.plane.leafsIssued()).toBe(0);
  });

  it.each([
    ['in one segment', '220 Ready\r\n250 injected\r\n', ''],
    ['in a later segment', '220 Ready\r\n', '250 injected\r\n'],
  ])('whose consent is followed by a reply %s is answered 454', async (_how, first, later) => {
    const server = createServer((socket) => {
      socket.on('error', () => {}).write('220 localhost ESMTP\r\n');
      socket.on('data', (chunk) => {
        if (String(chunk).startsWith('EHLO')) socket.write('250-localhost\r\n250 STARTTLS\r\n');
        if (!String(chunk).startsWith('STARTTLS')) return;
        socket.write(first);
        if (later !== '') setTimeout(() => socket.write(later), 20);
      });
    });
    const port = await listening(server);
    await using plane = await startDataPlane();
    const socket = await openTunnel(plane.port, `localhost:${port}`);
    const typist = new Typist(socket);
    await askForTls(typist);
    expect(await typist.hearsEnd()).toMatch(/^454 4\.7\.5 ORIGIN_/);
    expect(typist.heard).not.toContain('injected');
    socket.destroy();
    server.close();
  });
});

describe('a mail session in plaintext', () => {
  it('passes and is recorded as such where the origin offers no TLS', async () => {
    await using origin = await startMailOrigin(undefined);
    await using plane = await startDataPlane();
    const socket = await openTunnel(plane.port, `127.0.0.1:${origin.port}`);
    const typist = new Typist(socket);
    await typist.hears(/^220 /);
    typist.say('EHLO me\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n');
    await typist.hears(/354 [^\r\n]*\r\n$/);
    typist.say('x\r\n.\r\nQUIT\r\n');
    expect(await typist.hearsEnd()).toMatch(/250 [^\r\n]*\r\n221 /);
    expect(origin.mails).toEqual(['x\r\n']);
    await expect.poll(() => plane.flows.length).toBe(1);
    expect(plane.flows[0]).toMatchObject({ protocol: 'smtp', decrypted: false, transactions: 1 });
  });

  it('is refused where policy demands TLS', async () => {
    await using origin = await startMailOrigin(undefined);
    await using plane = await startDataPlane({ mail: { ...policyDocument().mail, requireTls: true } });
    const typist = new Typist(await openTunnel(plane.port, `127.0.0.1:${origin.port}`));
    await typist.hears(/^220 /);
    typist.say('EHLO me\r\n');
    expect(await typist.hearsEnd()).toMatch(/^421 4\.7\.4 POLICY_TLS_REQUIRED/);
  });

  it('is mail also where what is not known is refused', async () => {
    await using session = await openSession({}, { opaque: 'refuse' });
    await askForTls(session.typist);
    expect(await session.typist.hears(/^220 /)).toMatch(/^220 /);
  });
});

describe('a server whose greeting tells little', () => {
  it.each([
    ['EHLO me\r\n', 'smtp'],
    ['USER anna\r\n', 'ftp'],
  ])('is what its client speaks: %j', async (command, protocol) => {
    const server = createServer((socket) => {
      socket.on('error', () => {}).write('220 ready\r\n');
      socket.on('data', () => socket.write('250 fine\r\n'));
    });
    const port = await listening(server);
    await using plane = await startDataPlane();
    const socket = await openTunnel(plane.port, `127.0.0.1:${port}`);
    const typist = new Typist(socket);
    await typist.hears(/^220 ready/);
    typist.say(command);
    await typist.hears(/^250 fine/);
    socket.destroy();
    await expect.poll(() => plane.flows.map((flow) => flow.protocol)).toEqual([protocol]);
    server.close();
  });
});

describe('a mail client', () => {
  it('is greeted with the failure when its server cannot be reached', async () => {
    const plane = await startDataPlane({
      listeners: [
        {
          id: 'reverse:mail',
          mode: 'reverse',
          listen: { ip: '127.0.0.1', port: 0 },
          proxyProtocol: 'off',
          trustedProxies: [],
          // Nothing listens there: the port is privileged, and no test uses it.
          origin: { host: '127.0.0.77', port: 25 },
          originTls: 'as-client',
          originName: undefined,
          asset: undefined,
          certificate: undefined,
          sendProxyProtocol: 'off',
        },
      ],
    });
    const typist = new Typist(connectTcp(plane.port, '127.0.0.1'));
    expect(await typist.hearsEnd()).toMatch(/^421 4\.4\.1 ORIGIN_REFUSED [^\r\n]*\r\n$/);
    await plane[Symbol.asyncDispose]();
  });

  it('that offers HTTP in TLS to a mail server is cut off before a byte of it', async () => {
    const authority = await createTestAuthority();
    const origin = await startMailOrigin(await authority.issue({ names: ['localhost'] }), { secure: true });
    await using plane = await startDataPlane({ originTrust: { rootsPem: [authority.rootPem] } });
    const socket = await openTunnel(plane.port, `localhost:${origin.port}`);
    const secure = connectTls({ socket, servername: 'localhost', ca: plane.ca, ALPNProtocols: ['http/1.1'] });
    secure.on('error', () => {});
    const typist = new Typist(secure);
    expect(await typist.hearsEnd()).toBe('');
    await expect.poll(() => plane.flows.length).toBe(1);
    expect(['CLIENT_ALPN_UNSUPPORTED', 'ORIGIN_ALPN_REFUSED']).toContain(plane.flows[0]?.failure);
    await origin[Symbol.asyncDispose]();
  });
});
