import { parseArgs } from 'node:util';
import { canonicalHost, compileHostPatterns } from '../codec/host.ts';
import type { RecordView } from './record-view.ts';

export type LogChoice = 'traffic' | 'alarms';

export interface LogsOptions {
  readonly help: boolean;
  readonly logs: readonly LogChoice[];
  readonly config: string;
  readonly directory: string | undefined;
  readonly follow: boolean;
  readonly json: boolean;
  /** One HAR file of the HTTP transactions. */
  readonly har: boolean;
  /** Milliseconds since the epoch. */
  readonly sinceMs: number | undefined;
  readonly limit: number | undefined;
  readonly matches: (view: RecordView) => boolean;
}

/** A command line that cannot be meant; the message says what is wrong. */
export class LogsUsageError extends Error {}

/** Reads the command line of `logs`. Throws LogsUsageError, or parseArgs' own error. */
export function parseLogsArguments(args: readonly string[], nowMs: number): LogsOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      config: { type: 'string', default: 'config/daylight.yaml' },
      directory: { type: 'string' },
      follow: { type: 'boolean', short: 'f', default: false },
      json: { type: 'boolean', default: false },
      har: { type: 'boolean', default: false },
      asset: { type: 'string' },
      host: { type: 'string' },
      flow: { type: 'string' },
      rule: { type: 'string' },
      failure: { type: 'string' },
      label: { type: 'string' },
      since: { type: 'string' },
      limit: { type: 'string', short: 'n' },
      help: { type: 'boolean', default: false },
    },
  });
  const { config, directory, follow, json, har, since, limit, help } = values;
  if (har && (follow || json))
    throw new LogsUsageError('--har makes one file: it goes with neither --follow nor --json');
  return {
    help,
    logs: har ? ['traffic'] : logsOf(positionals),
    config,
    directory,
    follow,
    json,
    har,
    sinceMs: since === undefined ? undefined : sinceOf(since, nowMs),
    limit: limit === undefined ? undefined : limitOf(limit),
    matches: filterOf(values),
  };
}

interface Filters {
  readonly asset?: string | undefined;
  readonly host?: string | undefined;
  readonly flow?: string | undefined;
  readonly rule?: string | undefined;
  readonly failure?: string | undefined;
  readonly label?: string | undefined;
}

function filterOf({ asset, host, flow, rule, failure, label }: Filters): LogsOptions['matches'] {
  const tests: LogsOptions['matches'][] = [];
  if (asset !== undefined) tests.push(({ assetId }) => assetId === asset);
  if (host !== undefined) tests.push(hostTest(host));
  if (flow !== undefined) tests.push(({ flowId }) => flowId === flow);
  if (rule !== undefined) tests.push(textTest(rule, ({ ruleIds }) => ruleIds));
  if (failure !== undefined) tests.push(textTest(failure.toUpperCase(), (view) => [view.failure]));
  if (label !== undefined) tests.push((view) => view.label.toLowerCase().startsWith(label.toLowerCase()));
  return (view) => tests.every((test) => test(view));
}

function hostTest(pattern: string): LogsOptions['matches'] {
  try {
    const covers = compileHostPatterns([pattern]);
    return ({ hosts }) => hosts.some((host) => covers(canonicalHost(host) ?? host));
  } catch {
    throw new LogsUsageError(`--host: not a host pattern: "${pattern}" (example.com, *.example.com or an IP address)`);
  }
}

/** A star stands for anything. */
function textTest(pattern: string, of: (view: RecordView) => readonly string[]): LogsOptions['matches'] {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const expression = new RegExp(`^${parts.join('.*')}$`, 's');
  return (view) => of(view).some((text) => text !== '' && expression.test(text));
}

function logsOf(positionals: readonly string[]): readonly LogChoice[] {
  const [log, ...more] = positionals;
  if (more.length > 0) throw new LogsUsageError('one log at a time: traffic or alarms (or none for both)');
  if (log === undefined) return ['traffic', 'alarms'];
  if (log === 'traffic' || log === 'alarms') return [log];
  throw new LogsUsageError(`no such log: "${log}" (traffic or alarms)`);
}

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

function sinceOf(text: string, nowMs: number): number {
  const [, count, unit = ''] = /^(\d{1,6})([smhdw])$/.exec(text) ?? [];
  const ageMs = Number(count) * (units[unit] ?? Number.NaN);
  const sinceMs = Number.isNaN(ageMs) ? Date.parse(text) : nowMs - ageMs;
  if (Number.isNaN(sinceMs)) {
    throw new LogsUsageError(`--since: neither an age (30s, 10m, 2h, 1d) nor a time (2026-01-15T09:30Z): "${text}"`);
  }
  return sinceMs;
}

/** Lines that are kept until they are shown in order. */
const mostLines = 100_000;

function limitOf(text: string): number {
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1 || limit > mostLines) {
    throw new LogsUsageError(`--limit: a number from 1 to ${mostLines}, not "${text}"`);
  }
  return limit;
}
