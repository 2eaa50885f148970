import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/core/limits.ts';
import { DataExpectations } from '../../src/flow/data-expectations.ts';
import { startDataPlane } from '../support/data-plane.ts';
import { startScriptedFtpOrigin } from '../support/ftp-origin.ts';
import { Typist } from '../support/mail-origin.ts';
import { listening, socketPair } from '../support/tcp.ts';

/** Two relays that tell each other at once. */
function neighbours(): { readonly here: DataExpectations; readonly there: DataExpectations } {
  const there = new DataExpectations();
  const here = new DataExpectations({
    announce: async (data) => void there.note(data),
    forget: (token) => there.forget(token),
  });
  return { here, there };
}

const appointment = {
  clientIp: '192.0.2.7',
  session: 'one',
  hosts: ['198.51.100.1', 'ftp.example.test'],
  port: 40_000,
  isProxied: false,
};
const ignore = (): void => {};

describe('data connections that are expected', () => {
  it('are known to the other relay by every name of the origin, until they have come or are given up', async () => {
    const { here, there } = neighbours();
    const listener = await here.expect(appointment, '198.51.100.1', ignore, ignore);
    expect(listener.address).toEqual({ ip: '198.51.100.1', port: 40_000 });
    for (const host of appointment.hosts) {
      expect(here.find({ host, port: 40_000 })).toMatchObject({ kind: 'here', clientIp: '192.0.2.7' });
      expect(there.find({ host, port: 40_000 })).toMatchObject({ kind: 'elsewhere', clientIp: '192.0.2.7' });
    }
    expect(there.find({ host: 'ftp.example.test', port: 40_001 })).toBeUndefined();
    listener.close();
    expect([here.isEmpty, there.isEmpty]).toEqual([true, true]);
    here.close();
  });

  it('are handed over to whoever knows the token, and to nobody else', async () => {
    const { here, there } = neighbours();
    const arrived = Promise.withResolvers<Socket>();
    await here.expect(appointment, '198.51.100.1', arrived.resolve, ignore);
    const expected = there.find({ host: 'ftp.example.test', port: 40_000 });
    if (expected?.kind !== 'elsewhere') throw new Error('not known');
    const stranger = connect(expected.handOverPort, '127.0.0.1');
    stranger.on('error', ignore).write(Buffer.alloc(32, 7));
    await new Promise((resolve) => stranger.once('close', resolve));
    const friend = connect(expected.handOverPort, '127.0.0.1');
    friend.on('error', ignore).write(Buffer.concat([Buffer.from(expected.token, 'hex'), Buffer.from('content')]));
    const socket = await arrived.promise;
    socket.resume();
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    expect(bytes.toString()).toBe('content');
    expect([here.isEmpty, there.isEmpty]).toEqual([true, true]);
    friend.destroy();
    socket.destroy();
    here.close();
  });

  it('the last one counts where an origin uses a port again, and the earlier one takes nothing away', async () => {
    const only = new DataExpectations();
    await using pair = await socketPair();
    const taken: string[] = [];
    const first = await only.expect(appointment, '198.51.100.1', () => taken.push('first'), ignore);
    await only.expect(appointment, '198.51.100.1', () => taken.push('second'), ignore);
    first.close();
    const expected = only.find({ host: 'ftp.example.test', port: 40_000 });
    if (expected?.kind !== 'here') throw new Error('not known');
    expected.take(pair.near);
    expect(taken).toEqual(['second']);
    expect(only.isEmpty).toBe(true);
  });

  it('behind a proxy, where our own address stands for origins, are not taken over by another session of the client', async () => {
    const only = new DataExpectations();
    const proxied = { ...appointment, hosts: ['192.0.2.1', 'one.example.test'], isProxied: true };
    const listener = await only.expect(proxied, '192.0.2.1', ignore, ignore);
    const other = { ...proxied, session: 'two', hosts: ['192.0.2.1', 'other.example.test'] };
    await expect(only.expect(other, '192.0.2.1', ignore, ignore)).rejects.toThrow('GATEWAY_PORT_IN_USE');
    // The same session asks anew, and its origin has given the earlier one up.
    (await only.expect(proxied, '192.0.2.1', ignore, ignore)).close();
    const again = await only.expect(proxied, '192.0.2.1', ignore, ignore);
    expect(only.mayBeOf('192.0.2.7', 40_000, false)).toBe(true);
    expect(only.mayBeOf('192.0.2.7', 40_001, true)).toBe(false);
    expect(only.mayBeOf('192.0.2.8', 40_000, true)).toBe(false);
    listener.close();
    again.close();
    expect(only.mayBeOf('192.0.2.7', 40_000, true)).toBe(false);
    (await only.expect(other, '192.0.2.1', ignore, ignore)).close();
  });

  it('of one client are not taken over by another, whose origin names the same port, at whichever relay', async () => {
    const { here, there } = neighbours();
    const listener = await here.expect(appointment, '198.51.100.1', ignore, ignore);
    // One name is enough: the other server is reached by the address, or by a name of its own.
    const other = {
      ...appointment,
      clientIp: '192.0.2.8',
      session: 'two',
      hosts: ['198.51.100.1', 'mine.example.test'],
    };
    for (const relay of [here, there]) {
      await expect(relay.expect(other, '198.51.100.1', ignore, ignore)).rejects.toThrow('GATEWAY_PORT_IN_USE');
      expect(relay.find({ host: '198.51.100.1', port: 40_000 })).toMatchObject({ clientIp: '192.0.2.7' });
      expect(relay.find({ host: 'mine.example.test', port: 40_000 })).toBeUndefined();
    }
    expect(there.note({ ...other, token: 'ab', handOverPort: 1 })).toBe(false);
    listener.close();
    (await there.expect(other, '198.51.100.1', ignore, ignore)).close();
    here.close();
  });
});

/** A session through the explicit proxy, whose origin has offered a data port. */
async function offeredSession() {
  const data = createServer({ allowHalfOpen: true });
  const dataPort = await listening(data);
  const origin = await startScriptedFtpOrigin((line) =>
    line === 'EPSV' ? `229 x (|||${dataPort}|)` : line.startsWith('RETR') ? '150 here' : '200 OK',
  );
  const plane = await startDataPlane();
  const sockets: Socket[] = [];
  const tunnel = (host: string, port: number): Typist => {
    const socket = connect(plane.port, '127.0.0.1').on('error', ignore);
    sockets.push(socket);
    const typist = new Typist(socket);
    typist.say(`CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`);
    return typist;
  };
  const typist = tunnel('127.0.0.1', origin.port);
  await typist.hears(/200 Connection Established\r\n\r\n220 /);
  typist.say('SYST\r\n');
  await typist.hears(/^215 /);
  typist.say('EPSV\r\n');
  await typist.hears(/^229 /);
  return {
    data,
    dataPort,
    origin,
    plane,
    typist,
    tunnel,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await plane[Symbol.asyncDispose]();
      await origin[Symbol.asyncDispose]();
      data.close();
    },
  };
}

describe('a data connection through the explicit proxy', () => {
  it('by another name of the origin does not pass unread', async () => {
    await using session = await offeredSession();
    const { tunnel, dataPort, plane } = session;
    expect(await tunnel('localhost', dataPort).hearsEnd()).toContain('CLIENT_FTP_HIJACK');
    await expect.poll(() => plane.flows.map(({ failure }) => failure)).toEqual(['CLIENT_FTP_HIJACK']);
  });

  it('that did not come in time is not waited for at the origin either', async () => {
    const { ftpDataWaitMs } = limits;
    Object.assign(limits, { ftpDataWaitMs: 100 });
    try {
      await using session = await offeredSession();
      const { tunnel, dataPort, typist, origin } = session;
      await setTimeout(3 * limits.ftpDataWaitMs);
      await tunnel('127.0.0.1', dataPort).hears(/200 Connection Established\r\n\r\n/);
      typist.say('RETR file\r\n');
      await typist.hears(/^425 /);
      expect(origin.heard).not.toContain('RETR file');
    } finally {
      Object.assign(limits, { ftpDataWaitMs });
    }
  });

  it('of another client is refused and recorded, and the own one is still served', async () => {
    const data = createServer({ allowHalfOpen: true });
    const dataPort = await listening(data);
    const next = once(data, 'connection') as Promise<[Socket]>;
    await using origin = await startScriptedFtpOrigin((line) =>
      line === 'EPSV' ? `229 x (|||${dataPort}|)` : line.startsWith('RETR') ? '150 here' : '200 OK',
    );
    await using plane = await startDataPlane();
    const tunnel = async (port: number, localAddress: string) => {
      const socket = connect({ port: plane.port, host: '127.0.0.1', localAddress });
      socket.on('error', ignore);
      const typist = new Typist(socket);
      typist.say(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
      return { socket, typist };
    };
    const { typist, socket } = await tunnel(origin.port, '127.0.0.1');
    await typist.hears(/200 Connection Established\r\n\r\n220 /);
    for (const [line, reply] of [
      ['SYST', /^215 /],
      ['EPSV', /^229 /],
    ] as const) {
      typist.say(`${line}\r\n`);
      await typist.hears(reply);
    }
    const thief = await tunnel(dataPort, '127.0.0.2');
    expect(await thief.typist.hearsEnd()).toContain('CLIENT_FTP_HIJACK');
    const own = await tunnel(dataPort, '127.0.0.1');
    await own.typist.hears(/200 Connection Established\r\n\r\n/);
    typist.say('RETR file\r\n');
    await typist.hears(/^150 /);
    const [theirs] = await next;
    theirs.end('content');
    await own.typist.hears(/^content/);
    own.socket.end();
    origin.sockets[0]?.write('226 done\r\n');
    await typist.hears(/^226 /);
    socket.destroy();
    await expect
      .poll(() => plane.flows.map(({ protocol }) => protocol).toSorted())
      .toEqual(['ftp', 'ftp-data', 'ftp-data']);
    expect(plane.flows.filter(({ failure }) => failure === 'CLIENT_FTP_HIJACK').length).toBe(2);
    expect(plane.transfers[0]).toMatchObject({ outcome: { complete: true }, bytes: 7 });
    data.close();
  });
});
