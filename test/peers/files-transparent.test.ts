import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { createTestNetwork, type Host, netnsUnavailable, type TestNetwork } from '../support/netns.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { type RunningVsftpd, startVsftpd } from '../support/vsftpd.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const hasLftp = hasProgram('lftp');
const canRun = netnsUnavailable === undefined && hasProgram('vsftpd') && hasProgram('curl');
const removeEverything =
  'nft flush ruleset; ip rule del fwmark 0x1 2>/dev/null; ip -6 rule del fwmark 0x1 2>/dev/null; true';

/** Clients and a vsftpd that demands resumed sessions, in networks of their own: data connections are captured too. */
describe.runIf(canRun)('files through transparent capture', () => {
  let network: TestNetwork;
  let gateway: RunningGateway;
  let explicit: RunningVsftpd;
  let implicit: RunningVsftpd;
  const big = randomBytes(3_000_000);

  beforeAll(async () => {
    network = await createTestNetwork();
    const authority = await createTestAuthority();
    const credentials = await authority.issue({ names: ['ftp.example.test'] });
    const at = (port: number) => ({ namespace: network.origin.name, port });
    // A client whose address is spoofed is the same for both connections; any other that takes the port is sent away.
    explicit = await startVsftpd(credentials, {}, at(21));
    implicit = await startVsftpd(credentials, { implicit_ssl: 'YES' }, at(990));
    for (const { root } of [explicit, implicit]) {
      writeFileSync(join(root, 'big.bin'), big);
      writeFileSync(join(root, 'secret.txt'), 'the codeword is falcon-seven\n');
    }
    const listener = (port: number, capture: string, more: object = {}) => ({
      mode: 'transparent',
      listen: `[::]:${port}`,
      capture,
      ...more,
    });
    gateway = await startGateway({
      namespace: network.gateway.name,
      files: {
        'root.pem': authority.rootPem,
        'ftp.yaml':
          '- { id: codeword, title: Codeword, action: block, when: { field: ftp.body, contains: falcon-seven } }\n',
      },
      config: {
        rules: { files: ['$DIRECTORY/ftp.yaml'] },
        listeners: [
          listener(8443, 'redirect'),
          listener(9443, 'tproxy'),
          listener(9444, 'tproxy', { spoofClient: true }),
        ],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
        timeouts: { drain: '2s' },
      },
    });
  }, 60_000);
  afterAll(async () => {
    await network?.gateway.run('sh', '-c', removeEverything);
    await gateway?.[Symbol.asyncDispose]();
    await explicit?.[Symbol.asyncDispose]();
    await implicit?.[Symbol.asyncDispose]();
    await network?.[Symbol.asyncDispose]();
  });

  const capture = async (option: string, port: number) => {
    await network.gateway.run('sh', '-c', removeEverything);
    const up = ['net', 'up', `--${option}-port`, String(port), '--interface', 'lan0', '--ports', '21,990'];
    await network.gateway.run(process.execPath, main, ...up);
  };
  const inClient = (command: string, ...args: readonly string[]) =>
    run('ip', ['netns', 'exec', network.client.name, command, ...args], { timeoutMs: 30_000 });
  const curl = (ip: string, ...args: readonly string[]) => {
    const pins = [21, 990].flatMap((port) => ['--resolve', `ftp.example.test:${port}:${ip}`]);
    return inClient('curl', '-sS', '-m', '20', '--cacert', gateway.caFile, '-u', 'anonymous:x@y', ...pins, ...args);
  };
  const transfers = () =>
    gateway.records('traffic').filter(({ class_uid, name }) => class_uid === 4008 && name !== 'secret.txt');

  const families = [
    { family: 'IPv4', pick: ({ ipv4 }: Host) => ipv4 },
    { family: 'IPv6', pick: ({ ipv6 }: Host) => ipv6 },
  ] as const;
  const captures = [
    { kind: 'redirect', option: 'redirect', port: 8443 },
    { kind: 'tproxy', option: 'tproxy', port: 9443 },
    { kind: 'tproxy that shows origins the client', option: 'tproxy', port: 9444 },
  ] as const;
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

  describe.each(captures)('by $kind', ({ option, port }) => {
    beforeAll(() => capture(option, port), 30_000);

    describe.each(families)('over $family', ({ family, pick }) => {
      it.each(ways.filter(({ isOfAll }) => isOfAll || (family === 'IPv4' && port === 8443)))(
        'curl downloads and uploads with $way',
        async ({ url, args }) => {
          const before = transfers().length;
          const out = join(gateway.directory, 'out.bin');
          const down = await curl(pick(network.origin), ...args, `${url}/big.bin`, '-o', out);
          expect(down.code, down.stderr).toBe(0);
          expect(readFileSync(out).equals(big)).toBe(true);
          const name = `up-${randomBytes(4).toString('hex')}`;
          const up = await curl(pick(network.origin), ...args, '-T', out, `${url}/in/${name}`);
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
        const { code, stdout, stderr } = await curl(pick(network.origin), ...args, 'ftp://ftp.example.test/');
        expect(code, stderr).toBe(0);
        expect(stdout).toContain('big.bin');
      });

      it('content that a rule blocks never arrives', async () => {
        const args = ['--ssl-reqd', 'ftp://ftp.example.test/secret.txt'];
        const { code, stdout } = await curl(pick(network.origin), ...args);
        expect(code).not.toBe(0);
        expect(stdout).not.toContain('falcon');
      });

      it.runIf(hasLftp)('lftp with several transfers in one session', async () => {
        const script = [
          `set ssl:ca-file ${gateway.caFile}; set ftp:ssl-force true; set dns:order "inet6 inet"`,
          'set ftp:ssl-protect-data true; set net:max-retries 1; set net:timeout 10',
          'open -u anonymous,x ftp://ftp.example.test',
          `ls; get big.bin -o ${gateway.directory}/l1; get big.bin -o ${gateway.directory}/l2`,
          `put ${gateway.directory}/l1 -o in/l-${port}-${family}`,
        ].join('; ');
        // `ip netns exec` lays this file over /etc/hosts.
        const hosts = join('/etc/netns', network.client.name);
        mkdirSync(hosts, { recursive: true });
        writeFileSync(join(hosts, 'hosts'), `${pick(network.origin)} ftp.example.test\n`);
        const { code, stdout, stderr } = await inClient('lftp', '-c', script);
        rmSync(hosts, { recursive: true });
        expect(code, stdout + stderr).toBe(0);
        for (const name of ['l1', 'l2']) expect(readFileSync(join(gateway.directory, name)).equals(big)).toBe(true);
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
        const out = join(gateway.directory, 'basic.bin');
        const args = ['--input-type=module', '-e', script, pick(network.origin), gateway.caFile, out];
        const { code, stdout, stderr } = await inClient(process.execPath, ...args);
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
        const { code, stdout, stderr } = await inClient('python3', '-c', script, pick(network.origin), gateway.caFile);
        expect(code, stdout + stderr).toBe(0);
      });
    });
  });
});
