import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { PolicyDocument } from '../../src/core/policy.ts';
import { startDataPlane } from '../support/data-plane.ts';
import { startScriptedFtpOrigin } from '../support/ftp-origin.ts';
import { published } from '../support/ftp-session.ts';
import { Typist } from '../support/mail-origin.ts';
import { policyDocument } from '../support/policy.ts';

const refusing = { files: { ...policyDocument().files, unread: 'refuse' } } as const;

/** A session at a listener that ends TLS itself: its data connections cannot be led through the gateway. */
async function openSession(changes: Partial<PolicyDocument> = {}) {
  const origin = await startScriptedFtpOrigin(() => '229 x (|||40000|)');
  const plane = await startDataPlane({
    listeners: [{ ...published('127.0.0.1', origin.port), originTls: 'never' }],
    ...changes,
  });
  const socket = connect(plane.port, '127.0.0.1').on('error', () => {});
  const typist = new Typist(socket);
  await typist.hears(/^220 /);
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

const reason = 'FTP unread: originTls never';

describe('files whose data connections cannot be led through the gateway', () => {
  it('pass unread, and the record says that they did and why', async () => {
    await using session = await openSession();
    session.typist.say('USER me\r\n');
    await session.typist.hears(/^229 /);
    session.typist.say('EPSV\r\n');
    // Word for word: no port of the gateway.
    await session.typist.hears(/^229 x \(\|\|\|40000\|\)/);
    session.typist.leave();
    session.socket.destroy();
    await expect.poll(() => session.plane.flows.length).toBe(1);
    expect(session.plane.flows[0]).toMatchObject({ protocol: 'ftp', decision: { kind: 'bypass', reason } });
  });

  it('are refused where policy says so: nothing of the client reaches the origin', async () => {
    await using session = await openSession(refusing);
    session.typist.say('USER me\r\nPASS secret\r\n');
    expect(await session.typist.hearsEnd()).toBe(`421 POLICY_REFUSED ${reason}\r\n`);
    expect(session.origin.heard).toEqual([]);
    await expect.poll(() => session.plane.flows.length).toBe(1);
    expect(session.plane.flows[0]).toMatchObject({
      protocol: 'ftp',
      decision: { kind: 'refuse', reason },
      failure: 'POLICY_REFUSED',
    });
  });

  it('are refused where nothing may pass opaque, as before', async () => {
    await using session = await openSession({ opaque: 'refuse' });
    session.typist.say('USER me\r\n');
    await session.typist.hearsEnd();
    expect(session.origin.heard).toEqual([]);
    await expect.poll(() => session.plane.flows.map(({ failure }) => failure)).toEqual(['CLIENT_NOT_TLS']);
  });
});
