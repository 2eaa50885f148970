import { createReadStream, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'basic-ftp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StartedFtpServer } from '../support/ftp-place.ts';
import { isFtpSrvInstalled, startFtpSrv } from '../support/ftp-srv.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { reverse } from '../support/reverse-listener.ts';
import { run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

describe.runIf(isFtpSrvInstalled())('files of ftp-srv', () => {
  let gateway: RunningGateway;
  let server: StartedFtpServer;
  let port: number;
  const big = Buffer.alloc(1_500_000, 'content ');

  beforeAll(async () => {
    const authority = await createTestAuthority();
    server = await startFtpSrv(await authority.issue({ names: ['localhost'] }));
    port = await freePort();
    const rules = '- { id: codeword, title: C, action: block, when: { field: ftp.body, contains: falcon-seven } }\n';
    gateway = await startGateway({
      files: { 'root.pem': authority.rootPem, 'ftp.yaml': rules },
      config: {
        rules: { files: ['$DIRECTORY/ftp.yaml'] },
        listeners: [reverse(port, server.port)],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
      },
    });
    writeFileSync(join(server.root, 'big.bin'), big);
  }, 60_000);
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  // It now and then reads a ClientHello that follows its consent at once as a command, on a busy machine one of five: that is
  // tried again.
  it('curl downloads, uploads and lists under TLS', async () => {
    const curl = (...args: readonly string[]) =>
      run(
        'curl',
        [
          '-sS',
          '-m',
          '20',
          ...['--retry', '40', '--retry-delay', '1', '--retry-max-time', '60', '--retry-all-errors'],
          '--ssl-reqd',
          '--cacert',
          gateway.caFile,
          '-u',
          'me:hunter2',
          ...args,
        ],
        { timeoutMs: 75_000 },
      );
    const out = join(gateway.directory, 'out.bin');
    const down = await curl(`ftp://localhost:${port}/big.bin`, '-o', out);
    expect(down.code, down.stderr).toBe(0);
    expect(readFileSync(out).equals(big)).toBe(true);
    const up = await curl('-T', out, `ftp://localhost:${port}/up.bin`);
    expect(up.code, up.stderr).toBe(0);
    await expect
      .poll(() => existsSync(join(server.root, 'up.bin')) && readFileSync(join(server.root, 'up.bin')).equals(big))
      .toBe(true);
    const list = await curl(`ftp://localhost:${port}/`);
    expect(list.stdout, list.stderr).toContain('big.bin');
  }, 240_000);

  it('basic-ftp uploads what passes, and learns why something else does not', async () => {
    const client = new Client(15_000);
    const secureOptions = { ca: readFileSync(gateway.caFile), servername: 'localhost' };
    const access = () =>
      client.access({ host: 'localhost', port, user: 'me', password: 'hunter2', secure: true, secureOptions });
    try {
      let tries = 20;
      const accessAtLast = (): Promise<unknown> =>
        access().catch((error: unknown) => {
          tries -= 1;
          if (tries === 0) throw error;
          return accessAtLast();
        });
      await accessAtLast();
      const secret = join(gateway.directory, 'secret.txt');
      writeFileSync(secret, 'the codeword is falcon-seven');
      await expect(client.uploadFrom(createReadStream(secret), 'secret.txt')).rejects.toThrow(
        'POLICY_RULE_BLOCK codeword',
      );
      await client.uploadFrom(createReadStream(join(server.root, 'big.bin')), 'again.bin');
      await expect.poll(() => readFileSync(join(server.root, 'again.bin')).equals(big)).toBe(true);
    } finally {
      client.close();
    }
  }, 60_000);
});
