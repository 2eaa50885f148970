import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { ocsfProblems } from '../support/ocsf.ts';
import { reverse } from '../support/reverse-listener.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { type RunningVsftpd, startVsftpd } from '../support/vsftpd.ts';

const isRoot = process.getuid?.() === 0;

describe.runIf(isRoot && hasProgram('vsftpd'))('real file clients to vsftpd, which demands resumed sessions', () => {
  let vsftpd: RunningVsftpd;
  let implicit: RunningVsftpd;
  let gateway: RunningGateway;
  let port: number;
  let tlsPort: number;
  const big = randomBytes(5_000_000);

  beforeAll(async () => {
    const authority = await createTestAuthority();
    const credentials = await authority.issue({ names: ['localhost'] });
    vsftpd = await startVsftpd(credentials);
    implicit = await startVsftpd(credentials, { implicit_ssl: 'YES' });
    for (const { root } of [vsftpd, implicit]) {
      writeFileSync(join(root, 'big.bin'), big);
      writeFileSync(join(root, 'empty.txt'), '');
      writeFileSync(join(root, 'secret.txt'), 'the codeword is falcon-seven\n');
    }
    [port, tlsPort] = [await freePort(), await freePort()];
    gateway = await startGateway({
      files: {
        'root.pem': authority.rootPem,
        'ftp.yaml': `
- { id: no-programs, title: Program by FTP, action: block, when: { all: [{ field: ftp.direction, equals: upload }, { field: ftp.file.type, equals: application/vnd.microsoft.portable-executable }] } }
- { id: no-keys, title: Key file, action: block, when: { field: ftp.file.name, suffix: .key } }
- { id: codeword, title: Codeword, action: block, when: { field: ftp.body, contains: falcon-seven } }
`,
      },
      config: {
        rules: { files: ['$DIRECTORY/ftp.yaml'] },
        listeners: [reverse(port, vsftpd.port), reverse(tlsPort, implicit.port)],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
      },
    });
  }, 60_000);
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await vsftpd?.[Symbol.asyncDispose]();
    await implicit?.[Symbol.asyncDispose]();
  });

  const transfers = () => gateway.records('traffic').filter(({ class_uid }) => class_uid === 4008);
  const curl = (...args: string[]) =>
    run('curl', ['-sS', '-m', '20', '--cacert', gateway.caFile, '--user', 'anonymous:hunter2@x', ...args]);

  it.each([
    ['AUTH TLS, TLS 1.3', () => [`ftp://localhost:${port}`, '--ssl-reqd']],
    ['AUTH TLS, TLS 1.2', () => [`ftp://localhost:${port}`, '--ssl-reqd', '--tls-max', '1.2']],
    ['TLS from the start', () => [`ftps://localhost:${tlsPort}`]],
    ['no TLS', () => [`ftp://localhost:${port}`]],
    ['no TLS, active', () => [`ftp://localhost:${port}`, '-P', '127.0.0.1', '--disable-eprt']],
    ['no TLS, active by EPRT', () => [`ftp://localhost:${port}`, '-P', '127.0.0.1']],
    ['TLS on the control connection alone', () => [`ftp://localhost:${port}`, '--ftp-ssl-control']],
  ] as const)('curl with %s downloads, uploads and lists', async (what, options) => {
    const [url = '', ...more] = options();
    const out = join(gateway.directory, 'out.bin');
    if (!what.includes('alone')) {
      const down = await curl(...more, `${url}/big.bin`, '-o', out);
      expect(down.code, down.stderr).toBe(0);
      expect(readFileSync(out).equals(big)).toBe(true);
      const empty = await curl(...more, `${url}/empty.txt`, '-o', out);
      expect(empty.code, empty.stderr).toBe(0);
      const up = await curl(...more, '-T', join(vsftpd.root, 'big.bin'), `${url}/in/up.bin`);
      expect(up.code, up.stderr).toBe(0);
      const server = url.startsWith('ftps') ? implicit : vsftpd;
      await expect.poll(() => server.uploaded('up.bin')?.equals(big)).toBe(true);
    }
    const list = await curl(...more, `${url}/`);
    expect(list.code, list.stderr).toBe(0);
    expect(list.stdout).toContain('big.bin');
  });

  it('records transfers with their files, and no password anywhere', async () => {
    const out = join(gateway.directory, 'recorded.bin');
    await curl('--ssl-reqd', `ftp://localhost:${port}/big.bin`, '-o', out);
    const sha256 = createHash('sha256').update(big).digest('hex');
    await gateway.waitForRecords('traffic', () => transfers().length > 0);
    await expect.poll(() => JSON.stringify(transfers())).toContain(sha256);
    const record = transfers().find((line) => JSON.stringify(line).includes('"is_protected":true'));
    expect(record).toMatchObject({
      command: 'RETR',
      activity_id: 2,
      status_id: 1,
      codes: [226],
      name: 'big.bin',
      file: { name: 'big.bin', size: big.length },
      traffic: { bytes: big.length },
      metadata: { labels: ['Decryption Detection'] },
    });
    for (const line of transfers()) expect(ocsfProblems(line)).toEqual([]);
    expect(JSON.stringify(gateway.records('traffic'))).not.toContain('hunter2');
    expect(gateway.log()).not.toContain('hunter2');
  });

  it('blocks by type, name and content, says why, and the session goes on', async () => {
    const file = join(gateway.directory, 'program.bin');
    const program = Buffer.concat([Buffer.from('4d5a90000300000004000000ffff0000', 'hex'), Buffer.alloc(100_000)]);
    program.writeUInt32LE(128, 0x3c);
    program.write('PE\0\0', 128, 'latin1');
    writeFileSync(file, program);
    const up = await curl('-v', '--ssl-reqd', '-T', file, `ftp://localhost:${port}/in/program.bin`);
    expect(up.code).not.toBe(0);
    expect(up.stderr).toContain('550 POLICY_RULE_BLOCK no-programs');
    expect(vsftpd.uploaded('program.bin')?.length ?? 0).toBeLessThan(program.length);
    const named = await curl('-v', '--ssl-reqd', '-T', file, `ftp://localhost:${port}/in/my.key`);
    expect(named.stderr).toContain('550 POLICY_RULE_BLOCK no-keys');
    expect(vsftpd.uploaded('my.key')).toBeUndefined();
    const out = join(gateway.directory, 'blocked.txt');
    const down = await curl('-v', '--ssl-reqd', `ftp://localhost:${port}/secret.txt`, '-o', out);
    expect(down.code).not.toBe(0);
    expect(existsSync(out) ? readFileSync(out, 'utf8') : '').not.toContain('falcon');
    const blocked = () => transfers().filter((line) => JSON.stringify(line).includes('POLICY_RULE_BLOCK'));
    await expect.poll(() => blocked().length).toBe(3);
    for (const line of blocked()) expect(ocsfProblems(line)).toEqual([]);
  });

  it.runIf(hasProgram('lftp'))('lftp with several transfers in one session', async () => {
    const script = [
      `set ssl:ca-file ${gateway.caFile}; set ftp:ssl-force true; set ftp:ssl-protect-data true; set net:max-retries 1`,
      `open -u anonymous,x ftp://localhost:${port}`,
      `ls; get big.bin -o ${gateway.directory}/l1; get big.bin -o ${gateway.directory}/l2; put ${gateway.directory}/l1 -o in/l3`,
    ].join('; ');
    const { code, stdout, stderr } = await run('lftp', ['-c', script]);
    expect(code, stdout + stderr).toBe(0);
    expect(stdout).toContain('big.bin');
    for (const name of ['l1', 'l2']) expect(readFileSync(join(gateway.directory, name)).equals(big)).toBe(true);
    await expect.poll(() => vsftpd.uploaded('l3')?.equals(big)).toBe(true);
  });

  it('Python ftplib, which resumes no session and closes TLS in both directions', async () => {
    const script = `
import ftplib, io, ssl, sys
ctx = ssl.create_default_context(cafile=sys.argv[2])
f = ftplib.FTP_TLS(context=ctx, timeout=15)
f.connect('localhost', int(sys.argv[1])); f.login(); f.prot_p()
for n in range(3):
    b = io.BytesIO(); f.retrbinary('RETR big.bin', b.write); assert len(b.getvalue()) == ${big.length}
    f.storbinary('STOR in/py%d' % n, io.BytesIO(b'x' * 300000))
print(len(f.nlst())); print(f.voidcmd('NOOP')); f.quit()
`;
    const { code, stdout, stderr } = await run('python3', ['-c', script, String(port), gateway.caFile]);
    expect(code, stdout + stderr).toBe(0);
    for (const name of ['py0', 'py1', 'py2']) await expect.poll(() => vsftpd.uploaded(name)?.length).toBe(300_000);
  });
});
