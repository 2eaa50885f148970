import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext, createServer, TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { startDataPlane } from '../support/data-plane.ts';
import { beginTls, openFtpSession, openProtectedTransfer, published, upgradingOrigin } from '../support/ftp-session.ts';
import { Typist } from '../support/mail-origin.ts';
import { listening } from '../support/tcp.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

let authority: TestAuthority;
beforeAll(async () => {
  authority = await createTestAuthority();
});

describe('data connections under TLS', () => {
  it.each([
    ['with close_notify is complete', true],
    ['with a bare FIN is cut short, and the client is told', false],
  ])('a download that ends %s', async (_what, isProper) => {
    const { session, data, context, client, inside, answers } = await openProtectedTransfer(authority, 'RETR');
    const raw = await data.next;
    const theirs = await secureServer(raw, context);
    theirs.write('content');
    let got = '';
    client.on('data', (bytes: Buffer) => (got += bytes));
    if (isProper) theirs.end();
    else setTimeout(() => raw.end(), 50);
    await expect.poll(() => session.plane.transfers.length + (client.closed ? 1 : 0) > 0).toBe(true);
    client.end();
    answers('226 done');
    expect(await inside.hears(/\r\n/)).toMatch(isProper ? /^226 / : /^426 ORIGIN_TRUNCATED /);
    if (isProper) expect(got).toBe('content');
    expect(session.plane.transfers[0]?.outcome).toMatchObject({ complete: isProper });
    data.server.close();
    await session[Symbol.asyncDispose]();
  });

  it.each([
    ['with close_notify is complete', true, 'TLSv1.2'],
    ['with close_notify is complete', true, 'TLSv1.3'],
    ['with a bare FIN is cut short, and the origin is not told that it is whole', false, 'TLSv1.2'],
    ['with a bare FIN is cut short, and the origin is not told that it is whole', false, 'TLSv1.3'],
  ] as const)('an upload that ends %s (%s, %s)', async (_what, isProper, version) => {
    const options = { minVersion: version, maxVersion: version };
    const opened = await openProtectedTransfer(authority, 'STOR', options);
    const { session, data, context, own, client, inside, answers } = opened;
    const theirs = await secureServer(await data.next, context);
    let got = '';
    let isEnded = false;
    let broken: string | undefined;
    theirs.on('data', (bytes: Buffer) => (got += bytes));
    theirs.on('end', () => {
      isEnded = true;
      theirs.end();
    });
    theirs.on('error', ({ code }: NodeJS.ErrnoException) => (broken = code));
    client.resume();
    await once(client, 'secureConnect');
    client.write('half of it');
    if (isProper) client.end(', and the rest');
    else setTimeout(() => own.end(), 50);
    await new Promise((resolve) => theirs.once('close', resolve));
    // An origin that takes a reset for an end.
    answers('226 done');
    expect(await inside.hears(/\r\n/)).toMatch(isProper ? /^226 done/ : /^426 CLIENT_FTP_TRUNCATED /);
    if (isProper) expect(got).toBe('half of it, and the rest');
    expect([isEnded, broken]).toEqual(isProper ? [true, undefined] : [false, 'ECONNRESET']);
    expect(session.plane.transfers[0]?.outcome).toMatchObject(
      isProper ? { complete: true } : { complete: false, failure: 'CLIENT_FTP_TRUNCATED' },
    );
    data.server.close();
    await session[Symbol.asyncDispose]();
  });

  it('one of the origin with another certificate is refused', async () => {
    const { session, data, inside, answers } = await openProtectedTransfer(authority, 'RETR');
    const other = await (await createTestAuthority()).issue({ names: ['localhost'] });
    const theirs = new TLSSocket(await data.next, { isServer: true, secureContext: createSecureContext(other) });
    theirs.on('error', () => {});
    answers('226 done');
    expect(await inside.hears(/\r\n/)).toMatch(/^426 ORIGIN_FTP_DATA_IDENTITY /);
    data.server.close();
    await session[Symbol.asyncDispose]();
  });
});

describe('a client that offers protocols in TLS', () => {
  async function upgradable() {
    const context = createSecureContext(await authority.issue({ names: ['localhost'] }));
    return openFtpSession(authority, upgradingOrigin(context, () => '200 OK').plain);
  }

  it.each([[['http/1.1']], [['h2']], [['h2', 'http/1.1']], [['smtp']]])(
    'of which none is FTP (%j) behind AUTH TLS is refused without a certificate',
    async (ALPNProtocols) => {
      await using session = await upgradable();
      const secure = await beginTls(session, { ALPNProtocols, rejectUnauthorized: false });
      const [error] = (await once(secure, 'error')) as [NodeJS.ErrnoException];
      expect(error.code).toMatch(/ALERT/);
      await expect.poll(() => session.plane.flows.map(({ failure }) => failure)).toEqual(['CLIENT_ALPN_UNSUPPORTED']);
      expect(session.plane.leafsIssued()).toBe(0);
    },
  );

  it.each([[['ftp']], [['http/1.1', 'ftp']], [undefined]])(
    'one of them FTP, or offers none (%j), is let in',
    async (ALPNProtocols) => {
      await using session = await upgradable();
      const secure = await beginTls(session, ALPNProtocols === undefined ? {} : { ALPNProtocols });
      await once(secure, 'secureConnect');
      const inside = new Typist(secure);
      inside.say('NOOP\r\n');
      await inside.hears(/^200 OK/);
      expect(session.plane.leafsIssued()).toBe(1);
    },
  );

  it.each([[['ftp']], [['http/1.1', 'ftp']], [['smtp', 'ftp']]])(
    'one of them FTP (%j), to a server with TLS from the start that agrees, is let in as one of FTP and of nothing else',
    async (ALPNProtocols) => {
      const heard: string[] = [];
      const credentials = await authority.issue({ names: ['localhost'] });
      const server = createServer({ ...credentials, ALPNProtocols: ['ftp'] }, (socket) => {
        socket.on('error', () => {}).write('220 Test server\r\n');
        socket.on('data', (bytes: Buffer) => {
          heard.push(bytes.toString('latin1'));
          socket.write('200 OK\r\n');
        });
      });
      const port = await listening(server);
      await using plane = await startDataPlane({
        listeners: [published('127.0.0.1', port)],
        originTrust: { rootsPem: [authority.rootPem] },
      });
      const open = async (): Promise<[TLSSocket, Typist]> => {
        const socket = connect(plane.port, '127.0.0.1');
        const secure = connectTls({ socket, servername: 'localhost', ca: plane.ca, ALPNProtocols });
        secure.on('error', () => {});
        await once(secure, 'secureConnect');
        const typist = new Typist(secure);
        await typist.hears(/^220 /);
        return [secure, typist];
      };
      const [secure, typist] = await open();
      expect(secure.alpnProtocol).toBe('ftp');
      typist.say('SYST\r\n');
      await typist.hears(/^200 OK/);
      secure.destroy();
      await expect.poll(() => plane.flows.map(({ protocol }) => protocol)).toEqual(['ftp']);
      const [, other] = await open();
      other.say('EHLO me\r\n');
      if (ALPNProtocols.includes('smtp')) await other.hears(/^200 OK/);
      else expect(await other.hearsEnd()).not.toContain('OK');
      await expect.poll(() => heard).toEqual(['SYST\r\n', 'EHLO me\r\n']);
      server.close();
    },
  );

  it('none of them FTP but mail, to a server with TLS from the start, is cut off at its first command of FTP', async () => {
    const heard: string[] = [];
    const credentials = await authority.issue({ names: ['localhost'] });
    const server = createServer({ ...credentials, ALPNProtocols: ['smtp'] }, (socket) => {
      socket.on('error', () => {}).write('220 Test server\r\n');
      socket.on('data', (bytes: Buffer) => heard.push(bytes.toString('latin1')));
    });
    const port = await listening(server);
    await using plane = await startDataPlane({
      listeners: [published('127.0.0.1', port)],
      originTrust: { rootsPem: [authority.rootPem] },
    });
    const socket = connect(plane.port, '127.0.0.1');
    const secure = connectTls({ socket, servername: 'localhost', ca: plane.ca, ALPNProtocols: ['smtp'] });
    secure.on('error', () => {});
    const typist = new Typist(secure);
    await typist.hears(/^220 /);
    typist.say('USER x\r\n');
    await typist.hearsEnd();
    await expect.poll(() => plane.flows.map(({ failure }) => failure)).toEqual(['CLIENT_ALPN_UNSUPPORTED']);
    expect(heard).toEqual([]);
    server.close();
  });

  it('none of them FTP, to a server with TLS from the start, is cut off before a byte of it', async () => {
    const server = createServer(await authority.issue({ names: ['localhost'] }), (socket) => {
      socket.on('error', () => {}).write('220 Test FTP server\r\n');
    });
    const port = await listening(server);
    await using plane = await startDataPlane({
      listeners: [published('127.0.0.1', port)],
      originTrust: { rootsPem: [authority.rootPem] },
    });
    const socket = connect(plane.port, '127.0.0.1');
    const secure = connectTls({ socket, servername: 'localhost', ca: plane.ca, ALPNProtocols: ['http/1.1'] });
    secure.on('error', () => {});
    expect(await new Typist(secure).hearsEnd()).toBe('');
    await expect.poll(() => plane.flows.length).toBe(1);
    expect(['CLIENT_ALPN_UNSUPPORTED', 'ORIGIN_ALPN_REFUSED']).toContain(plane.flows[0]?.failure);
    server.close();
  });
});

/** The origin's side of a data connection, its handshake done. */
async function secureServer(raw: Socket, secureContext: ReturnType<typeof createSecureContext>): Promise<TLSSocket> {
  const secure = new TLSSocket(raw, { isServer: true, secureContext });
  secure.on('error', () => {});
  await once(secure, 'secure');
  return secure;
}
