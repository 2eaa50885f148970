import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../../test/support/gateway.ts';

/** SSLsplit before one origin, which takes over where it sees a session go on in TLS (`autossl`). */
export interface RunningAutossl extends Disposable {
  readonly port: number;
  readonly caFile: string;
  readonly isAlive: boolean;
}

const startMs = 1_000;

/** Undefined where SSLsplit is not installed. It checks no origin and writes no log. */
export async function startAutossl(originPort: number): Promise<RunningAutossl | undefined> {
  if (spawnSync('sslsplit', ['-V'], { stdio: 'ignore' }).status !== 0) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'daylight-autossl-'));
  const [caFile, keyFile] = [join(folder, 'ca.pem'), join(folder, 'ca.key')];
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=SSLsplit'];
  execFileSync('openssl', [...request, '-keyout', keyFile, '-out', caFile], { stdio: 'ignore' });
  const port = await freePort();
  const spec = ['autossl', '127.0.0.1', String(port), '127.0.0.1', String(originPort)];
  const child = spawn('sslsplit', ['-D', '-c', caFile, '-k', keyFile, '-u', 'root', ...spec], {
    stdio: 'ignore',
    detached: true,
  });
  await pause(startMs);
  return {
    port,
    caFile,
    get isAlive() {
      return child.exitCode === null && child.signalCode === null;
    },
    [Symbol.dispose]() {
      // Its parts run in processes of their own, all of one group.
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // All of them have ended.
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
