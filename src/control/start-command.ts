import { parseArgs } from 'node:util';
import { watchConfig } from '../config/watch.ts';
import { FlowFailure } from '../core/failures.ts';
import { createExposition } from '../metrics/exposition.ts';
import { banner } from './banner.ts';
import type { CommandIo } from './command-io.ts';
import { exitCodeOf } from './exit-codes.ts';
import { Gateway } from './gateway.ts';
import { createOperationalLog } from './operational-log.ts';
import { loadPolicy } from './policy-source.ts';

export const startHelp = `Usage: daylight start [--config FILE]

Starts the gateway and runs until SIGTERM or SIGINT, which let live flows end. SIGHUP, or a change of the
configuration or rule files, reloads: all or nothing, live flows keep their policy.

Options:
  --config FILE   configuration (default config/daylight.yaml)
  --help          this text

When every listener accepts, a line "ready" is written to standard error.
`;

/** The \`start\` command: resolves with the exit code when the gateway has stopped. */
export async function runStart(args: readonly string[], io: CommandIo): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { config: { type: 'string', default: 'config/daylight.yaml' }, help: { type: 'boolean', default: false } },
  });
  if (values.help) {
    io.stdout.write(startHelp);
    return 0;
  }
  const log = createOperationalLog(io.stderr);
  try {
    return await run(values.config, io, log);
  } catch (error) {
    const failure = error instanceof FlowFailure ? error : new FlowFailure('GATEWAY_INTERNAL', String(error));
    log.error('the gateway cannot start', { code: failure.code });
    io.stderr.write(`${failure.detail}\n`);
    return exitCodeOf(failure.code);
  }
}

async function run(file: string, io: CommandIo, log: ReturnType<typeof createOperationalLog>): Promise<number> {
  const loaded = await loadPolicy(file);
  for (const warning of loaded.config.warnings) log.warn(warning.message, { file: warning.file, line: warning.line });
  for (const note of loaded.notes) log.info(note);
  const gateway = new Gateway({ file, loaded, log, metrics: createExposition() });
  await gateway.start();
  const watch = watchConfig(
    gateway.watchedFiles,
    () => void gateway.reload('a file changed').then(() => watch.follow(gateway.watchedFiles)),
  );
  const onHangup = (): void => void gateway.reload('SIGHUP').then(() => watch.follow(gateway.watchedFiles));
  process.on('SIGHUP', onHangup);
  io.stdout.write(banner(loaded));
  io.stderr.write('ready\n');
  const signal = await firstSignal();
  log.info('stopping: live flows may end, new connections are refused', { signal });
  watch.close();
  process.off('SIGHUP', onHangup);
  // A second signal is impatience: what is left is cut.
  const impatient = firstSignal().then(() => gateway.cut());
  await Promise.race([gateway.stop(), impatient]);
  log.info('stopped');
  return 0;
}

function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const onSignal = (signal: NodeJS.Signals): void => {
      process.off('SIGTERM', onSignal).off('SIGINT', onSignal);
      resolve(signal);
    };
    process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  });
}
