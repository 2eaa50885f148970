import type { Workload } from './load-job.ts';
import type { Measurement, Round } from './measure.ts';
import type { System } from './system.ts';

/** Median, least and most of a set of samples. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** All rounds of one system, summed up. */
export interface Summary {
  readonly name: string;
  readonly title: string;
  readonly cpu: Readonly<Record<Workload, Spread>>;
  /** The same in each pass of each round, by `round.pass`. */
  readonly cpuOfPass: Readonly<Record<Workload, ReadonlyMap<string, number>>>;
  readonly rate: Readonly<Record<Workload, Spread>>;
  readonly idleRss: Spread;
  readonly idlePss: Spread;
  readonly peakRss: Spread;
  readonly otherLoad: Spread;
  readonly remarks: readonly string[];
}

const columns: readonly { readonly workload: Workload; readonly title: string }[] = [
  { workload: 'keep-alive', title: '1 KB keep-alive' },
  { workload: 'new-session', title: 'new TLS session' },
  { workload: 'large-body', title: '1 MB body' },
  { workload: 'h2-streams', title: 'h2, 16 streams of 1 KB' },
  { workload: 'html', title: '1 MB HTML' },
  { workload: 'html-gzip', title: 'the same in gzip' },
];

/** Sums up the rounds of one system. */
export function summarize(system: System, rounds: readonly Round[]): Summary {
  const spreads = (value: (measurement: Measurement) => number) =>
    Object.fromEntries(
      columns.map(({ workload }) => [workload, spread(measurementsOf(rounds, workload).map(value))]),
    ) as Record<Workload, Spread>;
  return {
    name: system.name,
    title: system.title,
    cpu: spreads((measurement) => measurement.cpuPerOperationUs),
    cpuOfPass: Object.fromEntries(
      columns.map(({ workload }) => [workload, costsOf(rounds, workload)]),
    ) as Summary['cpuOfPass'],
    rate: spreads((measurement) => measurement.operationsPerSecond),
    idleRss: spread(rounds.map(({ idle }) => idle.rss)),
    idlePss: spread(rounds.map(({ idle }) => idle.pss)),
    peakRss: spread(rounds.map(({ loaded }) => loaded.peakRss)),
    otherLoad: spread(rounds.flatMap(({ measurements }) => measurements.map((measurement) => measurement.otherLoad))),
    remarks: remarksOn(rounds),
  };
}

function costsOf(rounds: readonly Round[], workload: Workload): ReadonlyMap<string, number> {
  return new Map(
    rounds.flatMap(({ round, measurements }) =>
      measurements
        .filter((measurement) => measurement.workload === workload)
        .map(({ pass, cpuPerOperationUs }) => [`${round}.${pass}`, cpuPerOperationUs] as const),
    ),
  );
}

/**
 * What a workload costs in one system for each unit that it costs in another: of the ratios of the single passes, since
 * within one the two were measured within seconds, while the machine's own speed changes by up to two over minutes.
 */
export function ratioOf(own: Summary, peer: Summary, workload: Workload): Spread {
  return spread(
    [...own.cpuOfPass[workload]].flatMap(([pass, cost]) => {
      const peerCost = peer.cpuOfPass[workload].get(pass);
      return peerCost === undefined ? [] : [cost / peerCost];
    }),
  );
}

/** The tables: CPU per operation, ratios to Daylight, operations a second, memory, and what to know about each system. */
export function formatReport(summaries: readonly Summary[]): string {
  const titles = columns.map(({ title }) => title);
  const base = summaries.find(({ name }) => name === 'daylight');
  return [
    section('CPU microseconds per operation (median, least-most)', titles, summaries, ({ cpu }) =>
      columns.map(({ workload }) => orDash(cpu[workload], range)),
    ),
    base === undefined
      ? ''
      : section('Ratio to Daylight (above 1: costs more), median of the passes', titles, summaries, (summary) =>
          columns.map(({ workload }) =>
            orDash(
              ratioOf(summary, base, workload),
              ({ median, least, most }) => `**${median.toFixed(2)}** (${least.toFixed(2)}-${most.toFixed(2)})`,
            ),
          ),
        ),
    section(
      'Operations per second (median; the machine is shared with load and origin)',
      titles,
      summaries,
      ({ rate }) => columns.map(({ workload }) => orDash(rate[workload], ({ median }) => median.toFixed(0))),
    ),
    section('Memory, MB', ['idle RSS', 'idle PSS', 'peak RSS'], summaries, ({ idleRss, idlePss, peakRss }) =>
      [idleRss, idlePss, peakRss].map((memory) => megabytes(memory.median)),
    ),
    `## Seen on the wire\n\n${summaries.flatMap(({ name, remarks }) => remarks.map((remark) => `- ${name}: ${remark}`)).join('\n')}\n`,
    otherLoadLine(summaries),
  ]
    .filter(Boolean)
    .join('\n');
}

/** Figures taken while others used the machine are worth less: the report says so. */
function otherLoadLine(summaries: readonly Summary[]): string {
  const most = Math.max(...summaries.map(({ otherLoad }) => otherLoad.most));
  const warning = most > 0.1 ? ' **Not a quiet machine: do not quote these figures.**' : '';
  const medians = spread(summaries.map(({ otherLoad }) => otherLoad.median)).median;
  return `Other programs took ${(medians * 100).toFixed(0)} % of the processors (median; at most ${(most * 100).toFixed(0)} %).${warning}\n`;
}

function section(
  title: string,
  headings: readonly string[],
  summaries: readonly Summary[],
  cells: (summary: Summary) => readonly string[],
): string {
  const head = `| | ${headings.join(' | ')} |\n|---|${headings.map(() => '---|').join('')}`;
  const rows = summaries.map((summary) => `| ${summary.title} | ${cells(summary).join(' | ')} |`);
  return `## ${title}\n\n${head}\n${rows.join('\n')}\n`;
}

function measurementsOf(rounds: readonly Round[], workload: Workload): readonly Measurement[] {
  return rounds.flatMap(({ measurements }) => measurements.filter((measurement) => measurement.workload === workload));
}

function remarksOn(rounds: readonly Round[]): readonly string[] {
  const all = rounds.flatMap(({ measurements }) => measurements);
  const legs = new Set(all.map(({ tls }) => `client leg ${tls.client}; origin leg ${tls.origin}`));
  const sum = (value: (measurement: Measurement) => number) => all.reduce((total, next) => total + value(next), 0);
  const shared = sum(({ sharedOrigin }) => sharedOrigin);
  const errors = all.flatMap((measurement) => measurement.errors);
  return [
    ...legs,
    ...(shared === 0 ? [] : [`${shared} new client sessions were served over an origin connection used before`]),
    ...(errors.length === 0 ? [] : [`${errors.length} errors, first: ${errors[0]}`]),
  ];
}

function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  return { median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2, least: at(0), most: at(sorted.length - 1) };
}

/** A system that does not speak a protocol was not measured with it. */
function orDash(samples: Spread, text: (samples: Spread) => string): string {
  return Number.isNaN(samples.median) ? '-' : text(samples);
}

function range({ median, least, most }: Spread): string {
  const number = (value: number) => value.toFixed(value < 100 ? 1 : 0);
  return `**${number(median)}** (${number(least)}-${number(most)})`;
}

function megabytes(bytes: number): string {
  return (bytes / 1_048_576).toFixed(0);
}
