import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ftpServers, type RunningFtpServer } from '../support/ftp-servers.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const isRoot = process.getuid?.() === 0;
const installed = isRoot ? ftpServers.filter(({ isInstalled }) => isInstalled()) : [];

/** A client that tries what is not allowed, reads why, and goes on in the same session. */
const script = `
import ftplib, io, ssl, sys
port, ca, user, password, prefix = sys.argv[1:6]
for secure in (True, False):
    name = prefix + ('tls' if secure else 'clear')
    if secure:
        f = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=ca), timeout=20)
    else:
        f = ftplib.FTP(timeout=20)
    f.connect('localhost', int(port)); f.login(user, password)
    if secure: f.prot_p()
    blocked = b'x' * 400000 + b'the codeword is falcon-seven' + b'y' * 400000
    for n in range(2):
        try:
            f.storbinary('STOR in/' + name, io.BytesIO(blocked), blocksize=65536)
            print('not blocked')
        except ftplib.error_perm as e: print('refused', e)
        except OSError as e:
            # The data connection was cut under the client's hands: the answer waits on the control connection.
            try: print('odd', f.getresp())
            except ftplib.error_perm as e: print('refused', e)
    f.storbinary('STOR in/' + name + '-good', io.BytesIO(b'z' * 100000))
    print('here' if name in ' '.join(f.nlst('in')) else 'listed')
    f.quit()
`;

describe.each(installed)('an upload to $name that a rule blocks', ({ start }) => {
  let server: RunningFtpServer;
  let gateway: RunningGateway;
  let port: number;

  beforeAll(async () => {
    const authority = await createTestAuthority();
    server = await start(await authority.issue({ names: ['localhost'] }));
    port = await freePort();
    const rules = '- { id: codeword, title: C, action: block, when: { field: ftp.body, contains: falcon-seven } }\n';
    gateway = await startGateway({
      files: { 'root.pem': authority.rootPem, 'ftp.yaml': rules },
      config: configOf('keep'),
    });
  }, 60_000);
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  function configOf(blockedUpload: string): object {
    return {
      files: { blockedUpload },
      rules: { files: ['$DIRECTORY/ftp.yaml'] },
      listeners: [
        { mode: 'reverse', listen: `127.0.0.1:${port}`, origin: `127.0.0.1:${server.port}`, originName: 'localhost' },
      ],
      originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
    };
  }

  it.each(['keep', 'delete'])(
    'is aborted, the client learns why, and the session goes on (%s)',
    async (policy) => {
      if (policy === 'delete') {
        gateway.configure(configOf('delete'));
        gateway.process.kill('SIGHUP');
        await gateway.waitForLog(/reloaded/);
      }
      const args = [String(port), gateway.caFile, server.user, server.password, policy];
      const { code, stdout, stderr } = await run('python3', ['-c', script, ...args], { timeoutMs: 80_000 });
      expect(code, stdout + stderr).toBe(0);
      expect(stdout.match(/refused 550 POLICY_RULE_BLOCK codeword/g)?.length, stdout).toBe(4);
      for (const name of [`${policy}tls`, `${policy}clear`]) {
        const left = server.uploaded(name);
        if (policy === 'delete') expect(left).toBeUndefined();
        else expect(left?.includes('falcon')).not.toBe(true);
        expect(server.uploaded(`${name}-good`)?.length).toBe(100_000);
      }
      const blocked = () =>
        gateway
          .records('traffic')
          .filter(
            ({ status_code, name }) => status_code === 'POLICY_RULE_BLOCK' && String(name).startsWith(`in/${policy}`),
          );
      await expect.poll(() => blocked().length).toBe(4);
    },
    90_000,
  );
});
