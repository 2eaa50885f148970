import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { ClearableTransport } from '../../src/net/clearable-transport.ts';
import { beginTls, type FtpTestSession, openFtpSession } from '../support/ftp-session.ts';
import { Typist } from '../support/mail-origin.ts';
import { policyDocument } from '../support/policy.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

let authority: TestAuthority;
let context: SecureContext;
beforeAll(async () => {
  authority = await createTestAuthority();
  context = createSecureContext(await authority.issue({ names: ['localhost'] }));
});

const { files, timeouts } = policyDocument();
const cleared = { files: { ...files, clearCommandChannel: 'allow' as const } };

/** Consents to AUTH TLS, and answers what comes under it by `answer`, which is given the TLS and what lies under it. */
function origin(answer: (line: string, secure: TLSSocket, transport: ClearableTransport) => string | undefined) {
  return (_line: string, socket: Socket): undefined => {
    socket.write('234 go\r\n');
    socket.removeAllListeners('data');
    const transport = new ClearableTransport(socket);
    const secure = new TLSSocket(transport, { isServer: true, secureContext: context });
    transport.watch(secure);
    secure.on('error', () => {});
    secure.on('data', (bytes: Buffer) => {
      const said = answer(bytes.toString('latin1').trimEnd(), secure, transport);
      if (said !== undefined) secure.write(said);
    });
  };
}

/** Answers CCC, ends TLS and goes on in plaintext; notes what it hears from then on. */
function clearing(heard: string[], behind = '') {
  return origin((line, secure, transport) => {
    if (line !== 'CCC') return '200 OK\r\n';
    secure.removeAllListeners('data');
    secure.write('200 clear\r\n');
    transport.clear(secure, 5_000).then((outcome) => {
      if (outcome.kind !== 'clear') return heard.push(outcome.kind);
      const { socket } = outcome;
      if (behind !== '') socket.write(behind);
      socket.on('data', (bytes: Buffer) => {
        heard.push(bytes.toString('latin1'));
        socket.write('200 in the clear\r\n');
      });
      return socket.resume();
    });
    return undefined;
  });
}

/** A session under TLS, with the transport that its TLS can be taken off again. */
async function underTls(session: FtpTestSession) {
  await session.asks('AUTH TLS', /^234 /);
  session.typist.leave();
  const transport = new ClearableTransport(session.socket);
  const { connect } = await import('node:tls');
  const secure = connect({ socket: transport, servername: 'localhost', ca: session.plane.ca });
  transport.watch(secure);
  secure.on('error', () => {});
  await once(secure, 'secureConnect');
  const typist = new Typist(secure);
  const clear = async () => {
    secure.removeAllListeners('data');
    const outcome = await transport.clear(secure, 5_000);
    if (outcome.kind !== 'clear') throw new Error(outcome.kind);
    return outcome.socket;
  };
  return { secure, typist, clear };
}

describe('CCC', () => {
  it('ends TLS on both legs, behind which commands and answers pass in plaintext', async () => {
    const heard: string[] = [];
    await using session = await openFtpSession(authority, clearing(heard), cleared);
    const { typist, clear } = await underTls(session);
    typist.say('CCC\r\n');
    expect(await typist.hears(/\r\n/)).toBe('200 clear\r\n');
    const socket = await clear();
    expect(socket).toBe(session.socket);
    const plain = new Typist(socket);
    for (const line of ['PWD\r\n', 'NOOP\r\n']) {
      plain.say(line);
      expect(await plain.hears(/\r\n/)).toBe('200 in the clear\r\n');
    }
    expect(heard).toEqual(['PWD\r\n', 'NOOP\r\n']);
    // What it protected until then is not forgotten, and it does not come back.
    plain.say('CCC\r\n');
    expect(await plain.hears(/\r\n/)).toMatch(/^533 /);
    plain.say('AUTH TLS\r\n');
    expect(await plain.hears(/\r\n/)).toMatch(/^502 /);
    expect(heard).toHaveLength(2);
  });

  it('and what passes behind it is exported with what had been decrypted, as one conversation', async () => {
    const blocks: Buffer[] = [];
    const packets = { isWanted: () => true, add: (more: readonly Buffer[]) => void blocks.push(...more) };
    await using session = await openFtpSession(authority, clearing([]), cleared, packets);
    const { typist, clear } = await underTls(session);
    typist.say('NOOP\r\n');
    await typist.hears(/^200 OK/);
    typist.say('CCC\r\n');
    await typist.hears(/^200 clear/);
    const plain = new Typist(await clear());
    plain.say('PWD\r\n');
    await plain.hears(/^200 in the clear/);
    plain.say('QUIT\r\n');
    session.socket.end();
    await expect.poll(() => session.plane.flows.length).toBe(1);
    const ends = (): number => blocks.filter((block) => isFinOrReset(block)).length;
    await expect.poll(ends).toBe(2);
    const said = blocks.map((block) => block.toString('latin1')).join('');
    for (const line of ['NOOP', 'CCC', '200 clear', 'PWD', '200 in the clear', 'QUIT'])
      expect(said).toContain(`${line}\r\n`);
    expect(blocks.findIndex((block) => isFinOrReset(block))).toBeGreaterThan(
      blocks.findIndex((block) => block.includes('QUIT\r\n')),
    );
  });

  it('and what the client sends with its end of TLS is the first line of plaintext', async () => {
    const heard: string[] = [];
    await using session = await openFtpSession(authority, clearing(heard), cleared);
    const { secure, typist } = await underTls(session);
    typist.say('CCC\r\n');
    await typist.hears(/^200 clear/);
    // In one packet with the close_notify.
    session.socket.cork();
    secure.end();
    await new Promise((resolve) => setTimeout(resolve, 50));
    session.socket.write('PWD\r\n');
    session.socket.uncork();
    await expect.poll(() => heard).toEqual(['PWD\r\n']);
  });

  it.each([
    ['behind it in one packet', 0],
    ['behind it, before the answer', 30],
  ])('a command %s ends the session, and the origin never hears it', async (_what, delayMs) => {
    const heard: string[] = [];
    const slow = origin((line, secure) => {
      heard.push(line);
      if (line === 'CCC') setTimeout(() => secure.write('200 clear\r\n'), 200);
      return line === 'CCC' ? undefined : '200 OK\r\n';
    });
    await using session = await openFtpSession(authority, slow, cleared);
    const { typist } = await underTls(session);
    if (delayMs === 0) typist.say('CCC\r\nDELE x\r\n');
    else {
      typist.say('CCC\r\n');
      await expect.poll(() => heard).toEqual(['CCC']);
      typist.say('DELE x\r\n');
    }
    expect(await typist.hearsEnd()).toMatch(/^421 CLIENT_UPGRADE_INJECTION /);
    expect(heard).not.toContain('DELE x');
    await expect.poll(() => session.plane.flows[0]?.failure).toBe('CLIENT_UPGRADE_INJECTION');
  });

  it('plaintext of the client in the middle of TLS ends the session, and the origin never hears it', async () => {
    const heard: string[] = [];
    await using session = await openFtpSession(authority, clearing(heard), cleared);
    const { typist } = await underTls(session);
    session.socket.write('DELE x\r\n');
    typist.say('CCC\r\n');
    await typist.hearsEnd();
    expect(heard.join('')).not.toContain('DELE');
  });

  it('a reply that the origin sends in plaintext before it is asked ends the session', async () => {
    const heard: string[] = [];
    await using session = await openFtpSession(authority, clearing(heard, '230 logged in\r\n'), cleared);
    const { typist, clear } = await underTls(session);
    typist.say('CCC\r\n');
    await typist.hears(/^200 clear/);
    const plain = new Typist(await clear());
    expect(await plain.hearsEnd()).toMatch(/^421 ORIGIN_FTP_UNSOLICITED /);
  });

  it('a reply behind the consent, still under TLS, ends the session', async () => {
    const answer = origin((line) => (line === 'CCC' ? '200 clear\r\n230 logged in\r\n' : '200 OK\r\n'));
    await using session = await openFtpSession(authority, answer, cleared);
    const { typist } = await underTls(session);
    typist.say('CCC\r\n');
    expect(await typist.hearsEnd()).toMatch(/^421 ORIGIN_UPGRADE_INJECTION /);
  });

  it.each([
    ['says something before', 'ORIGIN_UPGRADE_INJECTION'],
    ['never does', 'ORIGIN_HANDSHAKE_TIMEOUT'],
    ['closes instead', 'ORIGIN_GONE'],
  ])('an origin that consents to the end of TLS and %s: the client is told under TLS', async (what, code) => {
    const answer = origin((line, secure, transport) => {
      if (line !== 'CCC') return '200 OK\r\n';
      // Reads no more: nothing answers our end of TLS.
      secure.pause();
      secure.write('200 clear\r\n');
      if (what.startsWith('says')) setTimeout(() => secure.write('230 logged in\r\n'), 50);
      if (what.startsWith('closes')) setTimeout(() => transport.destroy(), 50);
      return undefined;
    });
    const changes = { ...cleared, timeouts: { ...timeouts, handshakeMs: 1_500 } };
    await using session = await openFtpSession(authority, answer, changes);
    const { typist } = await underTls(session);
    typist.say('CCC\r\n');
    expect(await typist.hearsEnd()).toMatch(new RegExp(`^421 ${code} `));
    await expect.poll(() => session.plane.flows[0]?.failure).toBe(code);
  });

  it('a client that never ends TLS ends its session', async () => {
    const heard: string[] = [];
    const changes = { ...cleared, timeouts: { ...timeouts, handshakeMs: 1_500 } };
    await using session = await openFtpSession(authority, clearing(heard), changes);
    const { secure, typist } = await underTls(session);
    // It does not answer our end of TLS with its own.
    secure.allowHalfOpen = true;
    typist.say('CCC\r\n');
    await typist.hears(/^200 clear/);
    await expect.poll(() => session.plane.flows[0]?.failure, { timeout: 8_000 }).toBe('CLIENT_HANDSHAKE_TIMEOUT');
  });

  it.each([
    ['where policy does not allow it', {}, /^533 /],
    ['where policy demands TLS', { files: { ...cleared.files, requireTls: true } }, /^534 POLICY_TLS_REQUIRED CCC/],
  ])('is refused %s, and the session goes on under TLS', async (_what, changes, answer) => {
    const heard: string[] = [];
    const listening = origin((line) => {
      heard.push(line);
      return '200 OK\r\n';
    });
    await using session = await openFtpSession(authority, listening, changes);
    const control = await beginTls(session);
    await once(control, 'secureConnect');
    const typist = new Typist(control);
    typist.say('CCC\r\n');
    expect(await typist.hears(/\r\n/)).toMatch(answer);
    typist.say('NOOP\r\n');
    expect(await typist.hears(/\r\n/)).toMatch(/^200 /);
    expect(heard).toEqual(['NOOP']);
  });
});

describe('AUTH TLS', () => {
  it('a command that comes before its answer is not taken for protected, and the origin never hears it', async () => {
    const heard: string[] = [];
    await using session = await openFtpSession(authority, (line, socket) => {
      heard.push(line);
      setTimeout(() => socket.write('234 go\r\n'), 200);
      return undefined;
    });
    session.typist.say('AUTH TLS\r\n');
    await expect.poll(() => heard).toEqual(['AUTH TLS']);
    session.typist.say('USER evil\r\n');
    expect(await session.typist.hearsEnd()).toMatch(/^421 CLIENT_UPGRADE_INJECTION /);
    expect(heard).toEqual(['AUTH TLS']);
  });
});

/** Of a packet over IPv4 in a block of its own: behind the block's head of 28 bytes and an IP header of 20. */
function isFinOrReset(block: Buffer): boolean {
  return ((block[28 + 20 + 13] ?? 0) & 0x05) !== 0;
}
