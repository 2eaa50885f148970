import { writeSync } from 'node:fs';

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

/** Carries what was taken out to `daylight exec`, whose command shall see its environment as it was given. */
const givenVariable = 'DAYLIGHT_GIVEN_ENVIRONMENT';

/**
 * Replaces this process by the same one without the variables that could weaken it, if any is set; then it does not
 * return. `start` names them in one line on standard error.
 */
export function cleanEnvironment(script: string, args: readonly string[]): void {
  const removed = weakening.filter((name) => process.env[name] !== undefined);
  const set = removed.filter((name) => process.env[name] !== '');
  if (set.length === 0) return;
  const [command = 'start'] = args;
  const keepsGiven = command === 'exec';
  // Said where it matters, once: by the gateway itself.
  if (command === 'start' || command.startsWith('--config'))
    writeSync(2, `daylight: ignored environment variables: ${set.join(', ')}\n`);
  const given = Object.fromEntries(removed.map((name) => [name, process.env[name] ?? '']));
  const clean: NodeJS.ProcessEnv = { ...process.env };
  for (const name of removed) delete clean[name];
  if (keepsGiven) clean[givenVariable] = JSON.stringify(given);
  process.execve?.(process.execPath, [process.execPath, ...process.execArgv, script, ...args], clean);
  throw new Error(`unset ${set.join(', ')} first: this system cannot start a process anew`);
}

/** The environment as it was given, before `cleanEnvironment` took variables out: for a command that is not ours. */
export function givenEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { [givenVariable]: removed, ...rest } = env;
  if (removed === undefined) return rest;
  return { ...rest, ...(JSON.parse(removed) as NodeJS.ProcessEnv) };
}

/** The environment for a gateway: without the variables above, and without what is carried past it. */
export function gatewayEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { [givenVariable]: _, ...rest } = env;
  return rest;
}
