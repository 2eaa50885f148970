import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { captures, type FilesNetwork, families, startFilesNetwork } from '../support/files-network.ts';
import { netnsUnavailable } from '../support/netns.ts';
import { gatewayField, isFlow, labelOf, member } from '../support/record-fields.ts';
import { hasProgram } from '../support/run.ts';
import { debianAccess, type Squid, startSquid } from '../support/squid.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { type RunningVsftpd, startVsftpd } from '../support/vsftpd.ts';

const canRun = netnsUnavailable === undefined && ['vsftpd', 'curl', 'squid'].map(hasProgram).every(Boolean);
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** As docs/protocols.md has it for transparent capture. */
const forAddresses = `acl ftp_servers dst 10.91.2.2 fd91:2::2
acl ftp_ports port 21 990 1024-65535
http_access allow CONNECT ftp_servers ftp_ports`;

/** Squid stands in the origin's network, where alone it can be reached by the gateway. */
const squidPort = 3_128;

describe.runIf(canRun)('files through transparent capture and Squid as upstream proxy', () => {
  let files: FilesNetwork;
  let explicit: RunningVsftpd;
  let implicit: RunningVsftpd;
  let squid: Squid;
  const big = randomBytes(1_000_000);

  beforeAll(async () => {
    const authority = await createTestAuthority();
    const upstream = { proxy: `http://10.91.2.2:${squidPort}` };
    files = await startFilesNetwork(authority, [21, 990], {}, { upstream });
    const { name: namespace, ipv4: ip } = files.network.origin;
    squid = await startSquid(debianAccess(forAddresses), { namespace, ip, port: squidPort });
    const credentials = await authority.issue({ names: ['ftp.example.test'] });
    explicit = await startVsftpd(credentials, {}, { namespace, port: 21 });
    implicit = await startVsftpd(credentials, { implicit_ssl: 'YES' }, { namespace, port: 990 });
    for (const { root } of [explicit, implicit]) {
      writeFileSync(join(root, 'big.bin'), big);
      writeFileSync(join(root, 'secret.txt'), 'the codeword is falcon-seven\n');
    }
  }, 60_000);
  afterAll(async () => {
    for (const one of [squid, explicit, implicit, files]) await one?.[Symbol.asyncDispose]();
  });

  const curl = (ip: string, ...args: readonly string[]) => {
    const pins = [21, 990].flatMap((port) => ['--resolve', `ftp.example.test:${port}:${ip}`]);
    const all = ['-sS', '-m', '20', '--cacert', files.gateway.caFile, '-u', 'anonymous:x@y', ...pins, ...args];
    return files.inClient('curl', ...all);
  };
  const transfers = () => files.gateway.records('traffic').filter(({ class_uid }) => class_uid === 4008);
  const connects = () =>
    squid
      .log()
      .split('\n')
      .filter((line) => line.includes(' CONNECT ')).length;

  const ways = [
    { way: 'AUTH TLS', url: 'ftp://ftp.example.test', args: ['--ssl-reqd'] },
    { way: 'TLS from the start', url: 'ftps://ftp.example.test', args: [] },
    { way: 'no TLS, active', url: 'ftp://ftp.example.test', args: ['-P', '-'] },
  ] as const;

  describe.each(captures)('by $kind', (way) => {
    beforeAll(() => files.capture(way), 30_000);

    describe.each(families)('over $family', ({ family, pick }) => {
      it.each(ways.filter(({ way }) => family === 'IPv4' || way === 'AUTH TLS'))(
        'curl downloads and uploads with $way',
        async ({ url, args }) => {
          const [before, asked] = [transfers().length, connects()];
          const out = join(files.gateway.directory, 'out.bin');
          const ip = pick(files.network.origin);
          const down = await curl(ip, ...args, `${url}/big.bin`, '-o', out);
          expect(down.code, down.stderr).toBe(0);
          expect(readFileSync(out).equals(big)).toBe(true);
          const name = `up-${randomBytes(4).toString('hex')}`;
          const up = await curl(ip, ...args, '-T', out, `${url}/in/${name}`);
          expect(up.code, up.stderr).toBe(0);
          const server = url.startsWith('ftps') ? implicit : explicit;
          await expect.poll(() => server.uploaded(name)?.equals(big)).toBe(true);
          await expect.poll(() => transfers().length).toBe(before + 2);
          for (const record of transfers().slice(before)) {
            expect(record).toMatchObject({ status_id: 1, traffic: { bytes: big.length } });
            expect(gatewayField(record, 'upstream_proxy')).toBe(`10.91.2.2:${squidPort}`);
          }
          // Control and data, twice.
          await expect.poll(() => connects() - asked).toBe(4);
        },
      );

      it('content that a rule blocks never arrives', async () => {
        const [before, asked] = [transfers().length, connects()];
        const args = ['--ssl-reqd', 'ftp://ftp.example.test/secret.txt'];
        const { code, stdout } = await curl(pick(files.network.origin), ...args);
        expect(code).not.toBe(0);
        expect(stdout).not.toContain('falcon');
        await expect.poll(() => [transfers().length - before, connects() - asked]).toEqual([1, 2]);
      });
    });
  });

  it('of programs of the gateway host pass unread, and the record says why', async () => {
    const { gateway, origin } = files.network;
    await gateway.run('sh', '-c', 'nft flush ruleset');
    const up = 'net up --redirect-port 8443 --local --except-user root --ports 21';
    const said = await gateway.run('sh', '-c', `"${process.execPath}" "${main}" ${up} 2>&1`);
    expect(said).toContain('warning: FTP of programs on this host is not read');
    const asDaemon = ['setpriv', '--reuid=daemon', '--clear-groups', 'curl', '-sS', '-m', '10'];
    // Without a data connection, which goes past the proxy here: vsftpd takes it from no other address than the control connection.
    const told = await gateway.run('timeout', '15', ...asDaemon, '-I', `ftp://${origin.ipv4}/big.bin`);
    expect(told).toContain(`Content-Length: ${big.length}`);
    const ofHost = () => files.gateway.records('traffic').filter((line) => isFlow(line) && labelOf(line) === 'Bypass');
    await expect.poll(() => ofHost().length).toBe(1);
    expect(gatewayField(ofHost()[0], 'decision')).toBe('bypass');
    expect(gatewayField(ofHost()[0], 'decision_reason')).toBe('FTP unread: a program of the gateway host');
    expect(member(ofHost()[0], 'dst_endpoint', 'svc_name')).toBe('ftp');
  });
});
