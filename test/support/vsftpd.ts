import { spawn } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './gateway.ts';
import { run } from './run.ts';
import type { Credentials } from './test-authority.ts';

/** A vsftpd of the test's own, on the loopback. */
export interface RunningVsftpd extends AsyncDisposable {
  readonly port: number;
  /** Served to anybody; uploads go to `in`. */
  readonly root: string;
  /** What was uploaded by that name; undefined when there is nothing. */
  readonly uploaded: (name: string) => Buffer | undefined;
}

/** Starts vsftpd as Debian configures it but for the place, with TLS sessions of data connections demanded. Needs root. */
export async function startVsftpd(
  credentials: Credentials,
  settings: Readonly<Record<string, string>> = {},
  place: { readonly namespace: string; readonly port: number } | undefined = undefined,
): Promise<RunningVsftpd> {
  const directory = mkdtempSync(join(tmpdir(), 'daylight-vsftpd-'));
  chmodSync(directory, 0o755);
  const port = place?.port ?? (await freePort());
  const root = join(directory, 'root');
  for (const name of ['root', 'root/in', 'empty']) mkdirSync(join(directory, name), { mode: 0o755 });
  await run('chown', ['ftp', join(root, 'in')]);
  writeFileSync(join(directory, 'cert.pem'), credentials.cert);
  writeFileSync(join(directory, 'key.pem'), credentials.key, { mode: 0o600 });
  const lines = {
    // In a namespace on all addresses of both families.
    ...(place === undefined ? { listen: 'YES', listen_address: '127.0.0.1' } : { listen_ipv6: 'YES' }),
    listen_port: String(port),
    background: 'NO',
    anonymous_enable: 'YES',
    no_anon_password: 'NO',
    anon_root: root,
    anon_upload_enable: 'YES',
    anon_other_write_enable: 'YES',
    anon_world_readable_only: 'NO',
    write_enable: 'YES',
    local_enable: 'NO',
    secure_chroot_dir: join(directory, 'empty'),
    seccomp_sandbox: 'NO',
    xferlog_enable: 'NO',
    ssl_enable: 'YES',
    allow_anon_ssl: 'YES',
    require_ssl_reuse: 'YES',
    ssl_ciphers: 'HIGH',
    rsa_cert_file: join(directory, 'cert.pem'),
    rsa_private_key_file: join(directory, 'key.pem'),
    ...settings,
  };
  const conf = join(directory, 'vsftpd.conf');
  writeFileSync(
    conf,
    Object.entries(lines)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  const logFile = join(directory, 'log');
  const fd = openSync(logFile, 'a');
  const inside = place === undefined ? [] : ['ip', 'netns', 'exec', place.namespace];
  const [program = '', ...args] = [...inside, 'vsftpd', conf];
  const child = spawn(program, args, { stdio: ['ignore', fd, fd] });
  closeSync(fd);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const deadline = performance.now() + 15_000;
  while (!(await isListening(port, inside))) {
    if (performance.now() > deadline) throw new Error(readFileSync(logFile, 'utf8'));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    port,
    root,
    uploaded(name) {
      try {
        return readFileSync(join(root, 'in', name));
      } catch {
        return undefined;
      }
    },
    async [Symbol.asyncDispose]() {
      child.kill();
      await exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function isListening(port: number, inside: readonly string[]): Promise<boolean> {
  if (inside.length > 0) {
    const [program = '', ...args] = inside;
    return (await run(program, [...args, 'ss', '-Hltn', `sport = :${port}`])).stdout !== '';
  }
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
