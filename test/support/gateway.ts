import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const project = fileURLToPath(new URL('../..', import.meta.url));

/** A gateway that runs as a user runs it: its own processes, configuration file, CA and records. */
export interface RunningGateway extends AsyncDisposable {
  readonly directory: string;
  readonly configFile: string;
  readonly caFile: string;
  readonly pid: number;
  readonly process: ChildProcess;
  /** All of standard error so far. */
  readonly log: () => string;
  readonly records: (log: 'traffic' | 'alarms') => readonly Record<string, unknown>[];
  /** Waits until the records hold what the test expects, and returns them. */
  waitForRecords(
    log: 'traffic' | 'alarms',
    until: (records: readonly Record<string, unknown>[]) => boolean,
  ): Promise<readonly Record<string, unknown>[]>;
  waitForLog(pattern: RegExp): Promise<void>;
  configure(config: object): void;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface GatewayWishes {
  /** Configuration; authority and records directories are added. */
  readonly config: object;
  /** Files put beside the configuration, by name; the configuration may name them by `directory`. */
  readonly files?: Readonly<Record<string, string>>;
  /** Directory of an earlier gateway that was stopped: the same CA and records. */
  readonly directory?: string;
  /** Runs the gateway in a network namespace. */
  readonly namespace?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** More arguments of `start`. */
  readonly args?: readonly string[];
}

/** Starts a gateway and waits for its `ready` line. */
export async function startGateway(wishes: GatewayWishes): Promise<RunningGateway> {
  const { directory = mkdtempSync(join(tmpdir(), 'daylight-test-')) } = wishes;
  for (const [name, content] of Object.entries(wishes.files ?? {})) writeFileSync(join(directory, name), content);
  const configFile = join(directory, 'daylight.yaml');
  const configure = (config: object): void =>
    writeFileSync(
      configFile,
      stringify({
        relays: 1,
        authority: { directory: join(directory, 'certs') },
        records: { directory: join(directory, 'records') },
        ...config,
      }).replaceAll('$DIRECTORY', directory),
    );
  configure(wishes.config);
  const command = [process.execPath, '--no-warnings', main, 'start', '--config', configFile, ...(wishes.args ?? [])];
  const [file = '', ...args] =
    wishes.namespace === undefined ? command : ['ip', 'netns', 'exec', wishes.namespace, ...command];
  const child = spawn(file, args, {
    cwd: project,
    env: { ...process.env, ...wishes.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return watch(child, directory, configure);
}

async function watch(
  child: ChildProcess,
  directory: string,
  configure: (config: object) => void,
): Promise<RunningGateway> {
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  child.stdout?.resume();
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const waitForLog = async (pattern: RegExp, patienceMs?: number): Promise<void> => {
    await waitUntil(
      () => {
        if (child.exitCode !== null) throw new Error(`the gateway ended with ${child.exitCode}:\n${log}`);
        return pattern.test(log);
      },
      () => `no ${String(pattern)} in the log:\n${log}`,
      patienceMs,
    );
  };
  const records = (name: 'traffic' | 'alarms') => readRecords(join(directory, 'records'), name);
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    return exited;
  };
  try {
    // A CA of RSA is made first, which takes a busy machine its time.
    await waitForLog(/^ready$/m, 45_000);
  } catch (error) {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
  return {
    directory,
    configFile: join(directory, 'daylight.yaml'),
    caFile: join(directory, 'certs', 'ca.pem'),
    pid: child.pid ?? 0,
    process: child,
    log: () => log,
    records,
    waitForRecords: async (name, until) => {
      await waitUntil(
        () => until(records(name)),
        () => `records: ${JSON.stringify(records(name), null, 1)}`,
      );
      return records(name);
    },
    waitForLog,
    configure,
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function readRecords(directory: string, name: string): readonly Record<string, unknown>[] {
  const files = readdirSync(directory).filter((file) => file.startsWith(name) && file.endsWith('.ndjson'));
  // The last piece is empty, or a line that is just being written.
  const lines = files.flatMap((file) => readFileSync(join(directory, file), 'utf8').split('\n').slice(0, -1));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Polls a condition, for up to 15 seconds unless said otherwise. */
export async function waitUntil(condition: () => boolean, complaint: () => string, patienceMs = 15_000): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(complaint());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Ports that the system never gives to outgoing connections (32768 and up), nor to port 0. */
const firstPort = 10_000;
const lastPort = 32_000;
const taken = new Set<number>();

/**
 * A port that nothing listens on. Drawn at random from those that only a test asks for: one from port 0 may be the local
 * port of somebody's connection by the time that the gateway, a second later, wants it.
 */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (;;) {
    const port = randomInt(firstPort, lastPort);
    if (taken.has(port) || !(await isFree(port, host))) continue;
    taken.add(port);
    return port;
  }
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
