import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { captures, type FilesNetwork, families, startFilesNetwork } from '../support/files-network.ts';
import { ftpServers, type RunningFtpServer, startProftpd } from '../support/ftp-servers.ts';
import { netnsUnavailable } from '../support/netns.ts';
import { hasProgram } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const canRun = netnsUnavailable === undefined && hasProgram('curl');
/** vsftpd knows no CCC. */
const kinds = canRun ? ftpServers.filter(({ name, isInstalled }) => name !== 'vsftpd' && isInstalled()) : [];

const origins = [
  // On a port that is not known for files too: what the server says first tells it.
  ...kinds.map(({ name, start }, index) => ({ name, scheme: 'ftp', port: index === 0 ? 21 : 2_121, start })),
  ...kinds
    .filter(({ name }) => name === 'ProFTPD')
    .map(({ name }) => ({
      name: `${name} with TLS from the start`,
      scheme: 'ftps',
      port: 990,
      start: (...[credentials, place]: Parameters<typeof startProftpd>) =>
        startProftpd(credentials, place, 'TLSOptions UseImplicitSSL'),
    })),
];

describe.runIf(origins.length > 0)('control connections in plaintext behind CCC, in transparent capture', () => {
  let files: FilesNetwork;
  const servers = new Map<string, RunningFtpServer>();
  const big = randomBytes(1_000_000);

  beforeAll(async () => {
    const authority = await createTestAuthority();
    const ports = origins.map(({ port }) => port);
    files = await startFilesNetwork(authority, ports, { clearCommandChannel: 'allow' });
    const credentials = await authority.issue({ names: ['ftp.example.test'] });
    const { origin } = files.network;
    for (const { name, port, start } of origins) {
      const server = await start(credentials, { namespace: origin.name, port, addresses: origin });
      servers.set(name, server);
      writeFileSync(join(server.root, 'big.bin'), big);
      writeFileSync(join(server.root, 'secret.txt'), 'the codeword is falcon-seven\n');
    }
  }, 90_000);
  afterAll(async () => {
    for (const server of servers.values()) await server[Symbol.asyncDispose]();
    await files?.[Symbol.asyncDispose]();
  });

  describe.each(captures)('by $kind', (capture) => {
    beforeAll(() => files.capture(capture), 30_000);

    describe.each(families.filter(({ family }) => family === 'IPv4' || capture === captures[0]))(
      'over $family',
      ({ pick }) => {
        it.each(origins)(
          'curl downloads from and uploads to $name, and gets nothing that a rule blocks',
          { timeout: 60_000 },
          async ({ name, scheme, port }) => {
            const server = servers.get(name);
            const login = `${server?.user}:${server?.password}`;
            const pin = ['--resolve', `ftp.example.test:${port}:${pick(files.network.origin)}`];
            const tls = ['--cacert', files.gateway.caFile, '--ssl-reqd', '--ftp-ssl-ccc'];
            const curl = (...args: readonly string[]) =>
              files.inClient('curl', '-sS', '-v', '-m', '20', '-u', login, ...pin, ...tls, ...args);
            const url = `${scheme}://ftp.example.test:${port}`;
            const out = join(files.gateway.directory, 'out.bin');
            const down = await curl(`${url}/big.bin`, '-o', out);
            expect(down.code, down.stderr).toBe(0);
            expect(readFileSync(out).equals(big)).toBe(true);
            const file = `up-${randomBytes(4).toString('hex')}`;
            const up = await curl('-T', out, `${url}/in/${file}`);
            expect(up.code, up.stderr).toBe(0);
            await expect.poll(() => server?.uploaded(file)?.equals(big)).toBe(true);
            const blocked = await curl(`${url}/secret.txt`);
            expect(blocked.stdout).not.toContain('falcon');
            expect(blocked.code).not.toBe(0);
            const recorded = () => files.gateway.records('traffic').filter((record) => record.name === file);
            await expect.poll(() => recorded().length).toBe(1);
            expect(recorded()[0]).toMatchObject({
              status_id: 1,
              unmapped: { gateway: { ftp: { is_protected: true, is_control_clear: true } } },
            });
          },
        );
      },
    );
  });
});
