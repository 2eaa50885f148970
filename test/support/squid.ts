import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, waitUntil } from './gateway.ts';

export interface Squid extends AsyncDisposable {
  readonly port: number;
  /** Its access log. */
  readonly log: () => string;
  /** Takes other access rules in place of those it has, as an operator has it do. */
  readonly configure: (access: string) => Promise<void>;
  /** Ends it in the middle of whatever it does. */
  readonly kill: () => Promise<void>;
}

export interface SquidPlace {
  readonly namespace: string;
  readonly ip: string;
  readonly port: number;
}

/** The rules that Squid comes with, as far as they concern CONNECT; `before` stands ahead of what is denied. */
export function debianAccess(before: string): string {
  return `acl SSL_ports port 443
acl Safe_ports port 80 21 443 70 210 1025-65535 280 488 591 777
${before}
http_access deny !Safe_ports
http_access deny CONNECT !SSL_ports
http_access allow localhost
http_access deny all`;
}

/** Starts Squid with these access rules, on the loopback or on a host of a test network. */
export async function startSquid(access = 'http_access allow all', place?: SquidPlace): Promise<Squid> {
  const directory = mkdtempSync(join(tmpdir(), 'daylight-squid-'));
  // Started by root it goes on as a user of its own.
  chmodSync(directory, 0o777);
  const port = place?.port ?? (await freePort());
  const at = (name: string): string => join(directory, name);
  const write = (rules: string): void =>
    writeFileSync(
      at('squid.conf'),
      `http_port ${place?.ip ?? '127.0.0.1'}:${port}
${rules}
cache deny all
pid_filename ${at('pid')}
access_log stdio:${at('access.log')}
cache_log ${at('cache.log')}
coredump_dir ${directory}
shutdown_lifetime 0 seconds
`,
    );
  write(access);
  const command = ['squid', '-N', '-f', at('squid.conf')];
  const [file = '', ...args] = place === undefined ? command : ['ip', 'netns', 'exec', place.namespace, ...command];
  const child = spawn(file, args, { stdio: 'ignore' });
  const exited = new Promise((resolve) => child.once('exit', resolve).once('error', resolve));
  // Its user, who is not ours, makes them.
  const read = (name: string): string => (existsSync(at(name)) ? readFileSync(at(name), 'utf8') : '');
  const startsOf = (log: string): number => log.split('Accepting HTTP Socket connections').length - 1;
  const starts = (count: number): Promise<void> =>
    waitUntil(
      () => startsOf(read('cache.log')) >= count,
      () => `squid does not start: ${read('cache.log')}`,
    );
  await starts(1);
  return {
    port,
    log: () => read('access.log'),
    async configure(rules) {
      write(rules);
      const count = startsOf(read('cache.log'));
      child.kill('SIGHUP');
      await starts(count + 1);
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
