import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { connect } from 'node:net';

/** A process that the benchmark started. */
export interface Child {
  readonly pid: number;
  /** Ends it with everything below it. */
  stop(): Promise<void>;
}

export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  /** Standard output and error go here. */
  readonly log: string;
  /** Ready when this port accepts (on 127.0.0.1 unless `ip` says otherwise), or when a line of the log is `readyLine`. */
  readonly port: number;
  readonly ip?: string;
  readonly readyLine?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

const startTimeoutMs = 30_000;
const running = new Set<ChildProcess>();

process.on('exit', () => {
  for (const child of running) killGroup(child, 'SIGKILL');
});

/** Starts a process in a group of its own and waits until it is ready. */
export async function launch(how: Launch): Promise<Child> {
  const log = createWriteStream(how.log);
  await new Promise((resolve) => log.once('open', resolve));
  const environment = { ...process.env, ...how.environment };
  const child = spawn(how.command, [...how.args], { detached: true, stdio: ['ignore', log, log], env: environment });
  running.add(child);
  const gone = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  }).then(() => void running.delete(child));
  try {
    await untilReady(child, how);
  } catch (error) {
    killGroup(child, 'SIGKILL');
    throw error;
  }
  return { pid: child.pid ?? 0, stop: () => stop(child, gone) };
}

async function stop(child: ChildProcess, gone: Promise<void>): Promise<void> {
  killGroup(child, 'SIGTERM');
  const late = setTimeout(() => killGroup(child, 'SIGKILL'), 1_000);
  await gone;
  clearTimeout(late);
  killGroup(child, 'SIGKILL');
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group is gone already.
  }
}

async function untilReady(child: ChildProcess, how: Launch): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  while (Date.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) break;
    if (how.readyLine === undefined ? await accepts(how.ip ?? '127.0.0.1', how.port) : hasLine(how.log, how.readyLine))
      return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${how.command} did not become ready:\n${readFileSync(how.log, 'utf8').slice(-2_000)}`);
}

function hasLine(file: string, line: string): boolean {
  return readFileSync(file, 'utf8').split('\n').includes(line);
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
