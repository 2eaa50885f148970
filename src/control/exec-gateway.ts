import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import type { LoadedConfig } from '../config/load.ts';
import type { ListenAddress } from '../core/policy.ts';
import { askGateway, controlSocketPath } from './control-socket.ts';
import { startOwnGateway } from './own-gateway.ts';
import { writtenConfig } from './written-config.ts';

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
  const told = await listenersTold(authorityDirectory);
  for (const listener of config.policy.listeners) {
    // The configuration holds no password that could be told to the command.
    if (listener.mode !== 'explicit' || listener.credentials.length > 0) continue;
    if (listener.proxyProtocol === 'require') continue;
    const proxy = reachable(listener.listen);
    const isServed = told?.includes(addressKey(listener.listen)) ?? (await isDaylight(proxy));
    if (isServed) return { proxy, authorityDirectory, stop: async () => undefined };
  }
  return undefined;
}

/** Where the gateway of an authority says that it listens; undefined where none can be asked. */
async function listenersTold(authorityDirectory: string): Promise<readonly string[] | undefined> {
  try {
    const { status, body } = await askGateway(controlSocketPath(authorityDirectory), 'GET', '/listeners');
    return status === 200 && Array.isArray(body) ? body.map((each: ListenAddress) => addressKey(each)) : undefined;
  } catch {
    return undefined;
  }
}

function addressKey({ ip, port }: ListenAddress): string {
  return `${ip} ${port}`;
}

const probeTimeoutMs = 2_000;

/**
 * Asks for a page of the address itself: a gateway refuses the loop by its code, and no other program knows that code. It
 * leaves a record there, so that this is for gateways whose control socket cannot be reached.
 */
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

/** Starts a gateway for one command: the configuration at hand with one explicit listener on a free port. */
export async function startGateway(options: OwnGatewayOptions): Promise<ExecGateway> {
  const { directory, env, abort } = options;
  const config = ownConfig(options);
  const { proxy, stop } = await startOwnGateway({ directory, config, env, abort });
  return { proxy, authorityDirectory: options.authorityDirectory ?? join(directory, 'certs'), stop };
}

/** The configuration as it is written, without what belongs to a gateway of its own; without one, a CA that ends with the command. */
function ownConfig({ configFile, directory }: OwnGatewayOptions): Readonly<Record<string, unknown>> {
  if (configFile === undefined) {
    const starterRules = resolve(import.meta.dirname, '../../config/rules/*.yaml');
    return { authority: { directory: join(directory, 'certs') }, rules: { files: [starterRules] } };
  }
  const { admin: _, ...kept } = writtenConfig(configFile);
  return kept;
}
