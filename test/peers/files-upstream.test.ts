import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { codewordFile, codewordRule } from '../support/codeword.ts';
import { transferByBasicFtp, transferByLftp } from '../support/ftp-steps.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { failureOf, gatewayField, isFlow, type Line, member } from '../support/record-fields.ts';
import { reverse } from '../support/reverse-listener.ts';
import { hasProgram, run } from '../support/run.ts';
import { debianAccess, type Squid, startSquid } from '../support/squid.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { type RunningVsftpd, startVsftpd } from '../support/vsftpd.ts';

const canRun = process.getuid?.() === 0 && ['vsftpd', 'squid', 'curl'].map(hasProgram).every(Boolean);
const anybody = { user: 'anonymous', password: 'hunter2@x' };

/** What docs/protocols.md says that Squid needs, with the places of these tests. */
function forFiles(controlPorts: string): string {
  const page = readFileSync(new URL('../../docs/protocols.md', import.meta.url), 'utf8');
  const rules = /```\n(acl gateway [^`]*)```/.exec(page)?.[1] ?? '';
  const places = { '192.0.2.10': '127.0.0.1', 'ftp.example.com': 'localhost', '21 990': controlPorts };
  return Object.entries(places).reduce((text, [from, to]) => {
    expect(text).toContain(from);
    return text.replace(from, to);
  }, rules);
}

describe.runIf(canRun)('files through Squid as upstream proxy, to vsftpd, which demands resumed sessions', () => {
  let gateway: RunningGateway;
  let squid: Squid;
  let vsftpd: RunningVsftpd;
  let implicit: RunningVsftpd;
  const ports = { proxy: 0, files: 0, secureFiles: 0 };
  const big = randomBytes(3_000_000);
  const open = (): string => debianAccess(forFiles(`${vsftpd.port} ${implicit.port}`));

  beforeAll(async () => {
    const authority = await createTestAuthority();
    const credentials = await authority.issue({ names: ['localhost'] });
    vsftpd = await startVsftpd(credentials);
    implicit = await startVsftpd(credentials, { implicit_ssl: 'YES' });
    for (const { root } of [vsftpd, implicit]) {
      writeFileSync(join(root, 'big.bin'), big);
      writeFileSync(join(root, 'secret.txt'), codewordFile);
    }
    squid = await startSquid(open());
    for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort();
    gateway = await startGateway({
      files: {
        'root.pem': authority.rootPem,
        'ftp.yaml': codewordRule,
      },
      config: {
        relays: 2,
        rules: { files: ['$DIRECTORY/ftp.yaml'] },
        listeners: [
          { mode: 'explicit', listen: `127.0.0.1:${ports.proxy}` },
          { ...reverse(ports.files, 0), origin: `localhost:${vsftpd.port}` },
          { ...reverse(ports.secureFiles, 0), origin: `localhost:${implicit.port}` },
        ],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
        upstream: { proxy: `http://127.0.0.1:${squid.port}` },
      },
    });
  }, 60_000);
  afterAll(async () => {
    for (const one of [gateway, vsftpd, implicit, squid]) await one?.[Symbol.asyncDispose]();
  });

  const transfers = () => gateway.records('traffic').filter(({ class_uid }) => class_uid === 4008);
  /** Records of the two relays stand one file after the other: those of a test are told by their time. */
  const transfersSince = (startMs: number) => transfers().filter(({ time }) => Number(time) >= startMs);
  const curl = (...args: readonly string[]) =>
    run('curl', ['-sS', '-m', '20', '--cacert', gateway.caFile, '-u', 'anonymous:x@y', ...args]);

  const captures = [
    { capture: 'explicit, CONNECT', args: () => ['--proxytunnel', '-x', `http://127.0.0.1:${ports.proxy}`] },
    { capture: 'explicit, SOCKS5 with names', args: () => ['--socks5-hostname', `127.0.0.1:${ports.proxy}`] },
    { capture: 'reverse', args: () => [] },
  ] as const;
  const ways = [
    { way: 'AUTH TLS', isImplicit: false, isOfAll: true, more: ['--ssl-reqd'] },
    { way: 'AUTH TLS and PASV', isImplicit: false, isOfAll: true, more: ['--ssl-reqd', '--disable-epsv'] },
    { way: 'AUTH TLS of version 1.2', isImplicit: false, isOfAll: false, more: ['--ssl-reqd', '--tls-max', '1.2'] },
    { way: 'TLS from the start', isImplicit: true, isOfAll: true, more: [] },
    { way: 'no TLS', isImplicit: false, isOfAll: false, more: [] },
    { way: 'no TLS, active', isImplicit: false, isOfAll: false, more: ['-P', '127.0.0.1', '--disable-eprt'] },
    { way: 'no TLS, active by EPRT', isImplicit: false, isOfAll: true, more: ['-P', '127.0.0.1'] },
  ] as const;

  describe.each(captures)('$capture', ({ capture, args }) => {
    const urlOf = (isImplicit: boolean): string => {
      const own = isImplicit ? ports.secureFiles : ports.files;
      const port = capture === 'reverse' ? own : (isImplicit ? implicit : vsftpd).port;
      return `${isImplicit ? 'ftps' : 'ftp'}://localhost:${port}`;
    };

    it.each(ways.filter(({ isOfAll }) => isOfAll || capture === 'reverse'))(
      'curl lists, downloads and uploads with $way',
      async ({ way, isImplicit, more }) => {
        const startMs = Date.now();
        const url = urlOf(isImplicit);
        const list = await curl(...args(), ...more, `${url}/`);
        expect(list.code, list.stderr).toBe(0);
        expect(list.stdout).toContain('big.bin');
        const out = join(gateway.directory, 'out.bin');
        const down = await curl(...args(), ...more, `${url}/big.bin`, '-o', out);
        expect(down.code, down.stderr).toBe(0);
        expect(readFileSync(out).equals(big)).toBe(true);
        const name = `up-${randomBytes(4).toString('hex')}`;
        const up = await curl(...args(), ...more, '-T', out, `${url}/in/${name}`);
        expect(up.code, up.stderr).toBe(0);
        const server = isImplicit ? implicit : vsftpd;
        await expect.poll(() => server.uploaded(name)?.equals(big)).toBe(true);
        await expect.poll(() => transfersSince(startMs).length).toBe(3);
        for (const record of transfersSince(startMs)) {
          expect(record).toMatchObject({ status_id: 1, type: way.includes('active') ? 'active' : 'passive' });
          expect(gatewayField(record, 'upstream_proxy')).toBe(`127.0.0.1:${squid.port}`);
        }
      },
    );

    it('content that a rule blocks never arrives, in either direction', async () => {
      const down = await curl(...args(), '-v', '--ssl-reqd', `${urlOf(false)}/secret.txt`);
      expect(down.code).not.toBe(0);
      expect(down.stdout).not.toContain('falcon');
      const file = join(gateway.directory, 'secret.txt');
      writeFileSync(file, codewordFile);
      const name = `secret-${randomBytes(4).toString('hex')}`;
      const up = await curl(...args(), '-v', '--ssl-reqd', '-T', file, `${urlOf(false)}/in/${name}`);
      expect(up.stderr).toContain('550 POLICY_RULE_BLOCK codeword');
      expect(vsftpd.uploaded(name)?.toString() ?? '').not.toContain('seven');
    });
  });

  it('no connection of it goes past Squid', async () => {
    const connects = squid
      .log()
      .split('\n')
      .filter((line) => line.includes('CONNECT localhost:'));
    // Control and data connections of all that was transferred above.
    expect(connects.length).toBeGreaterThan(2 * transfers().filter(({ status_id }) => status_id === 1).length - 10);
  });

  it.runIf(hasProgram('lftp'))('lftp with several transfers in one session, at a published endpoint', async () => {
    await transferByLftp({ server: Object.assign(vsftpd, anybody), gateway, port: ports.files, content: big });
  });

  it('basic-ftp, which resumes sessions, with several transfers in one session', async () => {
    await transferByBasicFtp({ server: Object.assign(vsftpd, anybody), gateway, port: ports.files, content: big });
  });

  it.runIf(hasProgram('lftp'))('lftp by CONNECT, which asks for the address that PASV names', async () => {
    const startMs = Date.now();
    const script = [
      `set ssl:ca-file ${gateway.caFile}; set ftp:ssl-force true; set ftp:ssl-protect-data true; set net:max-retries 1`,
      `set ftp:proxy http://127.0.0.1:${ports.proxy}; set ftp:use-hftp false; set net:timeout 15`,
      `open -u anonymous,x ftp://localhost:${vsftpd.port}`,
      `get big.bin -o ${gateway.directory}/c1; put ${gateway.directory}/c1 -o in/c2`,
    ].join('; ');
    const { code, stdout, stderr } = await run('lftp', ['-c', script]);
    expect(code, stdout + stderr).toBe(0);
    expect(readFileSync(join(gateway.directory, 'c1')).equals(big)).toBe(true);
    await expect.poll(() => vsftpd.uploaded('c2')?.equals(big)).toBe(true);
    const whole = () => transfersSince(startMs).filter((record) => member(record, 'traffic', 'bytes') === big.length);
    await expect.poll(() => whole().length).toBe(2);
  });

  it.runIf(hasProgram('python3'))('Python ftplib in one session under TLS, passive and active', async () => {
    const script = `
import ftplib, io, ssl, sys
ca, port = sys.argv[1], int(sys.argv[2])
f = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=ca), timeout=15)
f.connect('localhost', port); f.login(); f.prot_p()
for n, passive in enumerate([True, False] * 5):
    f.set_pasv(passive)
    b = io.BytesIO(); f.retrbinary('RETR big.bin', b.write); assert len(b.getvalue()) == ${big.length}
    f.storbinary('STOR in/py%d' % n, io.BytesIO(b'x' * 300000))
    assert 'big.bin' in f.nlst()
f.quit()
`;
    const { code, stderr } = await run('python3', ['-c', script, gateway.caFile, String(ports.files)]);
    expect(code, stderr).toBe(0);
    for (let n = 0; n < 10; n += 1) await expect.poll(() => vsftpd.uploaded(`py${n}`)?.length).toBe(300_000);
  });

  describe('where Squid has the rules that it comes with', () => {
    afterEach(() => squid.configure(open()));

    it('the client is told that it refuses the data port, at once, and so does the record', async () => {
      const startMs = Date.now();
      // As Debian has it, but for the control port.
      await squid.configure(debianAccess(`acl control port ${vsftpd.port}\nhttp_access allow CONNECT control`));
      for (const more of [[], ['-P', '127.0.0.1']]) {
        const { code, stderr } = await curl('-v', '--ssl-reqd', ...more, `ftp://localhost:${ports.files}/big.bin`);
        expect(code).not.toBe(0);
        expect(stderr).toContain('425 ORIGIN_UPSTREAM_PROXY the proxy answered HTTP 403');
      }
      const flows = () =>
        gateway.records('traffic').filter((line) => isFlow(line) && Number(member(line, 'start_time')) >= startMs);
      await expect.poll(() => flows().map(failureOf)).toEqual(Array(2).fill('ORIGIN_UPSTREAM_PROXY'));
      expect(member(flows()[0], 'status_detail')).toBe('the proxy answered HTTP 403');
      expect(transfersSince(startMs)).toEqual([]);
    });

    it('a client of the explicit proxy is told that it refuses the control port', async () => {
      await squid.configure(debianAccess(''));
      const proxy = ['--proxytunnel', '-x', `http://127.0.0.1:${ports.proxy}`];
      const { code, stderr } = await curl('-v', ...proxy, `ftp://localhost:${vsftpd.port}/big.bin`);
      expect(code).not.toBe(0);
      expect(stderr).toContain('Daylight-Failure: ORIGIN_UPSTREAM_PROXY');
    });
  });
});

describe.runIf(canRun)('a transfer through Squid', () => {
  let gateway: RunningGateway;
  let squid: Squid;
  let vsftpd: RunningVsftpd;
  let port: number;

  beforeAll(async () => {
    const authority = await createTestAuthority();
    vsftpd = await startVsftpd(await authority.issue({ names: ['localhost'] }), { anon_max_rate: '400000' });
    writeFileSync(join(vsftpd.root, 'big.bin'), randomBytes(4_000_000));
    squid = await startSquid();
    port = await freePort();
    gateway = await startGateway({
      files: { 'root.pem': authority.rootPem },
      config: {
        listeners: [{ ...reverse(port, 0), origin: `localhost:${vsftpd.port}` }],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
        upstream: { proxy: `http://127.0.0.1:${squid.port}` },
      },
    });
  }, 60_000);
  afterAll(async () => {
    for (const one of [gateway, vsftpd, squid]) await one?.[Symbol.asyncDispose]();
  });

  const cutUpload = `
import ftplib, socket, ssl, struct, sys, time
tls = sys.argv[3] == 'tls'
f = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=sys.argv[1]), timeout=15) if tls else ftplib.FTP(timeout=15)
f.connect('localhost', int(sys.argv[2])); f.login()
if tls: f.prot_p()
conn = f.transfercmd('STOR in/' + sys.argv[3])
conn.sendall(b'x' * 200000); time.sleep(0.3)
conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); conn.close()
try: print(f.getresp())
except ftplib.all_errors as e: print(e)
print(f.sendcmd('NOOP')); f.quit()
`;

  it.runIf(hasProgram('python3')).each(['tls', 'plain'])('that the client cuts off (%s) is no upload', async (how) => {
    const { code, stdout, stderr } = await run('python3', ['-c', cutUpload, gateway.caFile, String(port), how]);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^426 .*\n200 /);
    const transfers = () => gateway.records('traffic').filter(({ name }) => name === `in/${how}`);
    await expect.poll(() => transfers().length).toBe(1);
    expect(gatewayField(transfers()[0], 'complete')).toBe(false);
    expect(failureOf(transfers()[0])).toBe('CLIENT_FTP_TRUNCATED');
    // Squid ends a connection in order that was reset: vsftpd sees that a file is cut under TLS alone.
    expect(transfers()[0]).toMatchObject({ codes: [how === 'tls' ? 426 : 226] });
  });

  it('that dies on the way: the client is told, and the record says that the file is not whole', async () => {
    const args = ['-sS', '-m', '20', '--cacert', gateway.caFile, '-u', 'anonymous:x@y', '--ssl-reqd'];
    const out = join(gateway.directory, 'out.bin');
    const ran = run('curl', [...args, `ftp://localhost:${port}/big.bin`, '-o', out]);
    await expect.poll(() => existsSync(out) && statSync(out).size, { timeout: 10_000 }).toBeGreaterThan(100_000);
    await squid.kill();
    expect((await ran).code).not.toBe(0);
    const transfers = () => gateway.records('traffic').filter(({ name }) => name === 'big.bin');
    await expect.poll(() => transfers().length).toBe(1);
    expect(gatewayField(transfers()[0], 'complete')).toBe(false);
    expect(['ORIGIN_TRUNCATED', 'ORIGIN_GONE']).toContain(failureOf(transfers()[0]));
    const later = await run('curl', ['-v', ...args, `ftp://localhost:${port}/big.bin`, '-o', out]);
    expect(later.code).not.toBe(0);
    const told = (line: Line): boolean => isFlow(line) && failureOf(line) === 'ORIGIN_UPSTREAM_PROXY';
    await expect.poll(() => gateway.records('traffic').filter(told).length).toBe(1);
  });
});
