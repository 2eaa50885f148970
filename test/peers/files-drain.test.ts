import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { portOf } from '../support/ftp-session.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { Typist } from '../support/mail-origin.ts';
import { reverse } from '../support/reverse-listener.ts';
import { hasProgram } from '../support/run.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';
import { type RunningVsftpd, startVsftpd } from '../support/vsftpd.ts';

const canRun = process.getuid?.() === 0 && hasProgram('vsftpd');
const goodbye = /^421 GATEWAY_SHUTTING_DOWN [^\r\n]*\r\n$/;

/** Sessions of a real server, when the gateway or their listener goes. */
describe.runIf(canRun)('file sessions of a gateway', () => {
  let authority: TestAuthority;
  let vsftpd: RunningVsftpd;
  const big = Buffer.alloc(30_000_000, 'content ');

  beforeAll(async () => {
    authority = await createTestAuthority();
    vsftpd = await startVsftpd(await authority.issue({ names: ['localhost'] }));
    writeFileSync(join(vsftpd.root, 'big.bin'), big);
  }, 60_000);
  afterAll(async () => {
    await vsftpd?.[Symbol.asyncDispose]();
  });

  const settings = (port: number) => ({
    listeners: [reverse(port, vsftpd.port)],
    originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
    timeouts: { drain: '20s' },
  });
  const start = (port: number): Promise<RunningGateway> =>
    startGateway({ files: { 'root.pem': authority.rootPem }, config: settings(port) });

  async function login(port: number): Promise<Typist> {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    await once(socket, 'connect');
    const typist = new Typist(socket);
    await typist.hears(/^220 /);
    for (const [line, answer] of [
      ['USER anonymous', /^331 /],
      ['PASS x@y', /^230 /],
      ['TYPE I', /^200 /],
    ] as const) {
      typist.say(`${line}\r\n`);
      await typist.hears(answer);
    }
    return typist;
  }

  /** A download that is under way: the client takes nothing of it yet. */
  async function download(typist: Typist): Promise<Socket> {
    typist.say('EPSV\r\n');
    const data = connect(portOf(await typist.hears(/^229 /)), '127.0.0.1').pause();
    typist.say('RETR big.bin\r\n');
    await typist.hears(/^150 /);
    return data;
  }

  /** Takes what waits, and says how much it was. */
  async function take(data: Socket): Promise<number> {
    let bytes = 0;
    data.on('data', (chunk: Buffer) => (bytes += chunk.length)).on('end', () => data.end());
    data.resume();
    await once(data, 'close');
    return bytes;
  }

  it('that is told to end: idle ones hear 421, a transfer ends first', async () => {
    const port = await freePort();
    await using gateway = await start(port);
    const [idle, busy] = [await login(port), await login(port)];
    const data = await download(busy);
    const stopped = gateway.stop('SIGTERM');
    expect(await idle.hearsEnd()).toMatch(goodbye);
    expect(busy.heard).toBe('');
    expect(await take(data)).toBe(big.length);
    expect(await busy.hearsEnd()).toMatch(/^226 [^\r\n]*\r\n421 GATEWAY_SHUTTING_DOWN [^\r\n]*\r\n$/);
    expect(await stopped).toBe(0);
    const transfers = gateway.records('traffic').filter(({ class_uid }) => class_uid === 4008);
    expect(transfers).toMatchObject([{ status_id: 1, traffic: { bytes: big.length } }]);
  }, 60_000);

  it('whose listener a reload takes away: the same, and the new one takes sessions', async () => {
    const [port, next] = [await freePort(), await freePort()];
    await using gateway = await start(port);
    const [idle, busy] = [await login(port), await login(port)];
    const data = await download(busy);
    gateway.configure(settings(next));
    expect(await idle.hearsEnd()).toMatch(goodbye);
    await expect.poll(() => login(next).catch(() => undefined), { timeout: 15_000 }).toBeDefined();
    expect(busy.heard).toBe('');
    expect(await take(data)).toBe(big.length);
    expect(await busy.hearsEnd()).toMatch(/^226 [^\r\n]*\r\n421 GATEWAY_SHUTTING_DOWN /);
  }, 60_000);
});
