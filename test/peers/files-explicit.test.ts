import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codewordFile, codewordRule } from '../support/codeword.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { member } from '../support/record-fields.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { type RunningVsftpd, startVsftpd } from '../support/vsftpd.ts';

const canRun = process.getuid?.() === 0 && hasProgram('vsftpd') && hasProgram('curl');

/** Data connections are requests of their own, which either of two relays may get. */
describe.runIf(canRun)('files through the explicit proxy, to vsftpd, which demands resumed sessions', () => {
  let gateway: RunningGateway;
  let vsftpd: RunningVsftpd;
  let implicit: RunningVsftpd;
  let proxyPort: number;
  const big = randomBytes(3_000_000);

  beforeAll(async () => {
    const authority = await createTestAuthority();
    const credentials = await authority.issue({ names: ['localhost'] });
    vsftpd = await startVsftpd(credentials);
    implicit = await startVsftpd(credentials, { implicit_ssl: 'YES' });
    for (const { root } of [vsftpd, implicit]) {
      writeFileSync(join(root, 'big.bin'), big);
      writeFileSync(join(root, 'secret.txt'), codewordFile);
    }
    proxyPort = await freePort();
    gateway = await startGateway({
      files: {
        'root.pem': authority.rootPem,
        'ftp.yaml': codewordRule,
      },
      config: {
        relays: 2,
        rules: { files: ['$DIRECTORY/ftp.yaml'] },
        listeners: [{ mode: 'explicit', listen: `127.0.0.1:${proxyPort}` }],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
      },
    });
  }, 60_000);
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await vsftpd?.[Symbol.asyncDispose]();
    await implicit?.[Symbol.asyncDispose]();
  });

  const transfers = () =>
    gateway.records('traffic').filter(({ class_uid, name }) => class_uid === 4008 && name !== 'secret.txt');
  const proxies = [
    { proxy: 'CONNECT', args: () => ['--proxytunnel', '-x', `http://127.0.0.1:${proxyPort}`] },
    { proxy: 'SOCKS5', args: () => ['--socks5', `127.0.0.1:${proxyPort}`] },
    { proxy: 'SOCKS5 with names', args: () => ['--socks5-hostname', `127.0.0.1:${proxyPort}`] },
  ] as const;
  const ways = [
    { way: 'AUTH TLS', url: () => `ftp://localhost:${vsftpd.port}`, more: ['--ssl-reqd'] },
    { way: 'AUTH TLS and PASV', url: () => `ftp://localhost:${vsftpd.port}`, more: ['--ssl-reqd', '--disable-epsv'] },
    { way: 'TLS from the start', url: () => `ftps://localhost:${implicit.port}`, more: [] },
    { way: 'no TLS', url: () => `ftp://localhost:${vsftpd.port}`, more: [] },
  ] as const;
  const curl = (...args: readonly string[]) =>
    run('curl', ['-sS', '-m', '20', '--cacert', gateway.caFile, '-u', 'anonymous:x@y', ...args]);

  describe.each(proxies)('by $proxy', ({ args }) => {
    it.each(ways)('curl downloads and uploads with $way, at whichever relay the data arrive', async ({ url, more }) => {
      const before = transfers().length;
      const out = join(gateway.directory, 'out.bin');
      // The kernel spreads connections by their ports: each of several tries meets its relays anew.
      for (let round = 0; round < 3; round += 1) {
        const down = await curl(...args(), ...more, `${url()}/big.bin`, '-o', out);
        expect(down.code, down.stderr).toBe(0);
        expect(readFileSync(out).equals(big)).toBe(true);
      }
      const name = `up-${randomBytes(4).toString('hex')}`;
      const up = await curl(...args(), ...more, '-T', out, `${url()}/in/${name}`);
      expect(up.code, up.stderr).toBe(0);
      const server = url().startsWith('ftps') ? implicit : vsftpd;
      await expect.poll(() => server.uploaded(name)?.equals(big)).toBe(true);
      await expect.poll(() => transfers().length).toBe(before + 4);
      for (const record of transfers().slice(before)) {
        expect(record).toMatchObject({ status_id: 1, traffic: { bytes: big.length } });
      }
    });

    it('content that a rule blocks never arrives', async () => {
      const { code, stdout } = await curl(...args(), '-v', '--ssl-reqd', `ftp://localhost:${vsftpd.port}/secret.txt`);
      expect(code).not.toBe(0);
      expect(stdout).not.toContain('falcon');
    });
  });

  it.runIf(hasProgram('lftp'))('lftp with several transfers in one session, by CONNECT', async () => {
    const startMs = Date.now();
    const script = [
      `set ssl:ca-file ${gateway.caFile}; set ftp:ssl-force true; set ftp:ssl-protect-data true; set net:max-retries 1`,
      `set ftp:proxy http://127.0.0.1:${proxyPort}; set ftp:use-hftp false; set net:timeout 15`,
      `open -u anonymous,x ftp://localhost:${vsftpd.port}`,
      `ls; get big.bin -o ${gateway.directory}/l1; get big.bin -o ${gateway.directory}/l2; put ${gateway.directory}/l1 -o in/l3`,
    ].join('; ');
    const { code, stdout, stderr } = await run('lftp', ['-c', script]);
    expect(code, stdout + stderr).toBe(0);
    for (const name of ['l1', 'l2']) expect(readFileSync(join(gateway.directory, name)).equals(big)).toBe(true);
    await expect.poll(() => vsftpd.uploaded('l3')?.equals(big)).toBe(true);
    // The listing (lftp lists as often as it likes), both downloads and the upload went through the gateway. Records of the
    // two relays stand one file after the other: those of this session are told by their time.
    const own = () => transfers().filter(({ time }) => Number(time) >= startMs);
    const whole = () => own().filter((record) => member(record, 'traffic', 'bytes') === big.length);
    await expect.poll(() => whole().length).toBe(3);
    await expect.poll(() => own().length).toBeGreaterThanOrEqual(4);
  });
});
