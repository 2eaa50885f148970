import { parseArgs } from 'node:util';

/** How the benchmark runs. */
export interface Options {
  /** How often all systems are started anew. */
  readonly rounds: number;
  /** How often each workload is measured on each system in a round. */
  readonly passes: number;
  readonly measureMs: number;
  /** For systems whose code is compiled while they run. */
  readonly warmUpMs: number;
  /** Systems to run; empty for all. */
  readonly only: readonly string[];
  /** Workloads to measure; empty for all. */
  readonly workloads: readonly string[];
  readonly jsonFile: string | undefined;
}

export const usage = `Usage: npm run bench -- [options]

Runs Daylight beside other proxies on loopback, in a network namespace of its own, and prints the CPU time of each
proxy's processes per operation. bench/install-peers.sh installs the others.

  --only NAME      run this system only (may be repeated)
  --workload NAME  measure this workload only: keep-alive, new-session, large-body, h2-streams, html,
                   html-gzip (may be repeated)
  --rounds N       how often all systems are started anew (default 2)
  --passes N       how often systems take turns with every workload in a round (default 3)
  --seconds S      length of one measurement (default 2)
  --quick          one round and pass, one second each, little warm-up: to see that it runs, not for figures
  --json FILE      also write every sample as JSON
  --help           this text
`;

/** Reads the command line, or says what is wrong with it. */
export function readOptions(args: readonly string[]): Options | { readonly error: string } | 'help' {
  try {
    return fromValues(
      parseArgs({
        args: [...args],
        options: {
          only: { type: 'string', multiple: true },
          workload: { type: 'string', multiple: true },
          rounds: { type: 'string' },
          passes: { type: 'string' },
          seconds: { type: 'string' },
          quick: { type: 'boolean' },
          json: { type: 'string' },
          help: { type: 'boolean', short: 'h' },
        },
      }).values,
    );
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

interface Values {
  readonly only?: string[] | undefined;
  readonly workload?: string[] | undefined;
  readonly rounds?: string | undefined;
  readonly passes?: string | undefined;
  readonly seconds?: string | undefined;
  readonly quick?: boolean | undefined;
  readonly json?: string | undefined;
  readonly help?: boolean | undefined;
}

function fromValues(values: Values): Options | { readonly error: string } | 'help' {
  if (values.help) return 'help';
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 2));
  const passes = Number(values.passes ?? (values.quick ? 1 : 3));
  const seconds = Number(values.seconds ?? (values.quick ? 1 : 2));
  if (!Number.isInteger(rounds) || rounds < 1) return { error: '--rounds takes a whole number from 1' };
  if (!Number.isInteger(passes) || passes < 1) return { error: '--passes takes a whole number from 1' };
  if (!(seconds > 0 && seconds <= 600)) return { error: '--seconds takes a number up to 600' };
  return {
    rounds,
    passes,
    measureMs: seconds * 1000,
    // V8 compiles a function for good after its 3000th call: as many new sessions take some twelve seconds.
    warmUpMs: values.quick ? 800 : 15_000,
    only: values.only ?? [],
    workloads: values.workload ?? [],
    jsonFile: values.json,
  };
}
