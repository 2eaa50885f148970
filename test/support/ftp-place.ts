import { spawn } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './gateway.ts';
import { run } from './run.ts';
import type { Credentials } from './test-authority.ts';

/** A directory of a server's own, and where it is to listen. */
export interface FtpPlace {
  /** Undefined for the loopback of this machine. */
  readonly namespace: string | undefined;
  readonly port: number;
  readonly directory: string;
  readonly root: string;
}

/** A server that has been started in its place; disposing ends it and removes the place. */
export interface StartedFtpServer extends AsyncDisposable {
  readonly port: number;
  /** Served to the user; uploads go to `in`. */
  readonly root: string;
  /** What was uploaded by that name; undefined when there is nothing. */
  readonly uploaded: (name: string) => Buffer | undefined;
}

/** Makes a place with the certificate in `cert.pem` and `key.pem`, and a root to which user `ftp` may upload. */
export async function prepareFtpPlace(
  name: string,
  { cert, key }: Credentials,
  where: { readonly namespace: string; readonly port: number } | undefined,
): Promise<FtpPlace> {
  const directory = mkdtempSync(join(tmpdir(), `daylight-${name}-`));
  chmodSync(directory, 0o755);
  const root = join(directory, 'root');
  for (const path of ['root', 'root/in']) mkdirSync(join(directory, path), { mode: 0o755 });
  await run('chown', ['ftp', join(root, 'in')]);
  writeFileSync(join(directory, 'cert.pem'), cert);
  writeFileSync(join(directory, 'key.pem'), key, { mode: 0o600 });
  return { namespace: where?.namespace, directory, port: where?.port ?? (await freePort()), root };
}

/** Starts a server that stays in the foreground, and waits until it listens. */
export async function startInFtpPlace(
  { namespace, directory, port, root }: FtpPlace,
  program: string,
  args: readonly string[],
): Promise<StartedFtpServer> {
  const logFile = join(directory, 'output');
  const fd = openSync(logFile, 'a');
  const inside = namespace === undefined ? [] : ['ip', 'netns', 'exec', namespace];
  const [file = '', ...rest] = [...inside, program, ...args];
  const child = spawn(file, rest, { stdio: ['ignore', fd, fd] });
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

async function isListening(port: number, [program, ...args]: readonly string[]): Promise<boolean> {
  if (program !== undefined) {
    return (await run(program, [...args, 'ss', '-Hltn', `sport = :${port}`])).stdout !== '';
  }
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
