import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../config/load.ts';
import { problemText } from '../config/problem.ts';
import { FlowFailure } from '../core/failures.ts';
import { findLogs, type LogSeries } from '../records/log-files.ts';
import { LogFollower } from '../records/log-follower.ts';
import { readBackward, readForward, type StoredLine } from '../records/log-reader.ts';
import type { CommandIo } from './command-io.ts';
import { exitCodes } from './exit-codes.ts';
import { harEnd, harEntry, harStart } from './har-entry.ts';
import { type LogsOptions, LogsUsageError, parseLogsArguments } from './logs-options.ts';
import { type LineStyle, recordLine } from './record-line.ts';
import { recordView } from './record-view.ts';

export const logsHelp = `Usage: daylight logs [traffic|alarms] [options]

Shows the records of all relays in the order of their time, rotated files included; both logs unless one is named.

Options:
  --config FILE     configuration that names the directory (default config/daylight.yaml)
  --directory DIR   the directory itself; then no configuration is read
  -f, --follow      go on with what is written from now on, through rotations, until interrupted; starts with the last
                    10 records unless --since or --limit says otherwise
  --since TIME      from an age on (30s, 10m, 2h, 1d) or from a time (2026-01-15T09:30Z)
  -n, --limit N     only the last N records that match
  --asset ID        of this asset
  --host PATTERN    of this host: example.com, *.example.com or an IP address
  --flow ID         of this flow: its transactions, its alarms and its end
  --rule ID         that this rule matched; * stands for anything
  --failure CODE    that failed so; * stands for anything: ORIGIN_CERT_*
  --label LABEL     with this label, or one that begins so: decryption, metadata, plaintext, bypass
  --json            the lines as they are in the files (OCSF), one record each
  --har             one HAR 1.2 file of the HTTP transactions, for the tools of browsers; bodies are excerpts
  --help            this text

Columns: time, asset, client, request (or mail, or file transfer), status, bytes, milliseconds, and verdict, rules and
failure.
Exit codes: 0 shown (also when nothing matches), 1 the records cannot be read, 2 wrong usage, 3 configuration not valid.
`;

/** Records that \`--follow\` starts with. */
const followedLines = 10;
const lookEveryMs = 250;

/** The \`logs\` command: resolves with its exit code. */
export async function runLogs(args: readonly string[], io: CommandIo): Promise<number> {
  try {
    const options = parseLogsArguments(args, Date.now());
    if (options.help) {
      io.stdout.write(logsHelp);
      return exitCodes.ok;
    }
    return await show(options, options.directory ?? directoryOf(options.config), io);
  } catch (error) {
    if (!(error instanceof LogsUsageError)) throw error;
    io.stderr.write(`daylight logs: ${error.message}\nMore: daylight logs --help\n`);
    return exitCodes.usage;
  }
}

function directoryOf(file: string): string {
  const outcome = loadConfig(file);
  if (outcome.kind === 'loaded') return outcome.config.policy.records.directory;
  const lines = [...outcome.problems.map(problemText), 'To read records without a configuration: --directory DIR'];
  throw new FlowFailure('GATEWAY_CONFIG_INVALID', lines.join('\n'));
}

async function show(options: LogsOptions, directory: string, io: CommandIo): Promise<number> {
  try {
    const series = findLogs(directory, options.logs);
    const follower = options.follow ? new LogFollower(directory, options.logs, series) : undefined;
    await print(past(options, series), options, io);
    if (follower !== undefined) await follow(follower, options, io);
    return exitCodes.ok;
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    io.stderr.write(`daylight logs: the records in ${directory} cannot be read: ${error.message}\n`);
    return exitCodes.failed;
  }
}

function past({ sinceMs, limit, follow, matches }: LogsOptions, series: readonly LogSeries[]): Iterable<StoredLine> {
  const last = limit ?? (follow && sinceMs === undefined ? followedLines : undefined);
  if (last === undefined) return readForward(series, sinceMs ?? 0);
  const kept: StoredLine[] = [];
  for (const line of readBackward(series)) {
    if (line.timeMs < (sinceMs ?? 0)) break;
    const view = recordView(line.text);
    if (view !== undefined && matches(view)) kept.push(line);
    if (kept.length === last) break;
  }
  return kept.toReversed();
}

/** Until a signal, or until nobody reads any more. */
async function follow(follower: LogFollower, options: LogsOptions, io: CommandIo): Promise<void> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  try {
    while (!stop.signal.aborted) {
      await print(follower.look(), options, io);
      await sleep(lookEveryMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  } finally {
    follower.close();
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

async function print(lines: Iterable<StoredLine>, options: LogsOptions, io: CommandIo): Promise<void> {
  if (options.har) return printHar(lines, options, io);
  for (const { text } of lines) {
    const view = recordView(text);
    if (view === undefined || !options.matches(view)) continue;
    const line = options.json ? withoutControls(text) : recordLine(view, styleOf(io));
    // A reader that is slower than the disk is waited for.
    if (!io.stdout.write(`${line}\n`)) await once(io.stdout, 'drain');
  }
}

async function printHar(lines: Iterable<StoredLine>, { matches }: LogsOptions, { stdout }: CommandIo): Promise<void> {
  stdout.write(harStart);
  let separator = '\n';
  for (const { text } of lines) {
    const view = recordView(text);
    const entry = view !== undefined && matches(view) ? harEntry(text) : undefined;
    if (entry === undefined) continue;
    if (!stdout.write(`${separator}${withoutControls(entry)}`)) await once(stdout, 'drain');
    separator = ',\n';
  }
  stdout.write(harEnd);
}

/** JSON escapes the controls of ASCII; those behind it may mean something to a terminal as well. */
function withoutControls(json: string): string {
  return json.replace(/[\x7f-\x9f]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`);
}

function styleOf({ stdout, env }: CommandIo): LineStyle {
  const isTerminal = 'isTTY' in stdout && stdout.isTTY === true;
  const columns = 'columns' in stdout && typeof stdout.columns === 'number' ? stdout.columns : undefined;
  // https://no-color.org
  return { width: isTerminal ? columns : undefined, colours: isTerminal && (env.NO_COLOR ?? '') === '' };
}
