import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { captures, type FilesNetwork, families, startFilesNetwork } from '../support/files-network.ts';
import type { StartedFtpServer } from '../support/ftp-place.ts';
import { ftpServers, startProftpd } from '../support/ftp-servers.ts';
import { isFtpSrvInstalled, startFtpSrv } from '../support/ftp-srv.ts';
import { netnsUnavailable } from '../support/netns.ts';
import { hasProgram } from '../support/run.ts';
import { type Credentials, createTestAuthority } from '../support/test-authority.ts';

const canRun = netnsUnavailable === undefined && hasProgram('curl');
// vsftpd has a file of its own.
const kinds = canRun ? ftpServers.filter(({ name, isInstalled }) => name !== 'vsftpd' && isInstalled()) : [];
const proftpd = kinds.find(({ name }) => name === 'ProFTPD');

interface Origin {
  readonly name: string;
  readonly port: number;
  readonly login: string;
  readonly start: (credentials: Credentials, files: FilesNetwork, port: number) => Promise<StartedFtpServer>;
  /** Scheme and options, by way. */
  readonly ways: readonly (readonly [string, string, readonly string[]])[];
  readonly isOfIPv4: boolean;
}

const explicit = ['AUTH TLS', 'ftp', ['--ssl-reqd']] as const;
const older = ['AUTH TLS of version 1.2', 'ftp', ['--ssl-reqd', '--tls-max', '1.2']] as const;
// curl 7.88 cannot do both at once, directly neither.
const active = ['no TLS, active', 'ftp', ['-P', '-']] as const;
const implicit = ['TLS from the start', 'ftps', []] as const;

const origins: readonly Origin[] = [
  ...kinds.map(
    ({ name, start }, index): Origin => ({
      name,
      // Also on a port that is not known for files: what the server says first tells it.
      port: index === 0 ? 21 : 2_120 + index,
      login: name === 'Pure-FTPd' ? 'joe:hunter2@x' : 'anonymous:hunter2@x',
      start: (credentials, { network: { origin } }, port) =>
        start(credentials, { namespace: origin.name, port, addresses: origin }),
      ways: [explicit, older, active],
      isOfIPv4: false,
    }),
  ),
  ...(proftpd === undefined
    ? []
    : [
        {
          name: 'ProFTPD with TLS from the start',
          port: 990,
          login: 'anonymous:hunter2@x',
          start: (credentials, { network: { origin } }, port) =>
            startProftpd(credentials, { namespace: origin.name, port, addresses: origin }, 'TLSOptions UseImplicitSSL'),
          ways: [implicit],
          isOfIPv4: false,
        } satisfies Origin,
      ]),
  ...(canRun && isFtpSrvInstalled()
    ? [
        {
          name: 'ftp-srv',
          port: 2_190,
          login: 'me:hunter2@x',
          start: (credentials, { network: { origin } }, port) =>
            startFtpSrv(credentials, { namespace: origin.name, port, addresses: origin }),
          ways: [explicit, active],
          isOfIPv4: true,
        } satisfies Origin,
      ]
    : []),
];

/** Servers that check that data connections resume the session of the control connection (ProFTPD), and such that do not. */
describe.runIf(origins.length > 0)('files of several servers through transparent capture', () => {
  let files: FilesNetwork;
  const servers = new Map<Origin, StartedFtpServer>();
  const big = randomBytes(1_500_000);

  beforeAll(async () => {
    const authority = await createTestAuthority();
    files = await startFilesNetwork(
      authority,
      origins.map(({ port }) => port),
    );
    const credentials = await authority.issue({ names: ['ftp.example.test'] });
    for (const origin of origins) {
      const server = await origin.start(credentials, files, origin.port);
      servers.set(origin, server);
      writeFileSync(join(server.root, 'big.bin'), big);
      writeFileSync(join(server.root, 'secret.txt'), 'the codeword is falcon-seven\n');
    }
  }, 90_000);
  afterAll(async () => {
    for (const server of servers.values()) await server[Symbol.asyncDispose]();
    await files?.[Symbol.asyncDispose]();
  });

  const transfers = () =>
    files.gateway.records('traffic').filter(({ class_uid, name }) => class_uid === 4008 && name !== 'secret.txt');

  describe.each(captures)('by $kind', (capture) => {
    beforeAll(() => files.capture(capture), 30_000);

    // TPROXY is shown by IPv6 where origins are shown the client as well.
    const shown = families.filter(({ family }) => family === 'IPv4' || capture !== captures[1]);
    describe.each(shown)('over $family', ({ family, pick }) => {
      const reached = origins.filter(({ isOfIPv4 }) => family === 'IPv4' || !isOfIPv4);
      const curl = ({ port, login }: Origin, ...args: readonly string[]) => {
        const pin = ['--resolve', `ftp.example.test:${port}:${pick(files.network.origin)}`];
        // ftp-srv now and then reads a ClientHello that follows its consent at once as a command.
        const again = ['--retry', login.startsWith('me:') ? '20' : '0', '--retry-delay', '1', '--retry-all-errors'];
        const options = ['-sS', '-m', '20', '--cacert', files.gateway.caFile, '-u', login, ...again];
        return files.inClient('curl', ...options, ...pin, ...args);
      };

      it.each(
        reached.flatMap((origin) =>
          origin.ways
            .filter(([way]) => way !== older[0] || (family === 'IPv4' && capture === captures[0]))
            .map(([way, scheme, options]) => ({ name: origin.name, way, origin, scheme, options })),
        ),
      )(
        'curl downloads from and uploads to $name with $way',
        { timeout: 60_000 },
        async ({ origin, scheme, options }) => {
          const before = transfers().length;
          const url = `${scheme}://ftp.example.test:${origin.port}`;
          const out = join(files.gateway.directory, 'out.bin');
          const down = await curl(origin, ...options, `${url}/big.bin`, '-o', out);
          expect(down.code, down.stderr).toBe(0);
          expect(readFileSync(out).equals(big)).toBe(true);
          const name = `up-${randomBytes(4).toString('hex')}`;
          const up = await curl(origin, ...options, '-T', out, `${url}/in/${name}`);
          expect(up.code, up.stderr).toBe(0);
          await expect.poll(() => servers.get(origin)?.uploaded(name)?.equals(big)).toBe(true);
          // Both went through the gateway, and not beside it.
          await expect.poll(() => transfers().length).toBe(before + 2);
          for (const record of transfers().slice(before)) {
            expect(record).toMatchObject({
              status_id: 1,
              type: options.some((option) => option === '-P') ? 'active' : 'passive',
              traffic: { bytes: big.length },
              unmapped: {
                gateway: {
                  ftp: { is_protected: scheme === 'ftps' || options.some((option) => option === '--ssl-reqd') },
                },
              },
            });
          }
        },
      );

      it.each(reached.filter(({ ways }) => ways.includes(older)).map((origin) => ({ name: origin.name, origin })))(
        'Python ftplib downloads from and uploads to $name in active mode under TLS',
        { timeout: 60_000 },
        async ({ origin: { port, login } }) => {
          const before = transfers().length;
          const script = `
import ftplib, io, ssl, sys, socket
ip, port, ca, user, password = sys.argv[1:]
real = socket.getaddrinfo
socket.getaddrinfo = lambda host, *a, **k: real(ip if host == 'ftp.example.test' else host, *a, **k)
f = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=ca), timeout=15)
f.connect('ftp.example.test', int(port)); f.login(user, password); f.prot_p(); f.set_pasv(False)
b = io.BytesIO(); f.retrbinary('RETR big.bin', b.write); assert len(b.getvalue()) == ${big.length}
f.storbinary('STOR in/active', io.BytesIO(b'x' * 300000)); f.quit()
`;
          const ip = pick(files.network.origin);
          const args = ['-c', script, ip, String(port), files.gateway.caFile, ...login.split(':')];
          const { code, stdout, stderr } = await files.inClient('python3', ...args);
          expect(code, stdout + stderr).toBe(0);
          await expect.poll(() => transfers().length).toBe(before + 2);
          for (const record of transfers().slice(before)) {
            expect(record).toMatchObject({
              status_id: 1,
              type: 'active',
              unmapped: { gateway: { ftp: { is_protected: true } } },
            });
          }
        },
      );

      it.each(family === 'IPv4' ? reached.map((origin) => ({ name: origin.name, origin })) : [])(
        'content of $name that a rule blocks never arrives',
        { timeout: 60_000 },
        async ({ origin }) => {
          const [[, scheme, options] = explicit] = origin.ways;
          const { code, stdout } = await curl(
            origin,
            '--retry',
            '0',
            ...options,
            `${scheme}://ftp.example.test:${origin.port}/secret.txt`,
          );
          expect(code).not.toBe(0);
          expect(stdout).not.toContain('falcon');
        },
      );
    });
  });
});
