import { once } from 'node:events';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { connect as connectTls, createSecureContext } from 'node:tls';
import { beforeAll, describe, it } from 'vitest';
import type { PolicyDocument } from '../../src/core/policy.ts';
import { startDataPlane } from '../support/data-plane.ts';
import { beginTls, openFtpSession, published, upgradingOrigin } from '../support/ftp-session.ts';
import { startMailOrigin, Typist } from '../support/mail-origin.ts';
import { policyDocument } from '../support/policy.ts';
import { listening } from '../support/tcp.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

const timeouts = { ...policyDocument().timeouts, idleMs: 1_500 };
const idleEnd = /^421 4\.4\.2 CLIENT_IDLE_TIMEOUT [^\r\n]*\r\n$/;
const drainEnd = /^421 4\.3\.2 GATEWAY_SHUTTING_DOWN [^\r\n]*\r\n$/;

let authority: TestAuthority;
beforeAll(async () => {
  authority = await createTestAuthority();
});

/** A mail server of few words, which keeps what it hears and how it was left. */
async function scriptedOrigin(answers: (line: string) => string | undefined) {
  const seen = { lines: [] as string[], ending: '' };
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('end', () => (seen.ending = 'end'));
    socket.on('close', (hadError) => (seen.ending ||= hadError ? 'error' : 'close'));
    socket.write('220 mx.example ESMTP\r\n');
    socket.on('data', (bytes: Buffer) => {
      for (const line of bytes.toString('latin1').split('\r\n').slice(0, -1)) {
        seen.lines.push(line);
        const answer = answers(line);
        if (answer !== undefined) socket.write(`${answer}\r\n`);
      }
    });
  });
  return { port: await listening(server), seen, server };
}

const usual = (line: string): string =>
  line.startsWith('EHLO') ? '250 mx.example' : line === 'DATA' ? '354 go' : '250 OK';

/** A session through a published endpoint, behind EHLO. */
async function openSession(port: number, changes: Partial<PolicyDocument> = {}) {
  const plane = await startDataPlane({
    listeners: [published('127.0.0.1', port)],
    originTrust: { rootsPem: [authority.rootPem] },
    ...changes,
  });
  const socket: Socket = connectTcp(plane.port, '127.0.0.1');
  const typist = new Typist(socket);
  await typist.hears(/^220 /);
  typist.say('EHLO me\r\n');
  await typist.hears(/^250 [^\r\n]*\r\n$/m);
  return { plane, socket, typist, [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose]() };
}

describe.concurrent('a mail session that is idle between commands', () => {
  it('is ended with 421, and the origin is told QUIT', async ({ expect }) => {
    const origin = await scriptedOrigin(usual);
    await using session = await openSession(origin.port, { timeouts });
    expect(await session.typist.hearsEnd()).toMatch(idleEnd);
    await expect.poll(() => origin.seen).toEqual({ lines: ['EHLO me', 'QUIT'], ending: 'end' });
    await expect.poll(() => session.plane.flows[0]?.failure).toBe('CLIENT_IDLE_TIMEOUT');
    origin.server.close();
  }, 20_000);

  it('is ended so under TLS as well, and with a recipient already named', async ({ expect }) => {
    const origin = await startMailOrigin(await authority.issue({ names: ['localhost'] }));
    await using session = await openSession(origin.port, { timeouts });
    session.typist.say('STARTTLS\r\n');
    await session.typist.hears(/^220 /);
    session.typist.leave();
    const secure = connectTls({ socket: session.socket, servername: 'localhost', ca: session.plane.ca });
    await once(secure, 'secureConnect');
    const inside = new Typist(secure);
    inside.say('EHLO me\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n');
    await inside.hears(/250 [^\r\n]*\r\n250 [^\r\n]*\r\n250 [^\r\n]*\r\n$/);
    expect(await inside.hearsEnd()).toMatch(idleEnd);
    await expect.poll(() => session.plane.flows[0]).toMatchObject({ failure: 'CLIENT_IDLE_TIMEOUT', decrypted: true });
    await origin[Symbol.asyncDispose]();
  }, 20_000);

  it('is ended so where it is AUTH that the client does not go on with', async ({ expect }) => {
    const origin = await scriptedOrigin((line) => (line === 'AUTH LOGIN' ? '334 VXNlcm5hbWU6' : usual(line)));
    await using session = await openSession(origin.port, { timeouts });
    session.typist.say('AUTH LOGIN\r\n');
    await session.typist.hears(/^334 /);
    expect(await session.typist.hearsEnd()).toMatch(/^421 4\.4\.2 CLIENT_IDLE_TIMEOUT /);
    // What follows AUTH is no command: nothing is said there.
    await expect.poll(() => origin.seen.ending).not.toBe('');
    expect(origin.seen.lines).toEqual(['EHLO me', 'AUTH LOGIN']);
    origin.server.close();
  }, 20_000);

  it('hears nothing in the middle of what the origin says: half a reply never passes', async ({ expect }) => {
    const origin = await scriptedOrigin((line) => (line === 'NOOP' ? '250-half of' : usual(line)));
    await using session = await openSession(origin.port, { timeouts });
    session.typist.say('NOOP\r\n');
    expect(await session.typist.hearsEnd()).toMatch(/^421 4\.4\.2 ORIGIN_IDLE_TIMEOUT [^\r\n]*\r\n$/);
    expect(origin.seen.lines).toEqual(['EHLO me', 'NOOP']);
    origin.server.close();
  }, 20_000);

  it('is not told QUIT in the middle of a mail', async ({ expect }) => {
    const origin = await scriptedOrigin((line) => (/^(?:Subject|)$/.test(line) ? undefined : usual(line)));
    await using session = await openSession(origin.port, { timeouts });
    session.typist.say('MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n');
    await session.typist.hears(/354 go/);
    session.typist.say('Subject\r\n');
    expect(await session.typist.hearsEnd()).toMatch(/^421 4\.4\.2 CLIENT_IDLE_TIMEOUT /);
    await expect.poll(() => origin.seen.ending).not.toBe('');
    expect(origin.seen.lines.at(-1)).toBe('Subject');
    origin.server.close();
  }, 20_000);
});

describe.concurrent('a gateway that goes down', () => {
  it('tells an idle mail session 421 4.3.2, and its origin QUIT', async ({ expect }) => {
    const origin = await scriptedOrigin(usual);
    await using session = await openSession(origin.port);
    await session.plane.drain(10_000);
    expect(await session.typist.hearsEnd()).toMatch(drainEnd);
    await expect.poll(() => origin.seen).toEqual({ lines: ['EHLO me', 'QUIT'], ending: 'end' });
    expect(session.plane.flows[0]?.failure).toBeUndefined();
    origin.server.close();
  }, 20_000);

  it('lets a mail under way end first', async ({ expect }) => {
    const origin = await scriptedOrigin((line) => (line === 'hello' ? undefined : usual(line)));
    await using session = await openSession(origin.port);
    const { typist, plane } = session;
    typist.say('MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n');
    await typist.hears(/354 go/);
    const drained = plane.drain(10_000);
    await wait(300);
    expect(typist.heard).toBe('');
    typist.say('hello\r\n.\r\n');
    await drained;
    expect(await typist.hearsEnd()).toMatch(/^250 OK\r\n421 4\.3\.2 GATEWAY_SHUTTING_DOWN [^\r\n]*\r\n$/);
    expect(origin.seen.lines.slice(-3)).toEqual(['hello', '.', 'QUIT']);
    expect(plane.mails[0]).toMatchObject({ outcome: { complete: true } });
    origin.server.close();
  }, 20_000);

  it('tells an idle FTP session 421 as well', async ({ expect }) => {
    await using session = await openFtpSession(authority, () => '200 OK');
    await session.plane.drain(10_000);
    expect(await session.typist.hearsEnd()).toMatch(/^421 GATEWAY_SHUTTING_DOWN [^\r\n]*\r\n$/);
    expect(session.plane.flows[0]?.failure).toBeUndefined();
  }, 20_000);

  it('with no time to wait tells all the same: idle mail and FTP sessions', async ({ expect }) => {
    const origin = await scriptedOrigin(usual);
    await using session = await openSession(origin.port);
    await using files = await openFtpSession(authority, () => '200 OK');
    await Promise.all([session.plane.drain(0), files.plane.drain(0)]);
    expect(await session.typist.hearsEnd()).toMatch(drainEnd);
    expect(await files.typist.hearsEnd()).toMatch(/^421 GATEWAY_SHUTTING_DOWN [^\r\n]*\r\n$/);
    await expect.poll(() => origin.seen).toEqual({ lines: ['EHLO me', 'QUIT'], ending: 'end' });
    expect([session.plane.flows[0]?.failure, files.plane.flows[0]?.failure]).toEqual([undefined, undefined]);
    origin.server.close();
  }, 20_000);

  it('tells so in the middle of a mail, of which the origin gets no end', async ({ expect }) => {
    const origin = await scriptedOrigin((line) => (line === 'hello' ? undefined : usual(line)));
    await using session = await openSession(origin.port);
    const { typist, plane } = session;
    typist.say('MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n');
    await typist.hears(/354 go/);
    typist.say('hello\r\n');
    await expect.poll(() => origin.seen.lines.at(-1)).toBe('hello');
    await plane.drain(0);
    expect(await typist.hearsEnd()).toMatch(drainEnd);
    await expect.poll(() => origin.seen.ending).not.toBe('');
    expect(origin.seen.lines.at(-1)).toBe('hello');
    expect(plane.mails[0]).toMatchObject({ outcome: { complete: false, failure: 'GATEWAY_SHUTTING_DOWN' } });
    expect(plane.flows[0]?.failure).toBe('GATEWAY_SHUTTING_DOWN');
    origin.server.close();
  }, 20_000);

  it('tells so under TLS, in the middle of what an FTP server does not answer', async ({ expect }) => {
    const context = createSecureContext(await authority.issue({ names: ['localhost'] }));
    const origin = upgradingOrigin(context, () => '150 not yet');
    await using session = await openFtpSession(authority, origin.plain);
    const control = await beginTls(session);
    await once(control, 'secureConnect');
    const typist = new Typist(control);
    typist.say('STAT\r\n');
    await typist.hears(/^150 /);
    await session.plane.drain(0);
    expect(await typist.hearsEnd()).toMatch(/^421 GATEWAY_SHUTTING_DOWN [^\r\n]*\r\n$/);
    expect(session.plane.flows[0]?.failure).toBe('GATEWAY_SHUTTING_DOWN');
  }, 20_000);
});
