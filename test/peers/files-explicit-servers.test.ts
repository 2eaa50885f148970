import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ftpServers, type RunningFtpServer } from '../support/ftp-servers.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const canRun = process.getuid?.() === 0 && hasProgram('curl');
// vsftpd has a file of its own.
const installed = canRun ? ftpServers.filter(({ name, isInstalled }) => name !== 'vsftpd' && isInstalled()) : [];

describe.each(installed)('files of $name through the explicit proxy', ({ start }) => {
  let server: RunningFtpServer;
  let gateway: RunningGateway;
  let proxyPort: number;
  const big = randomBytes(2_000_000);

  beforeAll(async () => {
    const authority = await createTestAuthority();
    server = await start(await authority.issue({ names: ['localhost'] }));
    writeFileSync(join(server.root, 'big.bin'), big);
    proxyPort = await freePort();
    gateway = await startGateway({
      files: { 'root.pem': authority.rootPem },
      config: {
        relays: 2,
        listeners: [{ mode: 'explicit', listen: `127.0.0.1:${proxyPort}` }],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
      },
    });
  }, 60_000);
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  const transfers = () => gateway.records('traffic').filter(({ class_uid }) => class_uid === 4008);

  it.each([
    { proxy: 'CONNECT', args: () => ['--proxytunnel', '-x', `http://127.0.0.1:${proxyPort}`] },
    { proxy: 'SOCKS5', args: () => ['--socks5', `127.0.0.1:${proxyPort}`] },
  ])(
    'curl downloads and uploads with AUTH TLS, by $proxy',
    async ({ args }) => {
      const before = transfers().length;
      const login = ['--cacert', gateway.caFile, '-u', `${server.user}:${server.password}`, '--ssl-reqd'];
      const curl = (...more: readonly string[]) => run('curl', ['-sS', '-m', '20', ...login, ...args(), ...more]);
      const url = `ftp://localhost:${server.port}`;
      const out = join(gateway.directory, 'out.bin');
      const down = await curl(`${url}/big.bin`, '-o', out);
      expect(down.code, down.stderr).toBe(0);
      expect(readFileSync(out).equals(big)).toBe(true);
      const name = `up-${randomBytes(4).toString('hex')}`;
      const up = await curl('-T', out, `${url}/in/${name}`);
      expect(up.code, up.stderr).toBe(0);
      await expect.poll(() => server.uploaded(name)?.equals(big)).toBe(true);
      // Both went through the gateway, and not beside it.
      await expect.poll(() => transfers().length).toBe(before + 2);
      for (const record of transfers()) expect(record).toMatchObject({ status_id: 1, traffic: { bytes: big.length } });
    },
    60_000,
  );
});
