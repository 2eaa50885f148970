import { writeSync } from 'node:fs';
import { compileCacheDirectory, compileCacheVariable, warmUp } from './compile-cache.ts';

/**
 * Variables that change what Node or OpenSSL trusts, loads or reveals. They are read when a process starts, so taking
 * them out later is too late: the process is started anew without them.
 */
const weakening = [
  'NODE_OPTIONS',
  'NODE_TLS_REJECT_UNAUTHORIZED',
  'NODE_EXTRA_CA_CERTS',
  'NODE_USE_SYSTEM_CA',
  'NODE_PATH',
  'OPENSSL_CONF',
  'OPENSSL_MODULES',
  'OPENSSL_ENGINES',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'SSLKEYLOGFILE',
] as const;

/** Threads that seldom allocate share memory: 1 MB less in each process. Other C libraries do not read it. */
export const fewArenas = 'glibc.malloc.arena_max=2';

/** Carries what was taken out to `daylight exec`, whose command shall see its environment as it was given. */
const givenVariable = 'DAYLIGHT_GIVEN_ENVIRONMENT';

/**
 * Makes sure that this process runs as it should: without variables that could weaken it, and, where it stays, with its
 * sources compiled beforehand. Where it does not, it is replaced by one that does, and this does not return.
 */
export async function prepareProcess(script: string, args: readonly string[]): Promise<void> {
  const [command = 'start'] = args;
  const stays = (command === 'start' || command.startsWith('--config')) && !args.includes('--help');
  const present = process.env[compileCacheVariable];
  const cache = stays || present !== undefined ? compileCacheDirectory() : undefined;
  const removed = weakening.filter((name) => process.env[name] !== undefined && process.env[name] !== '');
  if (removed.length === 0 && cache === present) return;
  if (stays && removed.length > 0) writeSync(2, `daylight: ignored environment variables: ${removed.join(', ')}\n`);
  const env: NodeJS.ProcessEnv = { ...(stays && { GLIBC_TUNABLES: fewArenas }), ...process.env };
  for (const name of [...removed, compileCacheVariable]) delete env[name];
  if (cache !== undefined) env[compileCacheVariable] = cache;
  if (command === 'exec') env[givenVariable] = JSON.stringify(pick(process.env, [...removed, compileCacheVariable]));
  if (stays && cache !== undefined) await warmUp(cache, script, env);
  process.execve?.(process.execPath, [process.execPath, ...process.execArgv, script, ...args], env);
  throw new Error(`unset ${removed.join(', ')} first: this system cannot start a process anew`);
}

/** Set for a gateway that another program starts for itself: it stops when its standard input ends. */
export const ownedVariable = 'DAYLIGHT_UNTIL_STDIN_ENDS';

/** Ties this process to the one that started it, however that one ends: a killed parent cannot send a signal. */
export function endWithOwner(): void {
  if (process.env[ownedVariable] === undefined) return;
  process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM')).resume();
}

/** The environment as it was given, before variables were taken out: for a command that is not ours. */
export function givenEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { [givenVariable]: removed, ...rest } = env;
  if (removed === undefined) return rest;
  delete rest[compileCacheVariable];
  return { ...rest, ...(JSON.parse(removed) as NodeJS.ProcessEnv) };
}

/** The environment for a gateway: without the variables above, and without what is carried past it. */
export function gatewayEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { [givenVariable]: _, ...rest } = env;
  return rest;
}

function pick(env: NodeJS.ProcessEnv, names: readonly string[]): NodeJS.ProcessEnv {
  return Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}
