import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FlowFailure } from '../core/failures.ts';
import { type PlayedStep, playDemo } from '../demo/play-demo.ts';
import { sampleFiles } from '../demo/sample-files.ts';
import type { CommandIo } from './command-io.ts';
import { commandName } from './command-name.ts';
import { type Demo, startDemo } from './demo-gateway.ts';
import { introduction, keptText, painter, reportOf, stepText } from './demo-report.ts';
import { exitCodes } from './exit-codes.ts';
import { Interrupts } from './interrupts.ts';
import { gatewayEnvironment } from './prepare-process.ts';

export const demoHelp = `Usage: daylight demo [--keep] [--json] [--rules FILE]

Shows what Daylight does, on this machine alone: starts web, mail and file servers, a gateway in front of them and clients,
and tells for each step what the client did and met, what the gateway read, what the server got and what was recorded.
Of each protocol one exchange passes and one is blocked; a server with an expired certificate is refused. Everything runs
on free ports of the loopback and in a temporary folder, and ends with the command. Takes a few seconds.

Options:
  --keep         leave it running after the last step, with lines to try by hand, until Ctrl-C
  --json         the steps as JSON, with the whole records
  --rules FILE   rules in place of the demo's own (config/demo/rules.yaml); what these do not block is told as missed
  --help         this text

Exit codes: 0 every step went as it should, 1 one did not, 2 wrong usage, 125 the gateway did not start.
`;

interface Options {
  readonly keep: boolean;
  readonly json: boolean;
  readonly rulesFile: string | undefined;
  readonly directory: string;
}

/** The \`demo\` command: resolves with its exit code. */
export async function runDemo(args: readonly string[], io: CommandIo): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      keep: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      rules: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    io.stdout.write(demoHelp);
    return exitCodes.ok;
  }
  if (values.rules !== undefined && !isReadable(values.rules)) {
    io.stderr.write(`daylight demo: ${values.rules} cannot be read\n`);
    return exitCodes.usage;
  }
  const directory = mkdtempSync(join(tmpdir(), 'daylight-demo-'));
  const run = { ...values, rulesFile: values.rules, directory };
  return demonstrate(run, io).finally(() => rmSync(directory, { recursive: true, force: true }));
}

async function demonstrate(options: Options, io: CommandIo): Promise<number> {
  using interrupts = new Interrupts();
  if (!options.json) io.stdout.write(introduction);
  await using demo = await startedOrNot(options, interrupts, io);
  if (demo === undefined) return interrupts.exitCode ?? exitCodes.gateway;
  const steps = await playAll(demo, options, interrupts, io);
  if (interrupts.exitCode !== undefined) return interrupts.exitCode;
  conclude(demo, steps, options, io);
  if (options.keep) await keep(demo, options, interrupts, io);
  return steps.every(({ ok }) => ok) ? exitCodes.ok : exitCodes.failed;
}

async function startedOrNot(options: Options, { abort }: Interrupts, io: CommandIo): Promise<Demo | undefined> {
  try {
    return await startDemo({ ...options, env: gatewayEnvironment(io.env), abort });
  } catch (error) {
    if (!(error instanceof FlowFailure)) throw error;
    if (!abort.aborted) io.stderr.write(`daylight demo: the gateway does not start\n${error.detail}\n`);
    return undefined;
  }
}

async function playAll(
  demo: Demo,
  { json }: Options,
  { abort }: Interrupts,
  io: CommandIo,
): Promise<readonly PlayedStep[]> {
  const paint = painter(coloursOf(io));
  const steps: PlayedStep[] = [];
  for await (const step of playDemo(demo, abort)) {
    steps.push(step);
    if (!json && !abort.aborted) io.stdout.write(stepText(step, steps.length, paint));
  }
  return steps;
}

function conclude(demo: Demo, steps: readonly PlayedStep[], options: Options, io: CommandIo): void {
  const { json, directory } = options;
  const missed = steps.filter(({ ok }) => !ok);
  if (json) io.stdout.write(`${JSON.stringify(reportOf(demo, steps, directory), null, 2)}\n`);
  else if (missed.length === 0) io.stdout.write(allWell(steps.length, options, commandName(io.env)));
  for (const { id, claims } of missed) {
    const claimed = claims.filter(({ holds }) => !holds).map(({ says }) => says);
    io.stderr.write(`daylight demo: step ${id} did not go as it should. Not so: ${claimed.join('; ')}\n`);
  }
}

function allWell(count: number, { keep: isKept }: Options, command: string): string {
  const next = `To try it by hand: ${command} demo --keep\n`;
  return `All ${count} steps went as they should.\n${isKept ? '' : next}`;
}

/** Shows what is there to try, and waits until the user, or the gateway, has had enough. */
async function keep(
  demo: Demo,
  { json, directory }: Options,
  { abort }: Interrupts,
  { stdout, stderr, env }: CommandIo,
): Promise<void> {
  const samples = join(directory, 'samples');
  mkdirSync(samples);
  for (const [name, content] of Object.entries(sampleFiles)) writeFileSync(join(samples, name), content);
  const text = `\n${keptText(demo, directory, commandName(env))}`;
  (json ? stderr : stdout).write(text);
  const interrupted = new Promise<'interrupted'>((resolve) => {
    if (abort.aborted) resolve('interrupted');
    abort.addEventListener('abort', () => resolve('interrupted'));
  });
  const end = await Promise.race([interrupted, demo.ended.then(() => 'ended' as const)]);
  stderr.write(end === 'ended' ? 'daylight demo: the gateway has ended\n' : '\nEnding.\n');
}

function isReadable(file: string): boolean {
  try {
    return readFileSync(file).length > 0;
  } catch {
    return false;
  }
}

function coloursOf({ stdout, env }: CommandIo): boolean {
  return 'isTTY' in stdout && stdout.isTTY === true && (env.NO_COLOR ?? '') === '';
}
