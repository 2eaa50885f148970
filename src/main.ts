import { readFileSync } from 'node:fs';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { CommandIo } from './control/command-io.ts';
import { commandName } from './control/command-name.ts';
import { exitCodeOf, exitCodes } from './control/exit-codes.ts';
import { endWithOwner, prepareProcess } from './control/prepare-process.ts';
import { FlowFailure, failureOf } from './core/failures.ts';
import { nearest } from './core/suggest.ts';

type Run = (args: readonly string[], io: CommandIo) => Promise<number>;
interface Command {
  readonly summary: string;
  /** Loaded when used, so that a command costs only its own memory and time. */
  load(): Promise<Run>;
}

const commands: Readonly<Record<string, Command>> = {
  start: {
    summary: 'start the gateway and run until Ctrl-C or SIGTERM',
    load: async () => (await import('./control/start-command.ts')).runStart,
  },
  demo: {
    summary: 'show in a few seconds what Daylight does, on this machine alone',
    load: async () => (await import('./control/demo-command.ts')).runDemo,
  },
  exec: {
    summary: 'run a program so that its HTTPS is inspected',
    load: async () => (await import('./control/exec-command.ts')).runExec,
  },
  logs: {
    summary: 'show what was recorded: traffic and alarms',
    load: async () => (await import('./control/logs-command.ts')).runLogs,
  },
  check: {
    summary: 'check a configuration and everything that it names',
    load: async () => (await import('./control/check-command.ts')).runCheck,
  },
  ca: {
    summary: 'show, export, import or rotate the CA that clients trust',
    load: async () => (await import('./control/ca-command.ts')).runCa,
  },
  bypasses: {
    summary: 'hosts whose clients reject our certificates: list, approve, remove',
    load: async () => (await import('./control/bypasses-command.ts')).runBypasses,
  },
  net: {
    summary: 'set up, remove or show the network rules of transparent mode',
    load: async () => (await import('./control/net-command.ts')).runNet,
  },
  selftest: {
    summary: 'send a client to good and bad origins through a gateway, and grade it',
    load: async () => (await import('./control/selftest-command.ts')).runSelftestCommand,
  },
};

/** The command line: finds the command, runs it and resolves with the exit code. */
export async function main(args: readonly string[], io: CommandIo): Promise<number> {
  const [first = 'start', ...rest] = args;
  if (first === '--help' || first === '-h' || (first === 'help' && rest.length === 0)) {
    io.stdout.write(help(commandName(io.env)));
    return exitCodes.ok;
  }
  if (first === '--version' || first === '-V') {
    io.stdout.write(`daylight ${version()} (node ${process.versions.node})\n`);
    return exitCodes.ok;
  }
  if (first === 'help') return main([...rest, '--help'], io);
  // `daylight --config FILE` starts the gateway, as `daylight` alone does.
  const [name, options] = first.startsWith('-') ? ['start', args] : [first, rest];
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) return unknownCommand(name, io);
  const run = await command.load();
  return run(options, io).catch((error: unknown) => failed(name, run, error, io));
}

function help(daylight: string): string {
  const list = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`);
  return `Usage: ${daylight} [COMMAND] [OPTIONS]

Commands (start, when none is given):
${list.join('\n')}

Options:
  --help      this text; after a command, about that command
  --version   versions of Daylight and Node

To begin with:
  ${daylight} demo
  ${daylight} exec -- curl https://example.com/
`;
}

function version(): string {
  const description: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return (description as { readonly version: string }).version;
}

function unknownCommand(name: string, io: CommandIo): number {
  const near = nearest(name, Object.keys(commands));
  io.stderr.write(`daylight: unknown command "${name}"${near === undefined ? '' : `; did you mean "${near}"?`}\n`);
  io.stderr.write(`Commands: ${Object.keys(commands).join(', ')}. More: ${commandName(io.env)} --help\n`);
  return exitCodes.usage;
}

/** Says why a command failed: what the user can change in one line, a fault of the program with its stack. */
async function failed(name: string, run: Run, error: unknown, io: CommandIo): Promise<number> {
  if (error instanceof FlowFailure) {
    const { meaning, remedy } = failureOf(error.code);
    io.stderr.write(`daylight ${name}: ${error.code}: ${meaning} ${remedy}\n`);
    if (error.detail !== '') io.stderr.write(`${error.detail}\n`);
    return exitCodeOf(error.code);
  }
  const { code = '', message = String(error) } = error as NodeJS.ErrnoException;
  if (!code.startsWith('ERR_PARSE_ARGS')) {
    io.stderr.write(`daylight ${name}: internal error: ${error instanceof Error ? error.stack : String(error)}\n`);
    return exitCodes.failed;
  }
  const [, word] = /'(-{0,2}[\w-]+)/.exec(message) ?? [];
  // A word alone may be an option whose dashes were left out.
  const option = word === undefined || word.startsWith('-') ? word : `--${word}`;
  const near = option === undefined ? undefined : nearest(option, await optionsOf(run, io));
  // Names of files hold full stops too.
  const [sentence = message] = message.split(/\.(?: |$)/, 1);
  io.stderr.write(`daylight ${name}: ${sentence}${near === undefined ? '' : `; did you mean ${near}?`}\n`);
  io.stderr.write(`More: daylight ${name} --help\n`);
  return exitCodes.usage;
}

/** The options that a command's own help names. */
async function optionsOf(run: Run, io: CommandIo): Promise<readonly string[]> {
  let text = '';
  const stdout = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  await run(['--help'], { ...io, stdout }).catch(() => undefined);
  return text.match(/--[a-z][a-z-]*/g) ?? [];
}

if (import.meta.main) {
  const args = process.argv.slice(2);
  await prepareProcess(fileURLToPath(import.meta.url), args);
  endWithOwner();
  // `daylight logs | head`: the reader has seen enough.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  const code = await main(args, { stdout: process.stdout, stderr: process.stderr, env: process.env });
  process.stdout.write('', () => process.exit(code));
}
