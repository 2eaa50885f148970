import { connect, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { beforeAll, describe, it } from 'vitest';
import { dataPort, openFtpSession, portOf } from '../support/ftp-session.ts';
import { policyDocument } from '../support/policy.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

/** Time limits are true to a second: what is to outlast the limit, or not to, keeps more than that away from it. */
const timeouts = { ...policyDocument().timeouts, idleMs: 2_500 };

let authority: TestAuthority;
beforeAll(async () => {
  authority = await createTestAuthority();
});

/** A piece now and then, for longer than the idle limit. */
async function trickle(socket: Socket): Promise<void> {
  for (let piece = 0; piece < 12; piece += 1) {
    socket.write('piece ');
    await wait(400);
  }
  socket.end();
}

describe.concurrent('a control connection of files that is idle', () => {
  it('with nothing under way is ended with 421, which says why', async ({ expect }) => {
    await using session = await openFtpSession(authority, () => '200 OK', { timeouts });
    await session.asks('NOOP', /^200 /);
    expect(await session.typist.hearsEnd()).toMatch(/^421 CLIENT_IDLE_TIMEOUT /);
    await expect.poll(() => session.plane.flows[0]?.failure).toBe('CLIENT_IDLE_TIMEOUT');
    await expect.poll(() => session.origin.sockets[0]?.destroyed).toBe(true);
  }, 20_000);

  it('while the origin owes an answer is ended with 421 as well', async ({ expect }) => {
    await using session = await openFtpSession(authority, () => undefined, { timeouts });
    session.typist.say('NOOP\r\n');
    expect(await session.typist.hearsEnd()).toMatch(/^421 ORIGIN_IDLE_TIMEOUT /);
  }, 20_000);

  it.for(['upload', 'download'] as const)(
    'lives as long as its transfer (%s), and the answer after it',
    { timeout: 20_000 },
    async (way, { expect }) => {
      const data = await dataPort();
      const verb = way === 'upload' ? 'STOR' : 'RETR';
      await using session = await openFtpSession(
        authority,
        (line) => (line === 'EPSV' ? `229 x (|||${data.port}|)` : line.startsWith(verb) ? '150 here' : '200 OK'),
        { timeouts },
      );
      const own = connect(portOf(await session.asks('EPSV', /^229 /)), '127.0.0.1');
      await session.asks(`${verb} file`, /^150 /);
      const theirs = await data.next;
      const [from, to] = way === 'upload' ? [own, theirs] : [theirs, own];
      to.on('end', () => to.end()).resume();
      await trickle(from);
      // Longer than the clock of time limits takes to look again: the file is there, and the origin still at work on it.
      await wait(1_300);
      session.origin.sockets[0]?.write('226 done\r\n');
      await session.typist.hears(/^226 done/);
      await session.asks('NOOP', /^200 /);
      expect(session.plane.transfers[0]).toMatchObject({ bytes: 72, outcome: { complete: true } });
      data.server.close();
    },
  );

  it('lives on behind a transfer whose end the origin told long before its last byte passed', async () => {
    const data = await dataPort();
    await using session = await openFtpSession(
      authority,
      (line) =>
        line === 'EPSV' ? `229 x (|||${data.port}|)` : line.startsWith('RETR') ? '150 here\r\n226 done' : '200 OK',
      { timeouts },
    );
    const own = connect(portOf(await session.asks('EPSV', /^229 /)), '127.0.0.1');
    own.on('end', () => own.end()).resume();
    await session.asks('RETR file', /^150 /);
    await trickle(await data.next);
    await session.typist.hears(/^226 done/);
    await wait(1_300);
    await session.asks('NOOP', /^200 /);
    data.server.close();
  }, 20_000);
});
