import { describe, expect, it } from 'vitest';
import { type FailureCode, FlowFailure } from '../../../src/core/failures.ts';
import type { FileTransfer } from '../../../src/core/transfer.ts';
import { allow } from '../../../src/core/verdict.ts';
import { createFtpRelay } from '../../../src/flow/relay/ftp.ts';
import type { DataChannel, FtpOptions } from '../../../src/flow/relay/ftp-options.ts';
import { plainFtpOptions } from './plain-ftp-options.ts';
import { RecordingWire } from './recording.ts';

/** A session whose origin is behind a proxy: it cannot connect to anybody. Lines go in bytes of `size`. */
function open(size = 1_000, wishes: Partial<FtpOptions> = {}) {
  const wire = new RecordingWire();
  const opened: string[] = [];
  const refused: FailureCode[] = [];
  const begun: unknown[] = [];
  const transfer: FileTransfer = { begin: () => allow, content: () => allow, end: () => allow, finish: () => {} };
  const channel = (mode: DataChannel['mode'], what: string): DataChannel => {
    opened.push(what);
    const address = { ip: '192.0.2.99', port: 41_000 };
    const how = { connect: () => {}, begin: () => begun.push(what), hasMoved: () => false, abort: () => {} };
    return { mode, address, isOver: false, ...how };
  };
  const relay = createFtpRelay({
    wire,
    inspector: { transfer: () => transfer },
    channels: {
      passive: async (port) => channel('passive', `passive ${port}`),
      active: async (port) => channel('active', `active ${port}`),
      listening: async (origin, client) => channel('active', `listening ${origin} ${client}`),
    },
    ...plainFtpOptions,
    originIp: undefined,
    refused: (code) => refused.push(code),
    ...wishes,
  });
  const send = async (from: 'client' | 'origin', line: string): Promise<void> => {
    const bytes = Buffer.from(`${line}\r\n`, 'latin1');
    for (let start = 0; start < bytes.length; start += size) relay.receive(from, bytes.subarray(start, start + size));
    await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    wire,
    opened,
    refused,
    begun,
    says: (line: string) => send('client', line),
    answers: (line: string) => send('origin', line),
    heard: () => wire.to('origin').split('\r\n').slice(0, -1),
    told: () => wire.to('client').split('\r\n').slice(0, -1),
  };
}

describe('a client in active mode whose origin is behind a proxy', () => {
  it.each([1, 2, 7, 1_000])('has it listen too, in kind, in bytes of %i', async (size) => {
    const session = open(size);
    await session.says('PORT 192,0,2,1,4,1');
    await session.answers('227 Entering Passive Mode (10,0,0,9,200,1).');
    await session.says('RETR one');
    await session.answers('150 here');
    expect(session.begun).toEqual(['listening 51201 1025']);
    expect(session.told()).toEqual(['200 PORT command successful', '150 here']);
    const extended = open(size);
    await extended.says('EPRT |1|192.0.2.1|1026|');
    await extended.answers('229 Entering (|||40000|)');
    expect(extended.opened).toEqual(['listening 40000 1026']);
    expect(extended.told()).toEqual(['200 EPRT command successful']);
    expect([session.heard(), extended.heard()]).toEqual([['PASV', 'RETR one'], ['EPSV']]);
  });

  it('is told what the origin says where that does not listen, and the next PASV is its own', async () => {
    const session = open();
    await session.says('EPRT |1|192.0.2.1|1026|');
    await session.answers('502 EPSV not implemented');
    await session.says('RETR one');
    await session.says('PASV');
    await session.answers('227 x (198,51,100,1,100,1)');
    expect(session.opened).toEqual(['passive 25601']);
    expect(session.told()).toEqual([
      '502 EPSV not implemented',
      '425 Use PASV, EPSV, PORT or EPRT first',
      '227 Entering Passive Mode (192,0,2,99,160,40).',
    ]);
  });

  it.each([
    ['PORT 192,0,2,2,4,1', '500 CLIENT_FTP_BOUNCE PORT names 192.0.2.2 port 1025', 'CLIENT_FTP_BOUNCE'],
    ['EPRT |1|192.0.2.1|25|', '500 CLIENT_FTP_BOUNCE EPRT names 192.0.2.1 port 25', 'CLIENT_FTP_BOUNCE'],
  ])('names itself alone: %s', async (line, told, code) => {
    const session = open();
    await session.says(line);
    expect([session.told(), session.heard(), session.refused]).toEqual([[told], [], [code]]);
  });

  it('cannot have it listen at a port below 1024', async () => {
    const session = open();
    await session.says('EPRT |1|192.0.2.1|1026|');
    await session.answers('229 x (|||25|)');
    expect(session.told()).toEqual(['425 ORIGIN_FTP_BOUNCE 229 names its own port 25']);
    expect([session.opened, session.refused]).toEqual([[], ['ORIGIN_FTP_BOUNCE']]);
  });

  it.each(['229 x (|||70000|)', '227 x (1,2,3)', '227 x (1,2,3,4,256,1)'])('ends the session by %s', async (reply) => {
    const session = open();
    await session.says('PORT 192,0,2,1,4,1');
    await session.answers(reply);
    expect(session.told()).toEqual([`421 ORIGIN_FTP_MALFORMED ${reply.slice(0, 3)} without an address`]);
    expect(session.wire.ending).toBe('close ORIGIN_FTP_MALFORMED');
  });

  it('is told why a proxy leads to no data port, and the session goes on', async () => {
    const failing = async (): Promise<DataChannel> => {
      throw new FlowFailure('ORIGIN_UPSTREAM_PROXY', 'the proxy answered HTTP 403');
    };
    const channels = { passive: failing, active: failing, listening: failing };
    const session = open(1_000, { channels });
    await session.says('PORT 192,0,2,1,4,1');
    await session.answers('227 x (10,0,0,9,200,1)');
    await session.says('EPSV');
    await session.answers('229 x (|||40000|)');
    await session.says('NOOP');
    const told = '425 ORIGIN_UPSTREAM_PROXY the proxy answered HTTP 403';
    expect(session.told()).toEqual([told, told]);
    expect(session.refused).toEqual(['ORIGIN_UPSTREAM_PROXY', 'ORIGIN_UPSTREAM_PROXY']);
    expect(session.heard().at(-1)).toBe('NOOP');
  });

  it('waits with what it sends ahead until both listen', async () => {
    const ready = Promise.withResolvers<DataChannel>();
    const never = async (): Promise<DataChannel> => ready.promise;
    const session = open(1_000, { channels: { passive: never, active: never, listening: () => ready.promise } });
    await session.says('PORT 192,0,2,1,4,1');
    await session.says('RETR one');
    await session.answers('227 x (10,0,0,9,200,1)');
    expect(session.heard()).toEqual(['PASV']);
    ready.reject(new FlowFailure('ORIGIN_UPSTREAM_PROXY', 'gone'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(session.told()).toEqual(['425 ORIGIN_UPSTREAM_PROXY gone', '425 Use PASV, EPSV, PORT or EPRT first']);
  });
});

describe('what a 227 says of its address where nobody here knows that of the origin', () => {
  it.each(['192,0,2,77', '127,0,0,1', '0,0,0,0', '169,254,169,254'])('is nothing: %s', async (host) => {
    const session = open();
    await session.says('PASV');
    await session.answers(`227 x (${host},100,1)`);
    expect(session.opened).toEqual(['passive 25601']);
    expect(session.told()).toEqual(['227 Entering Passive Mode (192,0,2,99,160,40).']);
  });

  it('but that of an origin which the client names by its address has to be its own', async () => {
    const session = open(1_000, { originIp: '198.51.100.1' });
    await session.says('PASV');
    await session.answers('227 x (192,0,2,77,100,1)');
    expect(session.told()).toEqual(['425 ORIGIN_FTP_BOUNCE 227 names 192.0.2.77 port 25601']);
  });
});
