import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { FlowFailure } from '../core/failures.ts';
import type { ListenAddress } from '../core/policy.ts';
import { exitCodes } from './exit-codes.ts';
import { ownedVariable } from './prepare-process.ts';

/** A gateway that was started for a command. */
export interface OwnGateway {
  /** Its explicit listener. */
  readonly proxy: ListenAddress;
  /** Its reverse listeners, in the order in which they were asked for. */
  readonly published: readonly ListenAddress[];
  /** Resolves when it has ended, whoever ended it. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

export interface OwnGatewayStart {
  /** Its temporary files go here. */
  readonly directory: string;
  /** What its configuration says but for the listeners, as written in a file. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Reverse listeners besides the explicit one, without their addresses. */
  readonly published?: readonly Readonly<Record<string, unknown>>[];
  readonly env: NodeJS.ProcessEnv;
  /** Ends the wait for it. */
  readonly abort: AbortSignal;
}

/** Time for a start that makes a CA first, on a slow machine. */
const startTimeoutMs = 60_000;
/** Time to flush records after the drain; then it is killed. */
const stopTimeoutMs = 10_000;
const main = resolve(import.meta.dirname, '../main.ts');

/**
 * Starts a gateway with one relay and an explicit listener on a free port, and others where they are asked for. It ends
 * with this process at the latest. Throws FlowFailure with what the gateway said when it does not become ready.
 */
export async function startOwnGateway(start: OwnGatewayStart): Promise<OwnGateway> {
  const { directory, config, published: wanted = [], env, abort } = start;
  for (let attempt = 1; ; attempt++) {
    const proxy = await freeAddress();
    const published = await Promise.all(wanted.map(freeAddress));
    const file = join(directory, 'daylight.yaml');
    const listeners = [
      { mode: 'explicit', listen: textOf(proxy) },
      ...published.map((listen, at) => ({ mode: 'reverse', listen: textOf(listen), ...wanted[at] })),
    ];
    writeFileSync(file, configText(config, listeners), { mode: 0o600 });
    const child = spawn(process.execPath, [...process.execArgv, main, 'start', '--config', file], {
      // A group of its own: a terminal's interrupt is for the command, whose last requests are still to be served.
      detached: true,
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { ...env, [ownedVariable]: '1' },
    });
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const outcome = await untilReady(child, abort);
    if (outcome.kind === 'ready') return { proxy, published, ended, stop: () => stop(child) };
    await stop(child);
    // The ports were free a moment ago; another program was faster.
    if (outcome.exitCode !== exitCodes.listen || attempt === 3) throw new FlowFailure('GATEWAY_INTERNAL', outcome.said);
  }
}

function configText(config: Readonly<Record<string, unknown>>, listeners: readonly object[]): string {
  const timeouts = { ...(config.timeouts as object | undefined), drain: '1s' };
  return JSON.stringify({ ...config, listeners, timeouts, relays: 1 });
}

type Readiness =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly exitCode: number | null; readonly said: string };

function untilReady(child: ChildProcess, abort: AbortSignal): Promise<Readiness> {
  const said: string[] = [];
  const end = AbortSignal.any([abort, AbortSignal.timeout(startTimeoutMs)]);
  return new Promise((done) => {
    const failed = (exitCode: number | null, reason: string): void => {
      const texts = said.filter((line) => !line.startsWith('{'));
      // What its log says for machines, it says in words besides; where it could not, the log is all there is.
      done({
        kind: 'failed',
        exitCode,
        said: [reason, ...(texts.length > 0 ? texts : said)].filter(Boolean).join('\n'),
      });
    };
    const lines = createInterface({ input: child.stderr ?? process.stdin });
    lines.on('line', (line) => {
      if (line.trim() === 'ready') done({ kind: 'ready' });
      // After that nobody reads it, but it must be drained.
      else if (said.length < 50) said.push(line.slice(0, 500));
    });
    child.on('error', (error) => failed(null, error.message));
    child.on('close', (exitCode) => failed(exitCode, ''));
    const given = (): void => failed(null, abort.aborted ? 'interrupted' : 'it was not ready in time');
    if (end.aborted) given();
    else end.addEventListener('abort', given);
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => killGroup(child.pid), stopTimeoutMs);
  await exited;
  clearTimeout(timer);
}

async function freeAddress(): Promise<ListenAddress> {
  const ip = '127.0.0.1';
  const server = createServer().listen(0, ip);
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return { ip, port: typeof address === 'object' && address !== null ? address.port : 0 };
}

function textOf({ ip, port }: ListenAddress): string {
  return `${ip}:${port}`;
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended in this very moment.
  }
}
