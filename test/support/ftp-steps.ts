import { createReadStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'basic-ftp';
import { expect } from 'vitest';
import type { RunningFtpServer } from './ftp-servers.ts';
import type { RunningGateway } from './gateway.ts';
import { run } from './run.ts';

/** A server through a gateway, whose file `big.bin` has this content. */
export interface FilesThrough {
  readonly server: RunningFtpServer;
  readonly gateway: RunningGateway;
  readonly port: number;
  readonly content: Buffer;
}

/** lftp lists, downloads twice and uploads in one session, by data connections that resume its TLS session. */
export async function transferByLftp({ server, gateway, port, content }: FilesThrough): Promise<void> {
  const script = [
    `set ssl:ca-file ${gateway.caFile}; set ftp:ssl-force true; set ftp:ssl-protect-data true; set net:max-retries 1`,
    `open -u ${server.user},${server.password} ftp://localhost:${port}`,
    `ls; get big.bin -o ${gateway.directory}/l1; get big.bin -o ${gateway.directory}/l2; put ${gateway.directory}/l1 -o in/l3`,
  ].join('; ');
  const { code, stdout, stderr } = await run('lftp', ['-c', script]);
  expect(code, stdout + stderr).toBe(0);
  for (const file of ['l1', 'l2']) {
    expect(readFileSync(join(gateway.directory, file)).equals(content)).toBe(true);
  }
  await expect.poll(() => server.uploaded('l3')?.equals(content)).toBe(true);
}

/** basic-ftp, which resumes sessions too, downloads and uploads three times in one session, and goes on with `then`. */
export async function transferByBasicFtp(
  { server, gateway, port, content }: FilesThrough,
  then: (client: Client) => Promise<void> = async () => {},
): Promise<void> {
  const client = new Client(15_000);
  try {
    const secureOptions = { ca: readFileSync(gateway.caFile), servername: 'localhost' };
    const { user, password } = server;
    await client.access({ host: 'localhost', port, user, password, secure: true, secureOptions });
    const out = join(gateway.directory, 'basic.bin');
    for (let round = 0; round < 3; round += 1) {
      await client.downloadTo(out, 'big.bin');
      expect(readFileSync(out).equals(content)).toBe(true);
      await client.uploadFrom(createReadStream(out), `in/basic${round}`);
      await expect.poll(() => server.uploaded(`basic${round}`)?.equals(content)).toBe(true);
    }
    await then(client);
  } finally {
    client.close();
  }
}
