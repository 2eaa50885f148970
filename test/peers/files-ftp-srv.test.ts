import { type ChildProcess, spawn } from 'node:child_process';
import { createReadStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'basic-ftp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway, waitUntil } from '../support/gateway.ts';
import { run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const folder = '/opt/daylight-peers/ftp-srv';
const isInstalled = existsSync(join(folder, 'node_modules/ftp-srv'));
if (!isInstalled) console.warn(`skipped: ftp-srv is not in ${folder} (test/peers/install.sh installs it)`);

/** Whoever logs in gets the folder. Every data connection is a TLS server of its own, which resumes nothing. */
const program = `
const { FtpSrv } = require('ftp-srv');
const { readFileSync } = require('node:fs');
const [port, directory, low] = process.argv.slice(1);
const server = new FtpSrv({
  url: 'ftp://127.0.0.1:' + port, pasv_url: '127.0.0.1', pasv_min: Number(low), pasv_max: Number(low) + 50,
  tls: { cert: readFileSync(directory + '/origin.pem'), key: readFileSync(directory + '/origin.key') },
});
server.on('login', (_login, resolve) => resolve({ root: directory + '/root' }));
server.listen().then(() => console.log('listening'));
`;

describe.runIf(isInstalled)('files of ftp-srv', () => {
  let gateway: RunningGateway;
  let server: ChildProcess;
  let port: number;
  let root: string;
  const big = Buffer.alloc(1_500_000, 'content ');

  beforeAll(async () => {
    const authority = await createTestAuthority();
    const { cert, key } = await authority.issue({ names: ['localhost'] });
    const origin = await freePort();
    port = await freePort();
    const rules = '- { id: codeword, title: C, action: block, when: { field: ftp.body, contains: falcon-seven } }\n';
    gateway = await startGateway({
      files: { 'root.pem': authority.rootPem, 'ftp.yaml': rules, 'origin.pem': cert, 'origin.key': key },
      config: {
        rules: { files: ['$DIRECTORY/ftp.yaml'] },
        listeners: [
          { mode: 'reverse', listen: `127.0.0.1:${port}`, origin: `127.0.0.1:${origin}`, originName: 'localhost' },
        ],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
      },
    });
    root = join(gateway.directory, 'root');
    mkdirSync(root);
    writeFileSync(join(root, 'big.bin'), big);
    const args = ['-e', program, String(origin), gateway.directory, String(await freePort())];
    server = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] });
    let said = '';
    server.stdout?.on('data', (text: Buffer) => (said += text));
    await waitUntil(
      () => said.includes('listening'),
      () => 'ftp-srv does not listen',
    );
  }, 60_000);
  afterAll(async () => {
    server?.kill();
    await gateway?.[Symbol.asyncDispose]();
  });

  // It now and then reads a ClientHello that follows its consent at once as a command: that is tried again.
  it('curl downloads, uploads and lists under TLS', async () => {
    const curl = (...args: readonly string[]) =>
      run('curl', [
        '-sS',
        '-m',
        '20',
        '--retry',
        '5',
        '--retry-all-errors',
        '--ssl-reqd',
        '--cacert',
        gateway.caFile,
        '-u',
        'me:hunter2',
        ...args,
      ]);
    const out = join(gateway.directory, 'out.bin');
    const down = await curl(`ftp://localhost:${port}/big.bin`, '-o', out);
    expect(down.code, down.stderr).toBe(0);
    expect(readFileSync(out).equals(big)).toBe(true);
    const up = await curl('-T', out, `ftp://localhost:${port}/up.bin`);
    expect(up.code, up.stderr).toBe(0);
    await expect
      .poll(() => existsSync(join(root, 'up.bin')) && readFileSync(join(root, 'up.bin')).equals(big))
      .toBe(true);
    const list = await curl(`ftp://localhost:${port}/`);
    expect(list.stdout, list.stderr).toContain('big.bin');
  }, 60_000);

  it('basic-ftp uploads what passes, and learns why something else does not', async () => {
    const client = new Client(15_000);
    const secureOptions = { ca: readFileSync(gateway.caFile), servername: 'localhost' };
    const access = () =>
      client.access({ host: 'localhost', port, user: 'me', password: 'hunter2', secure: true, secureOptions });
    try {
      await access().catch(access).catch(access);
      const secret = join(gateway.directory, 'secret.txt');
      writeFileSync(secret, 'the codeword is falcon-seven');
      await expect(client.uploadFrom(createReadStream(secret), 'secret.txt')).rejects.toThrow(
        'POLICY_RULE_BLOCK codeword',
      );
      await client.uploadFrom(createReadStream(join(root, 'big.bin')), 'again.bin');
      await expect.poll(() => readFileSync(join(root, 'again.bin')).equals(big)).toBe(true);
    } finally {
      client.close();
    }
  }, 60_000);
});
