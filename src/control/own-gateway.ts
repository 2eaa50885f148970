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
  stop(): Promise<void>;
}

export interface OwnGatewayStart {
  /** Its temporary files go here. */
  readonly directory: string;
  /** What its configuration says but for the listener, as written in a file. */
  readonly config: Readonly<Record<string, unknown>>;
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
 * Starts a gateway with one relay and one explicit listener on a free port, which ends with this process at the latest.
 * Throws FlowFailure with what the gateway said when it does not become ready.
 */
export async function startOwnGateway({ directory, config, env, abort }: OwnGatewayStart): Promise<OwnGateway> {
  for (let attempt = 1; ; attempt++) {
    const proxy = { ip: '127.0.0.1', port: await freePort() };
    const file = join(directory, 'daylight.yaml');
    writeFileSync(file, configText(config, proxy), { mode: 0o600 });
    const child = spawn(process.execPath, [...process.execArgv, main, 'start', '--config', file], {
      // A group of its own: a terminal's interrupt is for the command, whose last requests are still to be served.
      detached: true,
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { ...env, [ownedVariable]: '1' },
    });
    const outcome = await untilReady(child, abort);
    if (outcome.kind === 'ready') return { proxy, stop: () => stop(child) };
    await stop(child);
    // The port was free a moment ago; another program was faster.
    if (outcome.exitCode !== exitCodes.listen || attempt === 3) throw new FlowFailure('GATEWAY_INTERNAL', outcome.said);
  }
}

function configText(config: Readonly<Record<string, unknown>>, { ip, port }: ListenAddress): string {
  const timeouts = { ...(config.timeouts as object | undefined), drain: '1s' };
  const listeners = [{ mode: 'explicit', listen: `${ip}:${port}` }];
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
      done({ kind: 'failed', exitCode, said: [reason, ...said].filter(Boolean).join('\n') });
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
  const timer = setTimeout(() => process.kill(-(child.pid ?? 0), 'SIGKILL'), stopTimeoutMs);
  await exited;
  clearTimeout(timer);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}
