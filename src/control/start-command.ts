import { parseArgs } from 'node:util';
import { watchConfig } from '../config/watch.ts';
import { FlowFailure, failureOf } from '../core/failures.ts';
import { type Fault, faults, simulate } from '../core/simulation.ts';
import { createExposition, type Exposition } from '../metrics/exposition.ts';
import { releaseStartMemory } from '../metrics/start-memory.ts';
import { hasSocketOptions, libc } from '../net/libc.ts';
import { banner } from './banner.ts';
import type { CommandIo } from './command-io.ts';
import { commandName } from './command-name.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { Gateway } from './gateway.ts';
import { createOperationalLog, type OperationalLog } from './operational-log.ts';
import { loadPolicy } from './policy-source.ts';

const faultList = Object.entries(faults)
  .map(([name, what]) => `                      ${name.padEnd(16)}${what}`)
  .join('\n');

export const startHelp = `Usage: daylight start [--config FILE] [--simulate FAULT]...

Starts the gateway and runs until Ctrl-C (SIGINT) or SIGTERM, which let live flows end. A change of the configuration or
of rule files, or SIGHUP, reloads: all or nothing, live flows keep their policy.

Options:
  --config FILE     configuration (default config/daylight.yaml)
  --simulate FAULT  have a fault on purpose, to try what becomes of traffic then. Never in production: the log warns at
                    the start, and daylight_simulated_faults_total counts. May be repeated. FAULT is one of
${faultList}
  --help            this text

When every listener accepts, a line "ready" is written to standard error.
`;

/** The \`start\` command: resolves with the exit code when the gateway has stopped. */
export async function runStart(args: readonly string[], io: CommandIo): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      config: { type: 'string', default: 'config/daylight.yaml' },
      simulate: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    io.stdout.write(startHelp);
    return 0;
  }
  const unknown = values.simulate.find((name) => !isFault(name));
  if (unknown !== undefined) {
    io.stderr.write(`daylight start: no fault "${unknown}" can be simulated\nMore: daylight start --help\n`);
    return exitCodes.usage;
  }
  const log = createOperationalLog(io.stderr);
  try {
    return await run({ file: values.config, simulated: values.simulate.filter(isFault) }, io, log);
  } catch (error) {
    const failure = error instanceof FlowFailure ? error : new FlowFailure('GATEWAY_INTERNAL', String(error));
    log.error('the gateway cannot start', { code: failure.code });
    const { meaning, remedy } = failureOf(failure.code);
    // What is wrong in a file says so itself, line by line.
    const isInFile = exitCodeOf(failure.code) === exitCodes.config;
    io.stderr.write(isInFile ? '' : `daylight start: ${failure.code}: ${meaning} ${remedy}\n`);
    io.stderr.write(`${failure.detail}\n`);
    return exitCodeOf(failure.code);
  }
}

interface Start {
  readonly file: string;
  readonly simulated: readonly Fault[];
}

async function run({ file, simulated }: Start, io: CommandIo, log: OperationalLog): Promise<number> {
  const metrics = createExposition();
  const loaded = await loadPolicy(file);
  for (const warning of loaded.config.warnings) log.warn(warning.message, { file: warning.file, line: warning.line });
  for (const note of loaded.notes) log.info(note);
  // Not before the authority is there: what makes it is not what is to be tried.
  announce(simulated, metrics, log);
  const gateway = new Gateway({ file, loaded, log, metrics, simulate: simulated });
  await gateway.start();
  const watch = watchConfig(
    gateway.watchedFiles,
    () => void gateway.reload('a file changed').then(() => watch.follow(gateway.watchedFiles)),
  );
  const onHangup = (): void => void gateway.reload('SIGHUP').then(() => watch.follow(gateway.watchedFiles));
  process.on('SIGHUP', onHangup);
  // Before anybody is told that it is ready: a signal that nobody listens for would end control without a drain.
  const signalled = nextSignal();
  io.stdout.write(banner(loaded, commandName(io.env)));
  io.stderr.write('ready\n');
  releaseStartMemory();
  if (hasSocketOptions) libc().trimMemory();
  const signal = await signalled;
  log.info('stopping: live flows may end, new connections are refused', { signal });
  watch.close();
  process.off('SIGHUP', onHangup);
  // A later signal is impatience: what is left is cut.
  const impatient = nextSignal(sameSignalMs).then(() => gateway.cut());
  await Promise.race([gateway.stop(), impatient]);
  log.info('stopped');
  return 0;
}

function isFault(name: string): name is Fault {
  return Object.hasOwn(faults, name);
}

/** Loudly, and where a monitor sees it: nobody shall run so unawares. */
function announce(simulated: readonly Fault[], metrics: Exposition, log: OperationalLog): void {
  const series = (fault: Fault): string => `daylight_simulated_faults_total{fault="${fault}"}`;
  simulate(simulated, (fault) => metrics.add({ [series(fault)]: 1 }));
  for (const fault of simulated) {
    metrics.add({ [series(fault)]: 0 });
    log.warn('SIMULATING A FAULT: this gateway is under test and must not carry real traffic', {
      fault,
      meaning: faults[fault],
    });
  }
}

/** Started by npm, the gateway gets an interrupt of the terminal twice: npm hands on what it got itself. */
const sameSignalMs = 1_000;

function nextSignal(ignoredForMs = 0): Promise<NodeJS.Signals> {
  const from = performance.now() + ignoredForMs;
  return new Promise((resolve) => {
    const onSignal = (signal: NodeJS.Signals): void => {
      if (performance.now() < from) return;
      process.off('SIGTERM', onSignal).off('SIGINT', onSignal);
      resolve(signal);
    };
    process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  });
}
