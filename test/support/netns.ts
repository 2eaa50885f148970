import { type ChildProcess, execFile, execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { promisify } from 'node:util';

const runFile = promisify(execFile);

/** One host of a test network: a network namespace with its addresses. */
export interface Host {
  readonly name: string;
  readonly ipv4: string;
  readonly ipv6: string;
  /** Runs a command to its end. Rejects, with its output, when it fails. */
  run(command: string, ...args: readonly string[]): Promise<string>;
  /** Starts a program that is stopped with the network, and waits for a line of its standard output that matches. */
  start(ready: RegExp, command: string, ...args: readonly string[]): Promise<ChildProcess>;
}

/**
 * A client and an origin in networks of their own, with a gateway between that forwards IPv4 and IPv6. The client's side
 * of the gateway is interface `lan0`, the origin's is `wan0`. Disposing stops all programs and removes everything.
 */
export interface TestNetwork extends AsyncDisposable {
  readonly client: Host;
  readonly gateway: Host;
  readonly origin: Host;
}

/** Why no test network can be made here; undefined when one can. Said loudly once, since skipped tests prove nothing. */
export const netnsUnavailable: string | undefined = whyUnavailable();

/** Makes a test network. Several can be there at once, in this process and in others. */
export async function createTestNetwork(): Promise<TestNetwork> {
  removeAbandoned();
  const prefix = `daylight-${process.pid}-${++created}`;
  const programs = new Set<ChildProcess>();
  const host = (role: Role): Host => makeHost(`${prefix}-${role}`, addresses[role], programs);
  const hosts = { client: host('client'), gateway: host('gateway'), origin: host('origin') };
  living.add(prefix);
  try {
    for (const { name } of Object.values(hosts)) await runFile('ip', ['netns', 'add', name]);
    for (const line of setup(prefix)) await runFile('ip', line.split(' '));
    await hosts.gateway.run('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
  } catch (error) {
    await remove(prefix, programs);
    throw error;
  }
  return { ...hosts, [Symbol.asyncDispose]: () => remove(prefix, programs) };
}

type Role = 'client' | 'gateway' | 'origin';
const addresses = {
  client: { ipv4: '10.91.1.2', ipv6: 'fd91:1::2' },
  gateway: { ipv4: '10.91.1.1', ipv6: 'fd91:1::1' },
  origin: { ipv4: '10.91.2.2', ipv6: 'fd91:2::2' },
} as const;

let created = 0;
/** Prefixes of networks that are there: removed at the latest when the process exits. */
const living = new Set<string>();
process.on('exit', () => {
  for (const prefix of living) removeNamespaces(prefix);
});

/** `nodad`: an address that is still being checked for duplicates cannot be used, and tests do not wait. */
function setup(prefix: string): readonly string[] {
  const [client, gateway, origin] = ['client', 'gateway', 'origin'].map((role) => `${prefix}-${role}`);
  return [
    `link add eth0 netns ${client} type veth peer name lan0 netns ${gateway}`,
    `link add eth0 netns ${origin} type veth peer name wan0 netns ${gateway}`,
    ...[client, gateway, origin].map((name) => `-n ${name} link set lo up`),
    `-n ${client} link set eth0 up`,
    `-n ${origin} link set eth0 up`,
    `-n ${gateway} link set lan0 up`,
    `-n ${gateway} link set wan0 up`,
    `-n ${client} addr add 10.91.1.2/24 dev eth0`,
    `-n ${client} addr add fd91:1::2/64 dev eth0 nodad`,
    `-n ${gateway} addr add 10.91.1.1/24 dev lan0`,
    `-n ${gateway} addr add fd91:1::1/64 dev lan0 nodad`,
    `-n ${gateway} addr add 10.91.2.1/24 dev wan0`,
    `-n ${gateway} addr add fd91:2::1/64 dev wan0 nodad`,
    `-n ${origin} addr add 10.91.2.2/24 dev eth0`,
    `-n ${origin} addr add fd91:2::2/64 dev eth0 nodad`,
    `-n ${client} route add default via 10.91.1.1`,
    `-n ${client} -6 route add default via fd91:1::1`,
    `-n ${origin} route add default via 10.91.2.1`,
    `-n ${origin} -6 route add default via fd91:2::1`,
  ];
}

function makeHost(name: string, address: (typeof addresses)[Role], programs: Set<ChildProcess>): Host {
  const inside = (command: string, args: readonly string[]): string[] => ['netns', 'exec', name, command, ...args];
  return {
    name,
    ...address,
    async run(command, ...args) {
      const { stdout } = await runFile('ip', inside(command, args), { timeout: 20_000 });
      return stdout;
    },
    async start(ready, command, ...args) {
      const options: SpawnOptions = { stdio: ['ignore', 'pipe', 'inherit'] };
      const program = spawn('ip', inside(command, args), options);
      programs.add(program);
      await outputMatching(program, ready);
      return program;
    },
  };
}

async function outputMatching(program: ChildProcess, ready: RegExp): Promise<void> {
  let output = '';
  const timeout = AbortSignal.timeout(20_000);
  const exit = once(program, 'exit', { signal: timeout }).then(() => {
    throw new Error(`the program ended before it was ready: ${output}`);
  });
  const line = new Promise<void>((resolve) => {
    program.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (ready.test(output)) resolve();
    });
  });
  await Promise.race([line, exit]);
  exit.catch(() => {});
}

async function remove(prefix: string, programs: ReadonlySet<ChildProcess>): Promise<void> {
  const running = [...programs].filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
  // `ip netns exec` becomes the program that it starts, so this reaches it.
  await Promise.all(
    running.map(async (program) => {
      const exit = once(program, 'exit');
      program.kill('SIGKILL');
      await exit;
    }),
  );
  removeNamespaces(prefix);
  living.delete(prefix);
}

/** Removing a namespace removes its interfaces, rules and routes. */
function removeNamespaces(prefix: string): void {
  for (const name of namespaces().filter((namespace) => namespace.startsWith(`${prefix}-`))) {
    execFileSync('ip', ['netns', 'delete', name], { stdio: 'ignore' });
  }
}

/** Namespaces of test processes that were killed. */
function removeAbandoned(): void {
  const pids = namespaces().flatMap((name) => /^daylight-(\d+)-/.exec(name)?.[1] ?? []);
  for (const pid of new Set(pids)) if (!isRunning(Number(pid))) removeNamespaces(`daylight-${pid}`);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function namespaces(): readonly string[] {
  try {
    return readdirSync('/run/netns');
  } catch {
    return [];
  }
}

function whyUnavailable(): string | undefined {
  const reason = firstObstacle();
  if (reason !== undefined) console.warn(`SKIPPED: tests in network namespaces, because ${reason}`);
  return reason;
}

function firstObstacle(): string | undefined {
  if (process.platform !== 'linux') return 'they need Linux';
  if (process.getuid?.() !== 0) return 'they need root';
  const name = `daylight-${process.pid}-probe`;
  try {
    execFileSync('ip', ['netns', 'add', name], { stdio: 'pipe' });
    execFileSync('ip', ['netns', 'exec', name, 'nft', 'list', 'ruleset'], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `iproute2 and nftables do not work here: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    removeNamespaces(name.replace(/-probe$/, ''));
  }
}
