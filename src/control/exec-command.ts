import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { problemText } from '../config/problem.ts';
import { FlowFailure } from '../core/failures.ts';
import type { CommandIo } from './command-io.ts';
import { commandName } from './command-name.ts';
import { execEnvironment } from './exec-environment.ts';
import { type ExecGateway, runningGateway, startGateway } from './exec-gateway.ts';
import { writeTrustFiles } from './exec-trust.ts';
import { exitCodes } from './exit-codes.ts';
import { exitCodeOfSignal, Interrupts } from './interrupts.ts';
import { gatewayEnvironment, givenEnvironment } from './prepare-process.ts';

const defaultConfig = 'config/daylight.yaml';
/** A record is written within 10 ms where its relay gets the processor. */
const lastRecordMs = 500;
const lookAgainMs = 20;

export const execHelp = `Usage: daylight exec [--config FILE] -- COMMAND [ARGUMENT...]

Runs a command with proxy and CA variables set, so that its HTTPS passes the gateway and is inspected: curl, wget, Git,
Node, Python, Java, Go, Ruby, PHP, Cargo and others. Uses the gateway that runs by the configuration, or starts one that
ends with the command. Without a configuration file it does so with a CA of its own and records in var/records.

Options:
  --config FILE   configuration (default ${defaultConfig}, if there is one)
  --help          this text

Exits as the command does (128 + signal number when a signal ended it); 125 when no gateway could be started, 126 when
the command may not be run, 127 when there is no such command.
`;

/** The `exec` command: resolves with the exit code of the command that it ran. */
export async function runExec(args: readonly string[], io: CommandIo): Promise<number> {
  const { options, command } = split(args);
  const { values } = parseArgs({
    args: [...options],
    options: { config: { type: 'string' }, help: { type: 'boolean', default: false } },
  });
  if (values.help) {
    io.stdout.write(execHelp);
    return exitCodes.ok;
  }
  const [program, ...programArgs] = command;
  if (program === undefined) {
    io.stderr.write(`daylight exec: no command; write: ${commandName(io.env)} exec -- COMMAND\n`);
    return exitCodes.usage;
  }
  const configFile = values.config ?? (existsSync(defaultConfig) ? defaultConfig : undefined);
  const config = configFile === undefined ? undefined : load(configFile, io);
  if (config === 'invalid') return exitCodes.config;
  const directory = mkdtempSync(join(tmpdir(), 'daylight-exec-'));
  const run = { directory, configFile, config, program, programArgs };
  return inspected(run, io).finally(() => rmSync(directory, { recursive: true, force: true }));
}

interface InspectedRun {
  readonly directory: string;
  readonly configFile: string | undefined;
  readonly config: LoadedConfig | undefined;
  readonly program: string;
  readonly programArgs: readonly string[];
}

async function inspected(run: InspectedRun, io: CommandIo): Promise<number> {
  using interrupts = new Interrupts();
  const gateway = await gatewayFor(run, interrupts, io);
  if (gateway === undefined) return interrupts.exitCode ?? exitCodes.gateway;
  const records = run.config?.policy.records.directory ?? 'var/records';
  const before = recordedBytes(records);
  try {
    const given = givenEnvironment(io.env);
    const caPem = readFileSync(join(gateway.authorityDirectory, 'ca.pem'), 'utf8');
    const trust = writeTrustFiles(run.directory, caPem, given);
    if (interrupts.exitCode !== undefined) return interrupts.exitCode;
    const { code, didRun } = await runProgram(run, execEnvironment(given, gateway.proxy, trust), interrupts, io);
    await gateway.stop();
    if (didRun) io.stderr.write(`daylight: ${await whatIsRecorded(records, before, io)}\n`);
    return code;
  } finally {
    await gateway.stop();
  }
}

/** Nobody shall take a program for inspected that went past the gateway: where no record came, it says so. */
async function whatIsRecorded(records: string, before: number, io: CommandIo): Promise<string> {
  const until = performance.now() + lastRecordMs;
  while (recordedBytes(records) === before) {
    if (performance.now() > until)
      return 'nothing was recorded of this command: it sent nothing, or went past the gateway, as Node before 22.21 does';
    await pause(lookAgainMs);
  }
  return `what this command sent through the gateway is recorded in ${shortened(records)} (${commandName(io.env)} logs)`;
}

/** Size of the traffic log so far, all relays and rotated files together. */
function recordedBytes(directory: string): number {
  if (!existsSync(directory)) return 0;
  const files = readdirSync(directory).filter((name) => name.startsWith('traffic'));
  return files.reduce((sum, name) => sum + (statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0), 0);
}

async function gatewayFor({ directory, configFile, config }: InspectedRun, { abort }: Interrupts, io: CommandIo) {
  try {
    const running: ExecGateway | undefined = config && (await runningGateway(config));
    const authorityDirectory = config?.authorityDirectory;
    const env = gatewayEnvironment(io.env);
    return running ?? (await startGateway({ directory, configFile, authorityDirectory, env, abort }));
  } catch (error) {
    if (!(error instanceof FlowFailure)) throw error;
    io.stderr.write(`daylight exec: the gateway does not start\n${error.detail}\n`);
    return undefined;
  }
}

/** Runs the program in the foreground: its input, output and signals are ours. */
function runProgram(
  { program, programArgs }: InspectedRun,
  env: NodeJS.ProcessEnv,
  interrupts: Interrupts,
  io: CommandIo,
): Promise<{ readonly code: number; readonly didRun: boolean }> {
  return new Promise((resolve) => {
    const child = spawn(program, programArgs, { stdio: 'inherit', env });
    interrupts.passTo(child);
    child.on('error', (error: NodeJS.ErrnoException) => {
      const missing = error.code === 'ENOENT';
      io.stderr.write(`daylight exec: ${program}: ${missing ? 'no such command' : error.message}\n`);
      resolve({ code: missing ? exitCodes.notFound : exitCodes.notExecutable, didRun: false });
    });
    child.on('exit', (code, signal) =>
      resolve({ code: code ?? (signal === null ? exitCodes.failed : exitCodeOfSignal(signal)), didRun: true }),
    );
  });
}

function load(file: string, io: CommandIo): LoadedConfig | 'invalid' {
  const outcome = loadConfig(file);
  if (outcome.kind === 'loaded') return outcome.config;
  io.stderr.write(`${outcome.problems.map(problemText).join('\n')}\n`);
  return 'invalid';
}

/** Our options end at `--`, or at the first word that is none of them. */
function split(args: readonly string[]): { options: readonly string[]; command: readonly string[] } {
  let end = 0;
  while (end < args.length && args[end]?.startsWith('-') && args[end] !== '--') end += args[end] === '--config' ? 2 : 1;
  const start = args[end] === '--' ? end + 1 : end;
  return { options: args.slice(0, end), command: args.slice(start) };
}

function shortened(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') || short === '' ? path : short;
}
