import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatGoals } from './goals.ts';
import { measureRound, type Round } from './measure.ts';
import { enterNamespace, settle } from './namespace.ts';
import { type Options, readOptions, usage } from './options.ts';
import { startOrigin } from './origin.ts';
import { formatReport, summarize } from './report.ts';
import { prepareSite, type Site } from './site.ts';
import type { System } from './system.ts';
import { versionOf } from './systems/version.ts';
import { systems } from './systems.ts';

process.exitCode = await main();

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') {
    console.log(usage);
    return 0;
  }
  if ('error' in options) {
    console.error(`${options.error}\n\n${usage}`);
    return 2;
  }
  return (await enterNamespace()) ?? (await benchmark(options));
}

/** One run: round after round, then the report. */
async function benchmark(options: Options): Promise<number> {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));
  const folder = mkdtempSync(join(tmpdir(), 'daylight-bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  // Peers that drop root must still reach their own folders below.
  chmodSync(folder, 0o711);
  const site = prepareSite(folder, settle(folder));
  const chosen = choose(options);
  if (chosen.length === 0) return 2;
  console.log(preamble(site, chosen, options));
  const origin = await startOrigin(site);
  const rounds = await runRounds(chosen, site, options);
  await origin.stop();
  return finish(chosen, rounds, options);
}

function choose(options: Options): readonly System[] {
  const known = new Set(systems.map(({ name }) => name));
  const unknown = options.only.filter((name) => !known.has(name));
  if (unknown.length > 0) {
    console.error(`no system ${unknown.join(', ')}; there are ${[...known].join(', ')}`);
    return [];
  }
  return systems.filter((system) => {
    if (options.only.length > 0 && !options.only.includes(system.name)) return false;
    if (system.version() !== undefined) return true;
    console.error(`${system.name} is not installed: left out (bench/install-peers.sh installs it)`);
    return false;
  });
}

async function runRounds(chosen: readonly System[], site: Site, options: Options): Promise<readonly Round[]> {
  const rounds: Round[] = [];
  for (let round = 1; round <= options.rounds; round++) {
    for (const result of await measureRound(chosen, site, options, round)) {
      if (result instanceof Error) {
        console.error(`round ${round} FAILED: ${result.message}`);
        continue;
      }
      rounds.push(result);
      const costs = result.measurements.map(({ cpuPerOperationUs }) => cpuPerOperationUs.toFixed(1));
      const others = Math.max(...result.measurements.map(({ otherLoad }) => otherLoad * 100));
      console.error(`round ${round} ${result.system}: ${costs.join(' / ')} us (others ${others.toFixed(0)} %)`);
    }
  }
  return rounds;
}

function finish(chosen: readonly System[], rounds: readonly Round[], options: Options): number {
  const measured = chosen.filter(({ name }) => rounds.some(({ system }) => system === name));
  const summaries = measured.map((system) =>
    summarize(
      system,
      rounds.filter((round) => round.system === system.name),
    ),
  );
  console.log(formatReport(summaries));
  console.log(formatGoals(summaries));
  if (options.jsonFile !== undefined)
    writeFileSync(options.jsonFile, `${JSON.stringify({ summaries, rounds }, null, 2)}\n`);
  return rounds.length === chosen.length * options.rounds ? 0 : 1;
}

function preamble(site: Site, chosen: readonly System[], options: Options): string {
  const processors = cpus();
  const nginx = versionOf('nginx', ['-v'], /nginx\/[\d.]+/);
  return `# Benchmark

- ${new Date().toISOString().slice(0, 10)}, commit ${commit()}, Linux ${release()}, ${processors.length} x ${processors[0]?.model}
- ${site.isolated ? 'loopback inside a network namespace of its own' : 'loopback of this machine (no namespace could be made)'}
- origin ${nginx}: RSA-2048 certificate, no session resumption; load: Node ${process.versions.node}, 16 connections, key exchange P-256
- ${options.rounds} rounds of ${options.passes} passes, ${options.measureMs / 1000} s each workload; all systems run, and each workload is measured on one after the other
- ${[...new Set(chosen.map((system) => system.version()))].join(', ')}
`;
}

function commit(): string {
  try {
    const git = (...args: string[]) =>
      execFileSync('git', args, { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'ignore'] });
    const changed = git('status', '--porcelain', '--untracked-files=no').length > 0;
    return `${git('rev-parse', '--short', 'HEAD').toString().trim()}${changed ? ' with changes' : ''}`;
  } catch {
    return 'unknown';
  }
}
