import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ClamScanner, eicar, startClamScanner } from '../support/clam-scanner.ts';
import { codewordRule } from '../support/codeword.ts';
import { ftpServers, type RunningFtpServer } from '../support/ftp-servers.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { failureOf, member } from '../support/record-fields.ts';
import { reverse } from '../support/reverse-listener.ts';
import { hasProgram, run } from '../support/run.ts';
import { type Squid, startSquid } from '../support/squid.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const canRun = process.getuid?.() === 0 && ['squid', 'curl', 'python3'].map(hasProgram).every(Boolean);
const canScan = ['c-icap', 'clamd'].map(hasProgram).every(Boolean);
const installed = canRun ? ftpServers.filter(({ isInstalled }) => isInstalled()) : [];

const script = `
import ftplib, io, ssl, sys
ca, port, user, password, tls = sys.argv[1:6]
f = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=ca), timeout=15) if tls == 'tls' else ftplib.FTP(timeout=15)
f.connect('localhost', int(port)); f.login(user, password)
if tls == 'tls': f.prot_p()
for n in range(6):
    b = io.BytesIO(); f.retrbinary('RETR big.bin', b.write); assert len(b.getvalue()) == 2000000
    f.storbinary('STOR in/%s%d' % (tls, n), io.BytesIO(b'x' * 300000))
    f.storbinary('STOR in/%s-empty%d' % (tls, n), io.BytesIO(b''))
for n in range(3):
    for content in (b'the codeword is falcon-seven', b'y' * 300000 + b'falcon-seven'):
        try: f.storbinary('STOR in/%s-blocked%d' % (tls, n), io.BytesIO(content)); raise SystemExit('passed')
        except ftplib.error_perm as e: assert 'POLICY_RULE_BLOCK' in str(e), e
f.storbinary('STOR in/%s-last' % tls, io.BytesIO(b'x' * 1000))
print(len(f.nlst()), f.quit())
`;

describe.each(installed)('files of $name through Squid as upstream proxy', ({ start }) => {
  let server: RunningFtpServer;
  let squid: Squid;
  let gateway: RunningGateway;
  let port: number;
  const big = randomBytes(2_000_000);

  beforeAll(async () => {
    const authority = await createTestAuthority();
    server = await start(await authority.issue({ names: ['localhost'] }));
    writeFileSync(join(server.root, 'big.bin'), big);
    squid = await startSquid();
    port = await freePort();
    gateway = await startGateway({
      files: {
        'root.pem': authority.rootPem,
        'ftp.yaml': codewordRule,
      },
      config: {
        rules: { files: ['$DIRECTORY/ftp.yaml'] },
        files: { blockedUpload: 'delete', clearCommandChannel: 'allow' },
        listeners: [{ ...reverse(port, 0), origin: `localhost:${server.port}` }],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
        upstream: { proxy: `http://127.0.0.1:${squid.port}` },
      },
    });
  }, 60_000);
  afterAll(async () => {
    for (const one of [gateway, server, squid]) await one?.[Symbol.asyncDispose]();
  });

  it.each(['tls', 'plain'])(
    'many in one session (%s), and blocked ones between them',
    { timeout: 90_000 },
    async (how) => {
      const args = ['-c', script, gateway.caFile, String(port), server.user, server.password, how];
      const { code, stdout, stderr } = await run('python3', args, { timeoutMs: 80_000 });
      expect(code, stdout + stderr).toBe(0);
      for (let n = 0; n < 6; n += 1) {
        await expect.poll(() => server.uploaded(`${how}${n}`)?.length).toBe(300_000);
        expect(server.uploaded(`${how}-empty${n}`)?.length).toBe(0);
      }
      for (let n = 0; n < 3; n += 1) expect(server.uploaded(`${how}-blocked${n}`)).toBeUndefined();
      await expect.poll(() => server.uploaded(`${how}-last`)?.length).toBe(1_000);
    },
  );

  it('curl behind CCC', { timeout: 60_000 }, async () => {
    const login = ['--cacert', gateway.caFile, '--user', `${server.user}:${server.password}`];
    const curl = ['-sS', '-v', '-m', '20', ...login, '--ssl-reqd', '--ftp-ssl-ccc', '--ftp-ssl-ccc-mode', 'active'];
    const out = join(gateway.directory, 'out.bin');
    const down = await run('curl', [...curl, `ftp://localhost:${port}/big.bin`, '-o', out]);
    // vsftpd knows no CCC, and curl goes on without.
    expect(down.code, down.stderr).toBe(0);
    expect(readFileSync(out).equals(big)).toBe(true);
  });
});

const [vsftpd] = installed;

describe.runIf(vsftpd !== undefined)('files through proxies', () => {
  let server: RunningFtpServer;
  const big = randomBytes(2_000_000);
  const started: AsyncDisposable[] = [];
  let rootPem: string;

  beforeAll(async () => {
    const authority = await createTestAuthority();
    rootPem = authority.rootPem;
    const credentials = await authority.issue({ names: ['localhost'] });
    if (vsftpd === undefined) return;
    server = await vsftpd.start(credentials);
    writeFileSync(join(server.root, 'big.bin'), big);
    writeFileSync(join(server.root, 'eicar.com'), eicar);
  }, 60_000);
  afterAll(async () => {
    for (const one of [...started.reverse(), server]) await one?.[Symbol.asyncDispose]();
  });

  it.runIf(canScan)('are shown to a scanner, which finds EICAR in either direction', { timeout: 60_000 }, async () => {
    const squid = await startSquid();
    const scanner: ClamScanner = await startClamScanner();
    const port = await freePort();
    const gateway = await startGateway({
      files: { 'root.pem': rootPem },
      config: {
        listeners: [{ ...reverse(port, 0), origin: `localhost:${server.port}` }],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
        upstream: { proxy: `http://127.0.0.1:${squid.port}` },
        scanners: [{ id: 'clam', url: scanner.url }],
      },
    });
    started.push(squid, scanner, gateway);
    const curl = ['-sS', '-v', '-m', '20', '--cacert', gateway.caFile, '-u', 'anonymous:x@y', '--ssl-reqd'];
    const url = `ftp://localhost:${port}`;
    const down = await run('curl', [...curl, `${url}/eicar.com`]);
    expect(down.code).not.toBe(0);
    expect(down.stdout).not.toContain('EICAR');
    const up = await run('curl', [...curl, '-T', join(server.root, 'eicar.com'), `${url}/in/up.com`]);
    expect(up.stderr).toContain('550 POLICY_SCANNER_BLOCK');
    expect(server.uploaded('up.com')?.toString() ?? '').not.toContain('EICAR');
    const clean = await run('curl', [...curl, '-o', '/dev/null', `${url}/big.bin`]);
    expect(clean.code, clean.stderr).toBe(0);
    const found = () => gateway.records('traffic').filter((line) => failureOf(line) === 'POLICY_SCANNER_BLOCK');
    await expect.poll(() => found().length).toBe(2);
  });

  it('are read by both of two gateways in a row, in each mode of the client', { timeout: 60_000 }, async () => {
    const [upperPort, lowerPort, lowerReverse] = [await freePort(), await freePort(), await freePort()];
    const upper = await startGateway({
      files: { 'root.pem': rootPem },
      config: {
        relays: 2,
        listeners: [{ mode: 'explicit', listen: `127.0.0.1:${upperPort}` }],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
      },
    });
    started.push(upper);
    const lower = await startGateway({
      files: { 'root.pem': readFileSync(upper.caFile, 'utf8') },
      config: {
        listeners: [
          { mode: 'explicit', listen: `127.0.0.1:${lowerPort}` },
          { ...reverse(lowerReverse, 0), origin: `localhost:${server.port}` },
        ],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
        upstream: { proxy: `http://127.0.0.1:${upperPort}` },
      },
    });
    started.push(lower);
    const curl = ['-sS', '-m', '20', '--cacert', lower.caFile, '-u', 'anonymous:x@y'];
    const direct = `ftp://localhost:${server.port}`;
    const proxy = ['--proxytunnel', '-x', `http://127.0.0.1:${lowerPort}`];
    const ways = [
      [...proxy, '--ssl-reqd', direct],
      ['--ssl-reqd', `ftp://localhost:${lowerReverse}`],
      ['-P', '127.0.0.1', `ftp://localhost:${lowerReverse}`],
    ];
    const out = join(lower.directory, 'out.bin');
    for (const [index, way] of ways.entries()) {
      const [args, url] = [way.slice(0, -1), way.at(-1) ?? ''];
      const down = await run('curl', [...curl, ...args, `${url}/big.bin`, '-o', out]);
      expect(down.code, down.stderr).toBe(0);
      expect(readFileSync(out).equals(big)).toBe(true);
      const up = await run('curl', [...curl, ...args, '-T', out, `${url}/in/chain${index}`]);
      expect(up.code, up.stderr).toBe(0);
      await expect.poll(() => server.uploaded(`chain${index}`)?.equals(big)).toBe(true);
    }
    for (const one of [lower, upper]) {
      const whole = () =>
        one
          .records('traffic')
          .filter((line) => member(line, 'traffic', 'bytes') === big.length && line.status_id === 1);
      await expect.poll(() => whole().filter(({ class_uid }) => class_uid === 4008).length).toBe(6);
    }
    const modes = (of: RunningGateway) =>
      of.records('traffic').flatMap(({ class_uid, type }) => (class_uid === 4008 ? [type] : []));
    expect(new Set(modes(lower))).toEqual(new Set(['passive', 'active']));
    expect(new Set(modes(upper))).toEqual(new Set(['passive']));
  });
});
