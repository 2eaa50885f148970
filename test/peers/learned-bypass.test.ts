import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runBypasses } from '../../src/control/bypasses-command.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { startMailOrigin, Typist } from '../support/mail-origin.ts';
import { hasProgram, run } from '../support/run.ts';
import { sleep } from '../support/tcp.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

let authority: TestAuthority;
let origin: TestOrigin;
let port: number;
let gateway: RunningGateway;

const learnedBypass = { action: 'bypass', rejections: 3, within: '5m', for: '1h' };
const configOf = (changes: object) => ({
  relays: 2,
  listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
  originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
  learnedBypass: { ...learnedBypass, ...changes },
});

beforeAll(async () => {
  authority = await createTestAuthority();
  origin = await startOrigin(await authority.issue({ names: ['localhost', 'pinned.example'] }));
  port = await freePort();
  gateway = await startGateway({ files: { 'roots.pem': authority.rootPem }, config: configOf({}) });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
});

async function tunnel(from: string, target: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from }).on('error', () => {});
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  await once(socket, 'data');
  return socket;
}

interface Visit {
  readonly trusts?: string;
  readonly target?: string;
  /** What the client does once its handshake is done; without it, it asks and reads. */
  readonly once?: (client: TLSSocket) => void;
}

/** Issuer of the certificate that a client from an address accepts; `rejected` when it accepts none. */
async function issuerSeenBy(
  from: string,
  { trusts = authority.rootPem, target, once: act }: Visit = {},
): Promise<string> {
  const socket = await tunnel(from, target ?? `localhost:${origin.port}`);
  const client = connectTls({ socket, servername: 'localhost', ca: trusts });
  return new Promise((resolve) => {
    let seen = 'rejected';
    client.on('error', () => resolve(seen)).on('close', () => resolve(seen));
    client.on('secureConnect', () => {
      seen = client.getPeerX509Certificate()?.issuer ?? '';
      if (act !== undefined) return act(client);
      client.end('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
      client.resume();
    });
  });
}

async function learned(): Promise<readonly Record<string, unknown>[]> {
  const listed = await command('list', '--json');
  expect(listed).toMatchObject({ code: 0 });
  return JSON.parse(listed.stdout).bypasses;
}

async function until(wanted: object): Promise<Record<string, unknown>> {
  for (let tries = 0; tries < 100; tries++) {
    const found = (await learned()).find((entry) =>
      Object.entries(wanted).every(([key, value]) => entry[key] === value),
    );
    if (found !== undefined) return found;
    await sleep(50);
  }
  throw new Error(`nothing learned like ${JSON.stringify(wanted)}: ${JSON.stringify(await learned())}`);
}

/** The command as the command line runs it, without the start of a process. */
async function command(...args: readonly string[]) {
  const said = { out: '', err: '' };
  const into = (name: 'out' | 'err') =>
    new Writable({
      write: (chunk, _encoding, done) => {
        said[name] += String(chunk);
        done();
      },
    });
  const io = { stdout: into('out'), stderr: into('err'), env: process.env };
  const code = await runBypasses([...args, '--config', gateway.configFile], io);
  return { code, stdout: said.out, stderr: said.err };
}

describe('a client that does not trust the authority', () => {
  it.runIf(hasProgram('curl'))('is passed on after its rejections, over all relays, and nobody else is', async () => {
    const roots = join(gateway.directory, 'roots.pem');
    const curl = () =>
      run('curl', [
        ...['-sS', '--cacert', roots, '--interface', '127.0.0.2', '--max-time', '10'],
        ...['--proxy', `http://127.0.0.1:${port}`, `https://localhost:${origin.port}/pinned`],
      ]);
    for (let round = 0; round < 3; round++) expect((await curl()).code).toBe(60);
    await until({ state: 'active', group: 'client 127.0.0.2', host: 'localhost' });
    for (let round = 0; round < 4; round++)
      expect(await curl()).toMatchObject({ code: 0, stdout: expect.stringContaining('/pinned') });
    expect(await issuerSeenBy('127.0.0.3')).toBe('rejected');
    const records = await gateway.waitForRecords('traffic', (all) => JSON.stringify(all).includes('learned bypass'));
    const flow = records.find((record) => JSON.stringify(record).includes('learned bypass'));
    expect(JSON.stringify(flow)).toMatch(
      /"Bypass".*"decision":"bypass","decision_reason":"learned bypass: 3 rejections, last alert unknown_ca; learned until 2/,
    );
    await gateway.waitForLog(/learned bypass: learned/);
  });

  it('is passed on to where its server name leads, whatever address it chose', async () => {
    let heard = 0;
    const elsewhere = createServer((socket) => socket.on('error', () => {}).on('data', () => (heard += 1)));
    await new Promise<void>((resolve) => elsewhere.listen(origin.port, '127.0.0.9', resolve));
    expect(await issuerSeenBy('127.0.0.2', { target: `127.0.0.9:${origin.port}` })).toBe('CN=Test Root');
    elsewhere.close();
    expect(heard).toBe(0);
  });

  it('is one that closes without a word, in the handshake or right after it', async () => {
    const ca = readFileSync(gateway.caFile, 'utf8');
    for (let round = 0; round < 3; round++) {
      await issuerSeenBy('127.0.0.4', { trusts: ca, once: (client) => client.destroy() });
    }
    const entry = await until({ state: 'active', group: 'client 127.0.0.4' });
    expect(JSON.stringify(entry)).toContain('closed-');
  });

  it('that spoke behind our leaf is not taken for one when it closes connections unused', async () => {
    const ca = readFileSync(gateway.caFile, 'utf8');
    // Both relays have to know it.
    for (let round = 0; round < 12; round++) await issuerSeenBy('127.0.0.5', { trusts: ca });
    for (let round = 0; round < 6; round++) {
      await issuerSeenBy('127.0.0.5', { trusts: ca, once: (client) => client.end() });
    }
    expect(await issuerSeenBy('127.0.0.5', { trusts: ca })).toContain('Daylight Inspection CA');
  });
});

describe('policy and operator', () => {
  it('ask, approve and remove', async () => {
    gateway.configure(configOf({ action: 'ask' }));
    await gateway.waitForLog(/reloaded/);
    for (let round = 0; round < 4; round++) expect(await issuerSeenBy('127.0.0.6')).toBe('rejected');
    const { id } = await until({ state: 'pending', group: 'client 127.0.0.6' });
    expect(await issuerSeenBy('127.0.0.6')).toBe('rejected');
    // What policy learned by itself holds no longer; what an operator says does.
    expect(await issuerSeenBy('127.0.0.2')).toBe('rejected');
    expect(await command('approve', String(id), '--for', '2h')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('passes unread until'),
    });
    expect(await issuerSeenBy('127.0.0.6')).toBe('CN=Test Root');
    expect(await command('list')).toMatchObject({
      stdout: expect.stringMatching(/active \(operator\) +localhost:\d+ +client 127.0.0.6/),
    });
    expect(await command('remove', String(id))).toMatchObject({ code: 0 });
    expect(await issuerSeenBy('127.0.0.6')).toBe('rejected');
    expect(await command('remove', 'unknown')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('nothing has the id'),
    });
    expect(await command('approve')).toMatchObject({ code: 2 });
  });

  it('reach the gateway by a socket that nobody else can open, and find it after a restart', async () => {
    const socket = join(gateway.directory, 'certs', 'control.sock');
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    for (let round = 0; round < 3; round++) await issuerSeenBy('127.0.0.7');
    const { id } = await until({ state: 'pending', group: 'client 127.0.0.7' });
    await command('approve', String(id));
    await gateway.stop();
    expect(await command('list')).toMatchObject({ code: 1, stderr: expect.stringContaining('is it running?') });
    const { directory } = gateway;
    gateway = await startGateway({ directory, config: configOf({ action: 'ask' }) });
    expect(await issuerSeenBy('127.0.0.7')).toBe('CN=Test Root');
    expect(await issuerSeenBy('127.0.0.8')).toBe('rejected');
  });

  it('refuse: nothing passes, whatever was approved', async () => {
    gateway.configure(configOf({ action: 'refuse' }));
    await gateway.waitForLog(/reloaded/);
    expect(await issuerSeenBy('127.0.0.7')).toBe('rejected');
    const { id } = await until({ state: 'active', group: 'client 127.0.0.7' });
    expect(await command('approve', String(id))).toMatchObject({ code: 1, stderr: expect.stringContaining('refuses') });
  });
});

describe('a mail client that does not trust the authority', () => {
  it('is passed on behind STARTTLS after its rejections, and judges the server itself', async () => {
    const { directory } = gateway;
    await gateway.stop();
    gateway = await startGateway({ directory, config: configOf({ action: 'ask' }) });
    await using mail = await startMailOrigin(await authority.issue({ names: ['localhost'] }));
    /** Issuer of the certificate behind STARTTLS. */
    const issuerOf = async (from: string): Promise<string> => {
      const socket = await tunnel(from, `localhost:${mail.port}`);
      const typist = new Typist(socket);
      await typist.hears(/^220 /);
      typist.say('EHLO me\r\n');
      await typist.hears(/250[ -]STARTTLS/);
      typist.say('STARTTLS\r\n');
      await typist.hears(/^220 /);
      typist.leave();
      const client = connectTls({ socket, servername: 'localhost', ca: authority.rootPem });
      return new Promise((resolve) => {
        client.on('error', () => resolve('rejected')).on('close', () => resolve('rejected'));
        client.on('secureConnect', () => {
          resolve(client.getPeerX509Certificate()?.issuer ?? '');
          client.end('QUIT\r\n');
        });
      });
    };
    for (let count = 0; count < 3; count++) expect(await issuerOf('127.0.0.9')).toBe('rejected');
    const wanted = { group: 'client 127.0.0.9', host: 'localhost', port: mail.port, rejections: 3 };
    const { id } = await until(wanted);
    expect(await command('approve', String(id))).toMatchObject({ code: 0 });
    await until({ ...wanted, state: 'active' });
    await sleep(100);
    expect(await issuerOf('127.0.0.9')).toBe(new X509Certificate(authority.rootPem).subject);
    expect(await issuerOf('127.0.0.10')).toBe('rejected');
    const isPassed = (line: Record<string, unknown>) => JSON.stringify(line).includes('learned bypass: 3 rejections');
    const records = await gateway.waitForRecords('traffic', (lines) => lines.some((line) => isPassed(line)));
    expect(records.some(isPassed)).toBe(true);
  });
});
