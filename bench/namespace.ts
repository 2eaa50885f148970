import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const mark = 'DAYLIGHT_BENCH_NAMESPACE';

/** Where the origin is reached. In the namespace it has an address and a name of its own; without one it is localhost. */
export interface Place {
  readonly host: string;
  readonly ip: string;
  readonly isolated: boolean;
}

/**
 * Runs this program again in new network, mount and process namespaces, and resolves with its exit code: nothing leaves
 * the machine, nothing is left behind, and whatever it started dies with it. Undefined where no namespace can be made, and
 * inside one.
 */
export async function enterNamespace(): Promise<number | undefined> {
  if (process.env[mark] !== undefined) return undefined;
  const flags = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const asRoot = process.getuid?.() === 0 ? flags : ['--map-root-user', ...flags];
  if (spawnSync('unshare', [...asRoot, 'true'], { stdio: 'ignore' }).status !== 0) return undefined;
  const again = [...process.execArgv, ...process.argv.slice(1)];
  const child = spawn('unshare', [...asRoot, process.execPath, ...again], {
    stdio: 'inherit',
    env: { ...process.env, [mark]: '1' },
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

/** Sets up addresses and names inside the namespace (in `folder`), or falls back to localhost. */
export function settle(folder: string): Place {
  if (process.env[mark] === undefined) return { host: 'localhost', ip: '127.0.0.1', isolated: false };
  const place = { host: 'origin.test', ip: '10.90.0.1', isolated: true };
  const ip = (...args: string[]) => execFileSync('ip', args);
  ip('link', 'set', 'lo', 'up');
  ip('address', 'add', `${place.ip}/32`, 'dev', 'lo');
  // Sixteen connections at a time, thousands a second: closed ones wait on their ports for a minute.
  writeFileSync('/proc/sys/net/ipv4/ip_local_port_range', '2048 65000');
  // The ports of the systems must not be somebody's local port when a system starts.
  writeFileSync('/proc/sys/net/ipv4/ip_local_reserved_ports', '18000-18999');
  const hosts = join(folder, 'hosts');
  writeFileSync(hosts, `127.0.0.1 localhost ${hostName()}\n${place.ip} ${place.host}\n`);
  execFileSync('mount', ['--bind', hosts, '/etc/hosts']);
  return place;
}

function hostName(): string {
  return readFileSync('/proc/sys/kernel/hostname', 'utf8').trim();
}
