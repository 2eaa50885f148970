import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ftpServers, type RunningFtpServer, startProftpd } from '../support/ftp-servers.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { reverse } from '../support/reverse-listener.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const isRoot = process.getuid?.() === 0;
/** vsftpd knows no CCC. */
const installed = isRoot ? ftpServers.filter(({ name, isInstalled }) => name !== 'vsftpd' && isInstalled()) : [];

/** Clients end TLS on their control connection behind the login, and so does the gateway towards the server. */
describe.each(installed)('control connections of $name in plaintext behind CCC', ({ name, start }) => {
  let server: RunningFtpServer;
  let implicit: RunningFtpServer | undefined;
  let gateway: RunningGateway;
  let port: number;
  let proxyPort: number;
  let tlsPort: number;
  const big = randomBytes(1_000_000);

  beforeAll(async () => {
    const authority = await createTestAuthority();
    const credentials = await authority.issue({ names: ['localhost'] });
    server = await start(credentials);
    // Pure-FTPd knows no TLS from the start.
    if (name === 'ProFTPD') implicit = await startProftpd(credentials, undefined, 'TLSOptions UseImplicitSSL');
    for (const { root } of [server, implicit ?? server]) writeFileSync(join(root, 'big.bin'), big);
    [port, proxyPort, tlsPort] = [await freePort(), await freePort(), await freePort()];
    gateway = await startGateway({
      files: { 'root.pem': authority.rootPem },
      config: {
        files: { clearCommandChannel: 'allow' },
        listeners: [
          reverse(port, server.port),
          { mode: 'explicit', listen: `127.0.0.1:${proxyPort}` },
          reverse(tlsPort, implicit?.port ?? server.port),
        ],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
      },
    });
  }, 60_000);
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await implicit?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  const transfers = (file: string) => gateway.records('traffic').filter((record) => record.name === file);
  const curl = (...args: readonly string[]) => {
    const login = ['--cacert', gateway.caFile, '--user', `${server.user}:${server.password}`];
    return run('curl', ['-sS', '-v', '-m', '20', ...login, '--ssl-reqd', '--ftp-ssl-ccc', ...args]);
  };
  const behindCcc = { status_id: 1, unmapped: { gateway: { ftp: { is_protected: true, is_control_clear: true } } } };

  it.each([
    ['passive', '1.3'],
    ['active', '1.3'],
    ['passive', '1.2'],
    ['active', '1.2'],
  ])(
    'curl whose end of TLS is %s (TLS %s) downloads, uploads and lists',
    { timeout: 90_000 },
    async (mode, version) => {
      const tls = ['--ftp-ssl-ccc-mode', mode, '--tls-max', version];
      const url = `ftp://localhost:${port}`;
      const out = join(gateway.directory, 'out.bin');
      const down = await curl(...tls, `${url}/big.bin`, '-o', out);
      expect(down.code, down.stderr).toBe(0);
      expect(down.stderr).toMatch(/^< 200 /m);
      expect(readFileSync(out).equals(big)).toBe(true);
      const file = `${mode}-${version}`;
      const up = await curl(...tls, '-T', out, `${url}/in/${file}`);
      expect(up.code, up.stderr).toBe(0);
      await expect.poll(() => server.uploaded(file)?.equals(big)).toBe(true);
      const list = await curl(...tls, `${url}/`);
      expect(list.code, list.stderr).toBe(0);
      await expect.poll(() => transfers(file).length).toBe(1);
      expect(transfers(file)[0]).toMatchObject(behindCcc);
    },
  );

  it.each([
    ['the explicit proxy by CONNECT', () => ['--proxytunnel', '-x', `http://127.0.0.1:${proxyPort}`]],
    ['the explicit proxy by SOCKS5', () => ['--socks5', `127.0.0.1:${proxyPort}`]],
  ])('curl through %s', { timeout: 90_000 }, async (way, proxy) => {
    const url = `ftp://localhost:${server.port}`;
    const out = join(gateway.directory, 'out.bin');
    const down = await curl(...proxy(), `${url}/big.bin`, '-o', out);
    expect(down.code, down.stderr).toBe(0);
    expect(readFileSync(out).equals(big)).toBe(true);
    const file = way.replaceAll(' ', '-');
    const up = await curl(...proxy(), '-T', out, `${url}/in/${file}`);
    expect(up.code, up.stderr).toBe(0);
    await expect.poll(() => server.uploaded(file)?.equals(big)).toBe(true);
    await expect.poll(() => transfers(file).length).toBe(1);
    expect(transfers(file)[0]).toMatchObject(behindCcc);
  });

  it.runIf(name === 'ProFTPD').each(['1.3', '1.2'])(
    'curl, where TLS is there from the start (%s)',
    { timeout: 60_000 },
    async (version) => {
      const url = `ftps://localhost:${tlsPort}`;
      const out = join(gateway.directory, 'out.bin');
      const down = await curl('--tls-max', version, `${url}/big.bin`, '-o', out);
      expect(down.code, down.stderr).toBe(0);
      expect(readFileSync(out).equals(big)).toBe(true);
      const up = await curl('--tls-max', version, '-T', out, `${url}/in/start-${version}`);
      expect(up.code, up.stderr).toBe(0);
      await expect.poll(() => implicit?.uploaded(`start-${version}`)?.equals(big)).toBe(true);
      await expect.poll(() => transfers(`start-${version}`).length).toBe(1);
      expect(transfers(`start-${version}`)[0]).toMatchObject(behindCcc);
    },
  );

  // Directly to these servers too it takes the end of TLS for that of the connection in about half of its attempts.
  it.runIf(hasProgram('lftp'))(
    'lftp with several transfers, as often as it has to try',
    { timeout: 90_000 },
    async () => {
      const script = [
        `set ssl:ca-file ${gateway.caFile}; set ftp:ssl-force true; set ftp:ssl-protect-data true; set ftp:ssl-use-ccc true`,
        'set net:max-retries 20; set net:reconnect-interval-base 1; set net:reconnect-interval-multiplier 1',
        `open -u ${server.user},${server.password} ftp://localhost:${port}`,
        `ls; get big.bin -o ${gateway.directory}/l1; put ${gateway.directory}/l1 -o in/l2`,
      ].join('; ');
      const { code, stdout, stderr } = await run('lftp', ['-c', script], { timeoutMs: 80_000 });
      expect(code, stdout + stderr).toBe(0);
      expect(readFileSync(join(gateway.directory, 'l1')).equals(big)).toBe(true);
      await expect.poll(() => server.uploaded('l2')?.equals(big)).toBe(true);
    },
  );

  it('Python ftplib, which waits for the end of TLS, goes on in plaintext with all kinds of commands', async () => {
    const script = `
import ftplib, io, socket, ssl, sys
f = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=sys.argv[2]), timeout=15)
f.connect('localhost', int(sys.argv[1])); f.login(sys.argv[3], sys.argv[4]); f.prot_p(); f.ccc()
for n in range(3):
    b = io.BytesIO(); f.retrbinary('RETR big.bin', b.write); assert len(b.getvalue()) == ${big.length}
    f.storbinary('STOR in/clear%d' % n, io.BytesIO(b'x' * 100000))
print(f.pwd(), len(f.nlst())); f.rename('in/clear0', 'in/clear0b')
for cmd, code in (('CCC', '533'), ('AUTH TLS', '502'), ('REIN', '502')):
    try: print('not refused', f.sendcmd(cmd))
    except ftplib.error_perm as e: assert str(e).startswith(code), e
print('done', f.quit())
`;
    const args = ['-c', script, String(port), gateway.caFile, server.user, server.password];
    const { code, stdout, stderr } = await run('python3', args, { timeoutMs: 40_000 });
    expect(code, stdout + stderr).toBe(0);
    expect(stdout).toContain('done');
    expect(stdout).not.toContain('not refused');
    await expect.poll(() => server.uploaded('clear2')?.length).toBe(100_000);
    await expect.poll(() => transfers('in/clear0').length).toBe(2);
  }, 60_000);
});
