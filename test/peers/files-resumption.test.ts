import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ftpServers, type RunningFtpServer } from '../support/ftp-servers.ts';
import { transferByBasicFtp, transferByLftp } from '../support/ftp-steps.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { reverse } from '../support/reverse-listener.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { type RunningVsftpd, startVsftpd } from '../support/vsftpd.ts';

const isRoot = process.getuid?.() === 0;
const installed = isRoot ? ftpServers.filter(({ isInstalled }) => isInstalled()) : [];

/** What Python does not do by itself: data connections resume the session of the control connection, or of `lender`. */
const resuming = `
import ftplib, io, ssl, sys
port, ca, user, password, version, lend = sys.argv[1:7]
ends = sys.argv[8] == 'clear'
ctx = ssl.create_default_context(cafile=ca)
if version == '1.2': ctx.maximum_version = ssl.TLSVersion.TLSv1_2
class Resuming(ftplib.FTP_TLS):
    lender = None
    kept = None
    def ntransfercmd(self, cmd, rest=None):
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        lender = self.lender or self
        session = lender.kept or lender.sock.session
        return self.context.wrap_socket(conn, server_hostname=self.host, session=session), size
def login():
    f = Resuming(context=ctx, timeout=15)
    f.connect('localhost', int(port)); f.login(user, password); f.prot_p(); f.voidcmd('NOOP')
    # What has been TLS of the control connection goes on being resumed.
    if ends: f.kept = f.sock.session; f.ccc()
    return f
f = login()
if lend == 'other': f.lender = login()
def get():
    b = io.BytesIO(); f.retrbinary('RETR big.bin', b.write); return b.getvalue()
if lend == 'other':
    for n in range(2):
        try: print('got', len(get()))
        except Exception as e: print('refused', e)
        # The answer to the transfer, where the data connection failed first.
        try: print(f.getresp())
        except Exception as e: print(e)
    f.lender = None
for n in range(3):
    assert len(get()) == int(sys.argv[7])
    f.storbinary('STOR in/res%d' % n, io.BytesIO(b'x' * 300000))
print(len(f.nlst())); print('done', f.quit())
`;

describe.each(installed)('data connections of $name, where the client must resume', ({ name, start }) => {
  let server: RunningFtpServer;
  let implicit: RunningVsftpd | undefined;
  let gateway: RunningGateway;
  let port: number;
  let tlsPort: number;
  const big = randomBytes(2_000_000);

  beforeAll(async () => {
    const authority = await createTestAuthority();
    const credentials = await authority.issue({ names: ['localhost'] });
    server = await start(credentials);
    if (name === 'vsftpd') implicit = await startVsftpd(credentials, { implicit_ssl: 'YES' });
    for (const { root } of [server, implicit ?? server]) writeFileSync(join(root, 'big.bin'), big);
    [port, tlsPort] = [await freePort(), await freePort()];
    gateway = await startGateway({
      files: { 'root.pem': authority.rootPem },
      config: {
        files: { requireResumption: true, clearCommandChannel: 'allow' },
        listeners: [reverse(port, server.port), reverse(tlsPort, implicit?.port ?? server.port)],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
      },
    });
  }, 60_000);
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await implicit?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  const login = () => `${server.user}:${server.password}`;
  const curl = (...args: readonly string[]) =>
    run('curl', ['-sS', '-v', '-m', '20', '--cacert', gateway.caFile, '--user', login(), ...args]);
  const python = (version: string, lend: 'own' | 'other', control: 'secure' | 'clear' = 'secure') => {
    const who = [server.user, server.password];
    const args = [String(port), gateway.caFile, ...who, version, lend, String(big.length), control];
    return run('python3', ['-c', resuming, ...args], { timeoutMs: 60_000 });
  };
  const failed = () =>
    gateway.records('traffic').filter(({ status_code }) => status_code === 'CLIENT_FTP_DATA_IDENTITY');

  it.each(['1.3', '1.2'])(
    'Python that resumes (TLS %s) transfers as often as it likes',
    async (version) => {
      const { code, stdout, stderr } = await python(version, 'own');
      expect(code, stdout + stderr).toBe(0);
      await expect.poll(() => server.uploaded('res2')?.length).toBe(300_000);
    },
    60_000,
  );

  it.each(['1.3', '1.2'])(
    'the session of another control connection (TLS %s) opens nothing',
    async (version) => {
      const { code, stdout, stderr } = await python(version, 'other');
      expect(code, stdout + stderr).toBe(0);
      expect(stdout).not.toContain('got');
      expect(stdout.match(/522 CLIENT_FTP_DATA_IDENTITY/g)?.length, stdout).toBeGreaterThanOrEqual(2);
      expect(stdout).toContain('done');
    },
    60_000,
  );

  // vsftpd knows no CCC.
  it.runIf(name !== 'vsftpd').each([
    ['1.3', 'own'],
    ['1.2', 'own'],
    ['1.3', 'other'],
    ['1.2', 'other'],
  ] as const)(
    'behind CCC the session that has ended (TLS %s) is asked for as before: that of the %s connection',
    async (version, lend) => {
      const { code, stdout, stderr } = await python(version, lend, 'clear');
      expect(code, stdout + stderr).toBe(0);
      expect(stdout).toContain('done');
      expect(stdout).not.toContain('got');
      if (lend === 'other') {
        expect(stdout.match(/522 CLIENT_FTP_DATA_IDENTITY/g)?.length, stdout).toBeGreaterThanOrEqual(2);
      }
    },
    60_000,
  );

  it('Python ftplib as it is, which does not resume, gets and leaves nothing, and learns why', async () => {
    const before = failed().length;
    // In sessions of their own: ProFTPD now and then ends the session of a client whose data connection is reset.
    const script = `
import ftplib, ssl, sys
def login():
    f = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=sys.argv[2]), timeout=15)
    f.connect('localhost', int(sys.argv[1])); f.login(sys.argv[3], sys.argv[4])
    return f
got = []
for n in range(2):
    f = login(); f.prot_p()
    try: f.retrbinary('RETR big.bin', got.append)
    except Exception as e: print(type(e))
    assert not got
    try: print(f.getresp())
    except Exception as e: print(e)
f = login(); f.prot_c()
f.retrbinary('RETR big.bin', got.append); print(sum(map(len, got)))
`;
    const args = [String(port), gateway.caFile, server.user, server.password];
    const { code, stdout, stderr } = await run('python3', ['-c', script, ...args], { timeoutMs: 40_000 });
    expect(code, stdout + stderr).toBe(0);
    expect(stdout.match(/522 CLIENT_FTP_DATA_IDENTITY/g)?.length, stdout).toBe(2);
    expect(stdout).toContain(String(big.length));
    await expect.poll(() => failed().length).toBeGreaterThanOrEqual(before + 2);
  }, 60_000);

  it.runIf(hasProgram('lftp'))('lftp with several transfers in one session', { timeout: 90_000 }, () =>
    transferByLftp({ server, gateway, port, content: big }),
  );

  it('basic-ftp with several transfers in one session', { timeout: 60_000 }, () =>
    transferByBasicFtp({ server, gateway, port, content: big }),
  );

  it.each([
    ['a session id (TLS 1.2), twice', ['--ssl-reqd', '--tls-max', '1.2'], 2],
    ['the ticket of TLS 1.3, once', ['--ssl-reqd'], 1],
  ] as const)('curl with %s', { timeout: 60_000 }, async (_what, options, times) => {
    const url = `ftp://localhost:${port}/big.bin`;
    const outs = Array.from({ length: times }, (_, index) => join(gateway.directory, `curl${index}.bin`));
    for (const out of outs) if (existsSync(out)) rmSync(out);
    const { code, stderr } = await curl(...options, ...outs.flatMap((out) => [url, '-o', out]));
    expect(code, stderr).toBe(0);
    for (const out of outs) expect(readFileSync(out).equals(big)).toBe(true);
  });

  it.runIf(name === 'vsftpd')('and where TLS is there from the start, on whatever port', async () => {
    const out = join(gateway.directory, 'implicit.bin');
    for (const version of ['1.2', '1.3']) {
      const { code, stderr } = await curl('--tls-max', version, `ftps://localhost:${tlsPort}/big.bin`, '-o', out);
      expect(code, stderr).toBe(0);
      expect(readFileSync(out).equals(big)).toBe(true);
    }
    const before = failed().length;
    const without = await curl('--no-sessionid', `ftps://localhost:${tlsPort}/big.bin`, '-o', '/dev/null');
    expect(without.code).not.toBe(0);
    // curl takes the reset for a fault of EPSV, and does not wait for the answer.
    await expect.poll(() => failed().length, { timeout: 10_000, message: without.stderr }).toBeGreaterThan(before);
  });
});
