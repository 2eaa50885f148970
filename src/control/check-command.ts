import { parseArgs } from 'node:util';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { type Problem, problemText } from '../config/problem.ts';
import { FlowFailure } from '../core/failures.ts';
import { loadRoots } from '../pki/trust-store.ts';
import type { CommandIo } from './command-io.ts';
import { exitCodes } from './exit-codes.ts';

const defaultConfig = 'config/daylight.yaml';

export const checkHelp = `Usage: daylight check [--config FILE]

Checks a configuration and every file that it names, and prints each error as file:line:column: key: message on standard
error. Changes nothing, starts nothing, opens no port. The authority's keys and passphrase are left alone: they may be there
for the gateway's own user or service alone.

Options:
  --config FILE   configuration (default ${defaultConfig})
  --help          this text

Exits with 0 when the configuration is valid, with 3 when it is not.
`;

/** The `check` command: resolves with its exit code. */
export async function runCheck(args: readonly string[], io: CommandIo): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { config: { type: 'string' }, help: { type: 'boolean', default: false } },
  });
  if (values.help) {
    io.stdout.write(checkHelp);
    return exitCodes.ok;
  }
  if (positionals.length > (values.config === undefined ? 1 : 0)) {
    io.stderr.write('daylight check: one configuration at a time: daylight check --config FILE\n');
    return exitCodes.usage;
  }
  return check(values.config ?? positionals[0] ?? defaultConfig, io);
}

function check(file: string, io: CommandIo): number {
  const outcome = loadConfig(file);
  const problems = outcome.kind === 'failed' ? outcome.problems : trustProblems(outcome.config);
  const warnings = outcome.kind === 'failed' ? [] : outcome.config.warnings;
  for (const warning of warnings)
    io.stderr.write(`${problemText({ ...warning, message: `warning: ${warning.message}` })}\n`);
  for (const problem of problems) io.stderr.write(`${problemText(problem)}\n`);
  if (outcome.kind === 'failed' || problems.length > 0) {
    io.stderr.write(`${file}: ${counted(problems.length, 'error')}\n`);
    return exitCodes.config;
  }
  io.stdout.write(`${file}: ok (${summary(outcome.config)})\n`);
  return exitCodes.ok;
}

/** What only the trust store can tell of the files with roots. */
function trustProblems({ originTrust }: LoadedConfig): readonly Problem[] {
  return originTrust.files.flatMap((file) => {
    try {
      loadRoots({ system: false, files: [file] });
      return [];
    } catch (error) {
      if (!(error instanceof FlowFailure)) throw error;
      return [{ file, line: 1, column: 1, path: '', message: error.detail }];
    }
  });
}

function summary({ policy, ruleFiles, relays }: LoadedConfig): string {
  const { listeners, assets, rules, version } = policy;
  return [
    counted(listeners.length, 'listener'),
    counted(assets.length, 'asset'),
    `${counted(rules.length, 'rule')} in ${counted(ruleFiles.length, 'file')}`,
    counted(relays, 'relay'),
    `policy ${version}`,
  ].join(', ');
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
