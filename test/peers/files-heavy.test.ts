import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { type RunningVsftpd, startVsftpd } from '../support/vsftpd.ts';

const isRoot = process.getuid?.() === 0;
const gigabyte = 1_073_741_824;

/** Resets below TLS at every stage of a transfer: before, in and after its handshake, and in the middle of the file. */
const storm = `
import ftplib, os, socket, ssl, struct, sys
port, ca = int(sys.argv[1]), sys.argv[2]
ctx = ssl.create_default_context(cafile=ca)
def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    os.close(s.detach())
def login():
    f = ftplib.FTP_TLS(context=ctx, timeout=15)
    f.connect('localhost', port); f.login(); f.prot_p(); f.voidcmd('TYPE I')
    return f
done = 0
for n in range(120):
    f = login()
    try:
        stage = n % 6
        cmd = 'RETR big.bin' if n % 12 < 6 else 'STOR in/storm%d' % n
        raw, _ = ftplib.FTP.ntransfercmd(f, cmd)
        if stage == 0: reset(raw)
        elif stage == 1:
            raw.sendall(bytes.fromhex('16030100c8010000c40303') + b'x' * 50); reset(raw)
        else:
            tls = ctx.wrap_socket(raw, server_hostname='localhost', session=f.sock.session if n % 2 else None)
            if stage == 2: reset(tls)
            elif stage == 3:
                if cmd[0] == 'R': tls.recv(70000)
                else: tls.sendall(b'y' * 200000)
                reset(tls)
            elif stage == 4:
                # The control connection goes first, under a transfer.
                reset(f.sock); reset(tls)
            else:
                reset(tls); reset(f.sock)
        done += 1
    except (OSError, EOFError, ftplib.Error) as e: print(n, repr(e))
    finally:
        try: f.close()
        except OSError: pass
print('storms', done)
f = login()
got = []
f.retrbinary('RETR big.bin', got.append)
f.storbinary('STOR in/calm', __import__('io').BytesIO(b'z' * 500000))
print('then', sum(map(len, got))); f.quit()
`;

describe.runIf(isRoot && hasProgram('vsftpd') && hasProgram('curl'))('files under stress', () => {
  let vsftpd: RunningVsftpd;
  let gateway: RunningGateway;
  let port: number;

  beforeAll(async () => {
    const authority = await createTestAuthority();
    vsftpd = await startVsftpd(await authority.issue({ names: ['localhost'] }));
    writeFileSync(join(vsftpd.root, 'big.bin'), Buffer.alloc(3_000_000, 'b'));
    writeFileSync(join(vsftpd.root, 'huge.bin'), '');
    truncateSync(join(vsftpd.root, 'huge.bin'), gigabyte);
    port = await freePort();
    gateway = await startGateway({
      files: { 'root.pem': authority.rootPem },
      config: {
        listeners: [
          { mode: 'reverse', listen: `127.0.0.1:${port}`, origin: `127.0.0.1:${vsftpd.port}`, originName: 'localhost' },
        ],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
      },
    });
  }, 60_000);
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await vsftpd?.[Symbol.asyncDispose]();
  });

  function relayMegabytes(field: 'VmRSS' | 'VmHWM'): number {
    const { pid } = gateway;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    const relay = children.find((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('relay-process'));
    const line = new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${relay}/status`, 'utf8'))?.[1];
    return Number(line) / 1024;
  }

  it('1 GB passes in either direction within 64 MB over idle', async () => {
    const idle = relayMegabytes('VmRSS');
    const curl = (...args: readonly string[]) =>
      run(
        'curl',
        [
          '-sS',
          '--ssl-reqd',
          '--cacert',
          gateway.caFile,
          '-u',
          'anonymous:x@y',
          '-w',
          '%{size_download} %{size_upload}',
          ...args,
        ],
        { timeoutMs: 110_000 },
      );
    const down = await curl(`ftp://localhost:${port}/huge.bin`, '-o', '/dev/null');
    expect(down.stdout, down.stderr).toBe(`${gigabyte} 0`);
    const up = await curl('-T', join(vsftpd.root, 'huge.bin'), `ftp://localhost:${port}/in/huge.bin`);
    expect(up.stdout, up.stderr).toBe(`0 ${gigabyte}`);
    expect(relayMegabytes('VmHWM') - idle).toBeLessThanOrEqual(64);
  }, 240_000);

  it('resets below TLS at every stage cost nobody else anything', async () => {
    const { code, stdout, stderr } = await run('python3', ['-c', storm, String(port), gateway.caFile], {
      timeoutMs: 170_000,
    });
    expect(code, stdout + stderr).toBe(0);
    expect(Number(/storms (\d+)/.exec(stdout)?.[1]), stdout).toBeGreaterThan(90);
    expect(stdout).toContain('then 3000000');
    await expect.poll(() => vsftpd.uploaded('calm')?.length).toBe(500_000);
    expect(gateway.log()).not.toContain('GATEWAY_RELAY_CRASHED');
    const complete = gateway
      .records('traffic')
      .filter(
        ({ class_uid, status_id, name }) => class_uid === 4008 && status_id === 1 && String(name).includes('storm'),
      );
    expect(complete).toEqual([]);
  }, 180_000);
});
