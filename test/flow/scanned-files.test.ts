import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { ScannerPolicy } from '../../src/core/scanner.ts';
import { startDataPlane } from '../support/data-plane.ts';
import { startScriptedFtpOrigin } from '../support/ftp-origin.ts';
import { type IcapRequest, options, startIcapServer, unmodified } from '../support/icap-server.ts';
import { Typist } from '../support/mail-origin.ts';
import { listening } from '../support/tcp.ts';

function policyOf(port: number, changes: Partial<ScannerPolicy> = {}): ScannerPolicy {
  return {
    id: 'av',
    service: {
      host: '127.0.0.1',
      port,
      url: `icap://127.0.0.1:${port}/scan`,
      authority: `127.0.0.1:${port}`,
    },
    mode: 'both',
    onFailure: 'block',
    timeoutMs: 2_000,
    maximumBytes: 1_000_000,
    hosts: [],
    assets: [],
    except: [],
    ...changes,
  };
}

const found =
  'ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Resolution=2; Threat=Eicar;\r\nEncapsulated: res-hdr=0, null-body=26\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n';

/** A transfer through the explicit proxy whose files are shown to a scanner. */
async function transfer(
  verb: 'RETR' | 'STOR',
  content: string | Buffer,
  scan: (request: IcapRequest) => string | undefined,
  changes: Partial<ScannerPolicy> = {},
) {
  await using scanner = await startIcapServer((request) => (request.method === 'OPTIONS' ? options() : scan(request)));
  const data = createServer({ allowHalfOpen: true });
  const dataPort = await listening(data);
  const next = once(data, 'connection') as Promise<[Socket]>;
  await using origin = await startScriptedFtpOrigin((line) =>
    line === 'EPSV' ? `229 x (|||${dataPort}|)` : line.startsWith(verb) ? '150 here' : '200 OK',
  );
  await using plane = await startDataPlane({ scanners: [policyOf(scanner.port, changes)] });
  const tunnel = (port: number) => {
    const socket = connect({ port: plane.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => {});
    socket.write(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\n\r\n`);
    return { socket, typist: new Typist(socket) };
  };
  const control = tunnel(origin.port);
  await control.typist.hears(/\r\n\r\n220 /);
  control.typist.say('SYST\r\n');
  await control.typist.hears(/^215 /);
  control.typist.say('EPSV\r\n');
  await control.typist.hears(/^229 /);
  const own = tunnel(dataPort);
  await own.typist.hears(/200 Connection Established\r\n\r\n/);
  control.typist.say(`${verb} dir/a file.bin\r\n`);
  await control.typist.hears(/^150 /);
  const [theirs] = await next;
  theirs.on('error', () => {});
  const received: Buffer[] = [];
  const [sender, receiver] = verb === 'RETR' ? [theirs, own.socket] : [own.socket, theirs];
  receiver.on('data', (bytes: Buffer) => received.push(bytes));
  sender.end(content);
  await new Promise((resolve) => receiver.once('end', resolve).once('close', resolve));
  receiver.end();
  origin.sockets[0]?.write('226 done\r\n');
  const answer = await control.typist.hears(/\r\n/);
  await expect.poll(() => plane.transfers.length).toBe(1);
  control.socket.destroy();
  own.socket.destroy();
  theirs.destroy();
  data.close();
  const [record] = plane.transfers;
  return { answer, received: Buffer.concat(received), record, alarms: plane.alarms, requests: scanner.requests };
}

describe('files that content scanners are shown', () => {
  it.each(['RETR', 'STOR'] as const)('%s passes whole when it is clean', async (verb) => {
    const content = Buffer.alloc(300_000, 'abcdefg');
    const { answer, received, record, requests } = await transfer(verb, content, () => unmodified);
    expect(answer).toBe('226 done\r\n');
    expect(received.equals(content)).toBe(true);
    const asked = requests.at(-1)?.text ?? '';
    expect(asked).toMatch(verb === 'RETR' ? /^RESPMOD / : /^REQMOD /);
    expect(asked).toMatch(/\r\n(?:GET|PUT) ftp:\/\/127\.0\.0\.1\/dir\/a%20file\.bin HTTP\/1\.1\r\n/);
    expect(record?.scans).toMatchObject([{ scanner: 'av', outcome: 'clean' }]);
  });

  it.each(['RETR', 'STOR'] as const)('%s passes not at all when something is found', async (verb) => {
    const { answer, received, record, alarms } = await transfer(verb, 'a virus', () => found);
    expect(answer).toMatch(/^550 POLICY_SCANNER_BLOCK /);
    expect(received.length).toBe(0);
    expect(record).toMatchObject({
      verdict: 'block',
      outcome: { complete: false, failure: 'POLICY_SCANNER_BLOCK' },
      scans: [{ scanner: 'av', outcome: 'blocked' }],
    });
    expect(alarms.map(({ match }) => match.rule.id)).toEqual(['scanner.av']);
  });

  it('a scanner of the other direction is not asked', async () => {
    const { answer, requests } = await transfer('STOR', 'content', () => found, { mode: 'response' });
    expect(answer).toBe('226 done\r\n');
    expect(requests).toEqual([]);
  });

  it.each([
    ['passes where policy says so', 'allow', /^226 /],
    ['is blocked where policy says so', 'block', /^552 POLICY_UNSCANNABLE /],
  ] as const)('a file that is longer than the scanner is shown %s', async (_what, onFailure, expected) => {
    const content = Buffer.alloc(50_000, 'x');
    const { answer, received } = await transfer('RETR', content, () => unmodified, { maximumBytes: 10_000, onFailure });
    expect(answer).toMatch(expected);
    expect(received.equals(content)).toBe(onFailure === 'allow');
  });
});
