import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { captures, type FilesNetwork, families, startFilesNetwork } from '../support/files-network.ts';
import { netnsUnavailable } from '../support/netns.ts';
import { hasProgram } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { type RunningVsftpd, startVsftpd } from '../support/vsftpd.ts';

const hasLftp = hasProgram('lftp');
const canRun = netnsUnavailable === undefined && hasProgram('vsftpd') && hasProgram('curl');

/** Clients and a vsftpd that demands resumed sessions, in networks of their own: data connections are captured too. */
describe.runIf(canRun)('files through transparent capture', () => {
  let files: FilesNetwork;
  let explicit: RunningVsftpd;
  let implicit: RunningVsftpd;
  const big = randomBytes(3_000_000);

  beforeAll(async () => {
    const authority = await createTestAuthority();
    files = await startFilesNetwork(authority, [21, 990]);
    const credentials = await authority.issue({ names: ['ftp.example.test'] });
    const at = (port: number) => ({ namespace: files.network.origin.name, port });
    // A client whose address is spoofed is the same for both connections; any other that takes the port is sent away.
    explicit = await startVsftpd(credentials, {}, at(21));
    implicit = await startVsftpd(credentials, { implicit_ssl: 'YES' }, at(990));
    for (const { root } of [explicit, implicit]) {
      writeFileSync(join(root, 'big.bin'), big);
      writeFileSync(join(root, 'secret.txt'), 'the codeword is falcon-seven\n');
    }
  }, 60_000);
  afterAll(async () => {
    await explicit?.[Symbol.asyncDispose]();
    await implicit?.[Symbol.asyncDispose]();
    await files?.[Symbol.asyncDispose]();
  });

  const curl = (ip: string, ...args: readonly string[]) => {
    const pins = [21, 990].flatMap((port) => ['--resolve', `ftp.example.test:${port}:${ip}`]);
    return files.inClient(
      'curl',
      '-sS',
      '-m',
      '20',
      '--cacert',
      files.gateway.caFile,
      '-u',
      'anonymous:x@y',
      ...pins,
      ...args,
    );
  };
  const transfers = () =>
    files.gateway.records('traffic').filter(({ class_uid, name }) => class_uid === 4008 && name !== 'secret.txt');

  const ways = [
    { way: 'AUTH TLS', url: 'ftp://ftp.example.test', args: ['--ssl-reqd'], isOfAll: true },
    {
      way: 'AUTH TLS of version 1.2',
      url: 'ftp://ftp.example.test',
      args: ['--ssl-reqd', '--tls-max', '1.2'],
      isOfAll: false,
    },
    { way: 'TLS from the start', url: 'ftps://ftp.example.test', args: [], isOfAll: true },
    { way: 'no TLS', url: 'ftp://ftp.example.test', args: [], isOfAll: false },
    { way: 'no TLS, active', url: 'ftp://ftp.example.test', args: ['-P', '-'], isOfAll: true },
  ] as const;

  describe.each(captures)('by $kind', (way) => {
    const { port } = way;
    beforeAll(() => files.capture(way), 30_000);

    describe.each(families)('over $family', ({ family, pick }) => {
      it.each(ways.filter(({ isOfAll }) => isOfAll || (family === 'IPv4' && port === 8443)))(
        'curl downloads and uploads with $way',
        async ({ url, args }) => {
          const before = transfers().length;
          const out = join(files.gateway.directory, 'out.bin');
          const down = await curl(pick(files.network.origin), ...args, `${url}/big.bin`, '-o', out);
          expect(down.code, down.stderr).toBe(0);
          expect(readFileSync(out).equals(big)).toBe(true);
          const name = `up-${randomBytes(4).toString('hex')}`;
          const up = await curl(pick(files.network.origin), ...args, '-T', out, `${url}/in/${name}`);
          expect(up.code, up.stderr).toBe(0);
          const server = url.startsWith('ftps') ? implicit : explicit;
          await expect.poll(() => server.uploaded(name)?.equals(big)).toBe(true);
          // Both went through the gateway, and not beside it.
          await expect.poll(() => transfers().length).toBe(before + 2);
          for (const record of transfers().slice(before)) {
            expect(record).toMatchObject({ status_id: 1, traffic: { bytes: big.length } });
          }
        },
      );

      it.runIf(family === 'IPv4')('curl by PASV, which names an address', async () => {
        const args = ['--disable-epsv', '--no-ftp-skip-pasv-ip', '--ssl-reqd'];
        const { code, stdout, stderr } = await curl(pick(files.network.origin), ...args, 'ftp://ftp.example.test/');
        expect(code, stderr).toBe(0);
        expect(stdout).toContain('big.bin');
      });

      it('content that a rule blocks never arrives', async () => {
        const args = ['--ssl-reqd', 'ftp://ftp.example.test/secret.txt'];
        const { code, stdout } = await curl(pick(files.network.origin), ...args);
        expect(code).not.toBe(0);
        expect(stdout).not.toContain('falcon');
      });

      it.runIf(hasLftp)('lftp with several transfers in one session', async () => {
        const script = [
          `set ssl:ca-file ${files.gateway.caFile}; set ftp:ssl-force true; set dns:order "inet6 inet"`,
          'set ftp:ssl-protect-data true; set net:max-retries 1; set net:timeout 10',
          'open -u anonymous,x ftp://ftp.example.test',
          `ls; get big.bin -o ${files.gateway.directory}/l1; get big.bin -o ${files.gateway.directory}/l2`,
          `put ${files.gateway.directory}/l1 -o in/l-${port}-${family}`,
        ].join('; ');
        // `ip netns exec` lays this file over /etc/hosts.
        const hosts = join('/etc/netns', files.network.client.name);
        mkdirSync(hosts, { recursive: true });
        writeFileSync(join(hosts, 'hosts'), `${pick(files.network.origin)} ftp.example.test\n`);
        const { code, stdout, stderr } = await files.inClient('lftp', '-c', script);
        rmSync(hosts, { recursive: true });
        expect(code, stdout + stderr).toBe(0);
        for (const name of ['l1', 'l2'])
          expect(readFileSync(join(files.gateway.directory, name)).equals(big)).toBe(true);
        await expect.poll(() => explicit.uploaded(`l-${port}-${family}`)?.equals(big)).toBe(true);
      });

      it('basic-ftp, which resumes sessions, with several transfers in one session', async () => {
        const script = `
import { Readable } from 'node:stream';
import { readFileSync } from 'node:fs';
import { Client } from 'basic-ftp';
const [host, ca, out] = process.argv.slice(1);
const client = new Client(15000);
await client.access({ host, secure: true, secureOptions: { ca: readFileSync(ca), servername: 'ftp.example.test' } });
for (let n = 0; n < 2; n += 1) {
  await client.downloadTo(out, 'big.bin');
  await client.uploadFrom(Readable.from(readFileSync(out)), 'in/basic${port}${family}' + n);
}
console.log((await client.list()).map(({ name }) => name).join());
client.close();
`;
        const out = join(files.gateway.directory, 'basic.bin');
        const args = ['--input-type=module', '-e', script, pick(files.network.origin), files.gateway.caFile, out];
        const { code, stdout, stderr } = await files.inClient(process.execPath, ...args);
        expect(code, stdout + stderr).toBe(0);
        expect(stdout).toContain('big.bin');
        for (const n of [0, 1]) {
          await expect.poll(() => explicit.uploaded(`basic${port}${family}${n}`)?.equals(big)).toBe(true);
        }
      });

      it('Python ftplib transfers several files in one session', async () => {
        const script = `
import ftplib, io, ssl, sys, socket
real = socket.getaddrinfo
socket.getaddrinfo = lambda host, *a, **k: real(sys.argv[1] if host == 'ftp.example.test' else host, *a, **k)
f = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=sys.argv[2]), timeout=15)
f.connect('ftp.example.test', 21); f.login(); f.prot_p()
for n in range(3):
    b = io.BytesIO(); f.retrbinary('RETR big.bin', b.write); assert len(b.getvalue()) == ${big.length}
    f.storbinary('STOR in/py%d' % n, io.BytesIO(b'x' * 300000))
print(len(f.nlst())); f.quit()
`;
        const { code, stdout, stderr } = await files.inClient(
          'python3',
          '-c',
          script,
          pick(files.network.origin),
          files.gateway.caFile,
        );
        expect(code, stdout + stderr).toBe(0);
      });
    });
  });
});
