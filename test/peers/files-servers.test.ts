import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ftpServers, type RunningFtpServer } from '../support/ftp-servers.ts';
import { transferByBasicFtp, transferByLftp } from '../support/ftp-steps.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const isRoot = process.getuid?.() === 0;
const hasLftp = hasProgram('lftp');
const installed = isRoot ? ftpServers.filter(({ isInstalled }) => isInstalled()) : [];

/** Real servers, each through the gateway with clients that resume TLS sessions on data connections and such that do not. */
describe.each(installed)('files of $name', ({ start }) => {
  let server: RunningFtpServer;
  let gateway: RunningGateway;
  let port: number;
  const big = randomBytes(2_000_000);

  beforeAll(async () => {
    const authority = await createTestAuthority();
    server = await start(await authority.issue({ names: ['localhost'] }));
    writeFileSync(join(server.root, 'big.bin'), big);
    writeFileSync(join(server.root, 'empty.txt'), '');
    port = await freePort();
    gateway = await startGateway({
      files: { 'root.pem': authority.rootPem },
      config: {
        listeners: [
          { mode: 'reverse', listen: `127.0.0.1:${port}`, origin: `127.0.0.1:${server.port}`, originName: 'localhost' },
        ],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
      },
    });
  }, 60_000);
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  const login = () => `${server.user}:${server.password}`;
  const curl = (...args: readonly string[]) =>
    run('curl', ['-sS', '-m', '20', '--cacert', gateway.caFile, '--user', login(), ...args]);

  it.each([
    ['TLS 1.3', ['--ssl-reqd']],
    ['TLS 1.2', ['--ssl-reqd', '--tls-max', '1.2']],
    ['PASV', ['--ssl-reqd', '--disable-epsv']],
    ['no TLS', []],
    ['no TLS, active', ['-P', '127.0.0.1']],
  ] as const)('curl with %s downloads, uploads and lists', { timeout: 90_000 }, async (_what, options) => {
    const url = `ftp://localhost:${port}`;
    const out = join(gateway.directory, 'out.bin');
    const down = await curl(...options, `${url}/big.bin`, '-o', out);
    expect(down.code, down.stderr).toBe(0);
    expect(readFileSync(out).equals(big)).toBe(true);
    const file = randomBytes(3).toString('hex');
    const up = await curl(...options, '-T', out, `${url}/in/${file}`);
    expect(up.code, up.stderr).toBe(0);
    await expect.poll(() => server.uploaded(file)?.equals(big)).toBe(true);
    const list = await curl(...options, `${url}/`);
    expect(list.code, list.stderr).toBe(0);
    expect(list.stdout).toContain('big.bin');
  });

  it.runIf(hasLftp)('lftp with several transfers in one session', { timeout: 90_000 }, () =>
    transferByLftp({ server, gateway, port, content: big }),
  );

  it('Python ftplib with all kinds of commands, and twenty transfers in one session', async () => {
    const script = `
import ftplib, io, ssl, sys
ctx = ssl.create_default_context(cafile=sys.argv[2])
f = ftplib.FTP_TLS(context=ctx, timeout=15)
f.connect('localhost', int(sys.argv[1])); f.login(sys.argv[3], sys.argv[4]); f.prot_p()
def get(cmd, rest=None):
    b = io.BytesIO(); f.retrbinary(cmd, b.write, rest=rest); return b.getvalue()
for n in range(10):
    assert len(get('RETR big.bin')) == ${big.length}
    f.storbinary('STOR in/py%d' % n, io.BytesIO(b'x' * 100000))
assert get('RETR empty.txt') == b''
assert len(get('RETR big.bin', rest=1500000)) == 500000
print('feat', f.voidcmd('FEAT'))
try: print(f.sendcmd('OPTS UTF8 ON'))
except ftplib.error_perm as e: print('OPTS', e)
print(f.size('big.bin'), f.pwd())
for cmd in ('MLST big.bin', 'MDTM big.bin'):
    try: print(f.sendcmd(cmd))
    except ftplib.error_perm as e: print(cmd, e)
print(f.nlst())
try: f.storbinary('APPE in/py1', io.BytesIO(b'y' * 5)); print('appended')
except ftplib.error_perm as e: print('APPE', e)
f.cwd('in')
try: print('stou', f.storbinary('STOU', io.BytesIO(b'z')))
except ftplib.error_perm as e: print('STOU', e)
f.rename('py2', 'py2b'); f.delete('py3')
try: f.sendcmd('SITE CHMOD 644 py4'); print('site')
except ftplib.error_perm as e: print('SITE', e)
f.cwd('..')
try: print('mlsd', sorted(n for n, _ in f.mlsd()))
except ftplib.error_perm as e: print('MLSD', e)
try: f.sendcmd('REIN')
except ftplib.error_perm as e: assert str(e).startswith('502'), e
try: f.sendcmd('CCC')
except ftplib.error_perm as e: assert str(e).startswith('533'), e
f.prot_c(); print(len(f.nlst())); f.prot_p(); print(len(f.nlst()))
print(f.quit())
`;
    const args = ['-c', script, String(port), gateway.caFile, server.user, server.password];
    const { code, stdout, stderr } = await run('python3', args, { timeoutMs: 60_000 });
    expect(code, stdout + stderr).toBe(0);
    expect(stdout).not.toMatch(/SSCN|CPSV|MODE Z|CCC/);
    for (let index = 4; index < 10; index += 1) {
      await expect.poll(() => server.uploaded(`py${index}`)?.length).toBe(100_000);
    }
    expect(server.uploaded('py2b')?.length).toBe(100_000);
    expect(server.uploaded('py3')).toBeUndefined();
    if (stdout.includes('appended')) expect(server.uploaded('py1')?.length).toBe(100_005);
  }, 60_000);

  it('a transfer that the client ends with ABOR is not complete, and the session goes on', async () => {
    const script = `
import ftplib, ssl, sys
f = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=sys.argv[2]), timeout=15)
f.connect('localhost', int(sys.argv[1])); f.login(sys.argv[3], sys.argv[4]); f.prot_p(); f.voidcmd('TYPE I')
conn = f.transfercmd('STOR in/aborted')
conn.sendall(b'x' * 200000)
f.putcmd('ABOR')
conn.close()
f.putcmd('NOOP')
codes = []
# Servers answer the transfer and ABOR in either order, or only one of them.
while codes[-1:] != ['200']: codes.append(f.getmultiline()[:3])
print(codes)
f.storbinary('STOR in/after', __import__('io').BytesIO(b'z' * 1000))
print('then', f.quit())
`;
    const args = ['-c', script, String(port), gateway.caFile, server.user, server.password];
    const { code, stdout, stderr } = await run('python3', args, { timeoutMs: 40_000 });
    expect(code, stdout + stderr).toBe(0);
    expect(stdout).toContain('then 2');
    const aborted = () => gateway.records('traffic').filter((record) => record.name === 'in/aborted');
    await expect.poll(() => aborted().length).toBe(1);
    expect(aborted()[0]).toMatchObject({ status_id: 2 });
  }, 60_000);

  it('basic-ftp, which resumes sessions, with several transfers in one session', { timeout: 90_000 }, () =>
    transferByBasicFtp({ server, gateway, port, content: big }, async (client) => {
      expect((await client.list()).map((file) => file.name)).toContain('big.bin');
      await client.remove('in/basic0');
      expect(server.uploaded('basic0')).toBeUndefined();
    }),
  );

  it('openssl s_client, typed by hand', async () => {
    const input = `USER ${server.user}\r\nPASS ${server.password}\r\nPWD\r\nNOOP\r\nQUIT\r\n`;
    const args = ['s_client', '-starttls', 'ftp', '-connect', `localhost:${port}`, '-CAfile', gateway.caFile];
    const { stdout } = await run(
      'openssl',
      [...args, '-verify_return_error', '-servername', 'localhost', '-ign_eof', '-crlf'],
      {
        input: input.replaceAll('\r\n', '\n'),
      },
    );
    expect(stdout).toContain('Verify return code: 0 (ok)');
    expect(stdout).toMatch(/^230 /m);
    expect(stdout).toMatch(/^257 /m);
    expect(stdout).toMatch(/^221/m);
  });
});
