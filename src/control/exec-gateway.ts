import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseDocument } from 'yaml';
import type { LoadedConfig } from '../config/load.ts';
import { FlowFailure } from '../core/failures.ts';
import type { ListenAddress } from '../core/policy.ts';
import { exitCodes } from './exit-codes.ts';
import { ownedVariable } from './prepare-process.ts';

/** A gateway that a command's traffic can go through. */
export interface ExecGateway {
  readonly proxy: ListenAddress;
  /** Directory with `ca.pem`. */
  readonly authorityDirectory: string;
  /** Ends it if it was started for this command. */
  stop(): Promise<void>;
}

/** The explicit listener of a gateway that runs by this configuration; undefined if none answers. */
export async function runningGateway(config: LoadedConfig): Promise<ExecGateway | undefined> {
  const { authorityDirectory } = config;
  if (!existsSync(join(authorityDirectory, 'ca.pem'))) return undefined;
  for (const listener of config.policy.listeners) {
    // The configuration holds no password that could be told to the command.
    if (listener.mode !== 'explicit' || listener.credentials.length > 0) continue;
    if (listener.proxyProtocol === 'require') continue;
    const proxy = reachable(listener.listen);
    if (await isDaylight(proxy)) return { proxy, authorityDirectory, stop: async () => undefined };
  }
  return undefined;
}

const probeTimeoutMs = 2_000;

/** Asks for a page of the address itself: a gateway refuses the loop by its code, and no other program knows that code. */
async function isDaylight({ ip, port }: ListenAddress): Promise<boolean> {
  const authority = ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
  const socket: Socket = connect({ host: ip, port, timeout: probeTimeoutMs });
  socket.on('timeout', () => socket.destroy());
  const deadline = setTimeout(() => socket.destroy(), probeTimeoutMs);
  let answer = '';
  try {
    socket.write(`GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`);
    for await (const chunk of socket) {
      answer += String(chunk);
      if (answer.includes('POLICY_LOOP')) return true;
      if (answer.length > 65_536) return false;
    }
    return false;
  } catch {
    return false;
  } finally {
    clearTimeout(deadline);
    socket.destroy();
  }
}

function reachable({ ip, port }: ListenAddress): ListenAddress {
  return { ip: ip === '0.0.0.0' ? '127.0.0.1' : ip === '::' ? '::1' : ip, port };
}

/** Time for a start that makes a CA first, on a slow machine. */
const startTimeoutMs = 60_000;
/** Time to flush records after the drain; then it is killed. */
const stopTimeoutMs = 10_000;
const main = resolve(import.meta.dirname, '../main.ts');

/** What an own gateway is started with. */
export interface OwnGatewayOptions {
  /** Its temporary files go here. */
  readonly directory: string;
  /** The configuration to start from; undefined when there is none. */
  readonly configFile: string | undefined;
  readonly authorityDirectory: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Ends the wait for it. */
  readonly abort: AbortSignal;
}

/**
 * Starts a gateway for one command: the configuration at hand with one explicit listener on a free port. Throws
 * FlowFailure with what the gateway said when it does not become ready.
 */
export async function startGateway(options: OwnGatewayOptions): Promise<ExecGateway> {
  for (let attempt = 1; ; attempt++) {
    const proxy = { ip: '127.0.0.1', port: await freePort() };
    const file = join(options.directory, 'daylight.yaml');
    writeFileSync(file, ownConfig(options, proxy), { mode: 0o600 });
    const child = spawn(process.execPath, [...process.execArgv, main, 'start', '--config', file], {
      // A group of its own: a terminal's interrupt is for the command, whose last requests are still to be served.
      detached: true,
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { ...options.env, [ownedVariable]: '1' },
    });
    const outcome = await untilReady(child, options.abort);
    if (outcome.kind === 'ready') {
      const authorityDirectory = options.authorityDirectory ?? join(options.directory, 'certs');
      return { proxy, authorityDirectory, stop: () => stop(child) };
    }
    await stop(child);
    // The port was free a moment ago; another program was faster.
    if (outcome.exitCode !== exitCodes.listen || attempt === 3) throw new FlowFailure('GATEWAY_INTERNAL', outcome.said);
  }
}

/** The configuration as it is written, with another listener; without one, a CA that ends with the command. */
function ownConfig({ configFile, directory }: OwnGatewayOptions, { ip, port }: ListenAddress): string {
  const starterRules = resolve(import.meta.dirname, '../../config/rules/*.yaml');
  const document = parseDocument(
    configFile === undefined
      ? JSON.stringify({ authority: { directory: join(directory, 'certs') }, rules: { files: [starterRules] } })
      : readFileSync(configFile, 'utf8'),
  );
  const content: unknown = document.toJS() ?? {};
  const { admin: _, ...kept } = content as Record<string, unknown>;
  const timeouts = { ...(kept.timeouts as object | undefined), drain: '1s' };
  const listeners = [{ mode: 'explicit', listen: `${ip}:${port}` }];
  return JSON.stringify({ ...kept, listeners, timeouts, relays: 1 });
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
