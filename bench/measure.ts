import { fork } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { gzippedHtml, html } from './html-body.ts';
import type { LoadJob, LoadReport, SeenTls, Workload } from './load-job.ts';
import type { Options } from './options.ts';
import { cpuMicroseconds, type Memory, machineBusyMicroseconds, memoryOf } from './process-tree.ts';
import { bodies, type Site } from './site.ts';
import type { Running, System } from './system.ts';

/** One measurement of one system under one workload. */
export interface Measurement {
  readonly workload: Workload;
  /** Which of the passes over all systems, counted from 1 in each round. */
  readonly pass: number;
  readonly operations: number;
  readonly operationsPerSecond: number;
  /** User and system time of all processes of the proxy, per operation. */
  readonly cpuPerOperationUs: number;
  readonly tls: SeenTls;
  readonly sharedOrigin: number;
  /** Part of all processors that programs other than the benchmark took meanwhile, from 0 to 1. */
  readonly otherLoad: number;
  readonly errors: readonly string[];
}

/** What one system did in one round. */
export interface Round {
  /** Counted from 1. */
  readonly round: number;
  readonly system: string;
  readonly idle: Memory;
  /** Memory after all workloads of the round; its peak is that of the whole round. */
  readonly loaded: Memory;
  readonly measurements: readonly Measurement[];
}

const workloads: readonly Pick<LoadJob, 'workload' | 'path' | 'bodyBytes'>[] = [
  { workload: 'keep-alive', path: '/small', bodyBytes: bodies.small },
  { workload: 'new-session', path: '/small', bodyBytes: bodies.small },
  { workload: 'large-body', path: '/large', bodyBytes: bodies.large },
  { workload: 'h2-streams', path: '/small', bodyBytes: bodies.small },
  { workload: 'html', path: '/html', bodyBytes: html.length },
  { workload: 'html-gzip', path: '/gzip', bodyBytes: gzippedHtml.length },
];
const connections = 16;
/** With 16 streams. */
const http2Connections = 1;
/** Time after the start before idle memory is read: caches of start-up are given back by then. */
const settleMs = 1_000;

/** Before each measurement: connections are open by then, and what was compiled is in the caches again. */
const shortWarmUpMs = 2_000;

/**
 * One round: starts every system and measures it idle; then, workload by workload, warms each up and measures all in turn,
 * pass after pass, so that what is compared was measured within seconds, whatever the machine's own speed does over
 * minutes; then reads their memory and stops them.
 * A system that fails takes no further part: its error stands in its place.
 */
export async function measureRound(
  systems: readonly System[],
  site: Site,
  options: Options,
  round: number,
): Promise<readonly (Round | Error)[]> {
  const entrants: Entrant[] = [];
  try {
    for (const system of systems) entrants.push(await enter(system, site, round));
    for (const workload of workloads) {
      if (options.workloads.length > 0 && !options.workloads.includes(workload.workload)) continue;
      for (const entrant of entrants) await take(entrant, workload, site, options, 'warm-up');
      for (let pass = 1; pass <= options.passes; pass++)
        for (const entrant of rotated(entrants, pass)) await take(entrant, workload, site, options, pass);
    }
    return entrants.map(({ system, running, idle, measurements, error }) =>
      error !== undefined || running === undefined || idle === undefined
        ? new Error(`${system.name}: ${error?.message}`)
        : { round, system: system.name, idle, loaded: memoryOf(running.child.pid), measurements },
    );
  } finally {
    for (const { running } of entrants) await running?.child.stop();
  }
}

/** A system that takes part in a round, and what came of it so far. */
interface Entrant {
  readonly system: System;
  readonly running: Running | undefined;
  readonly idle: Memory | undefined;
  readonly measurements: Measurement[];
  error: Error | undefined;
}

async function enter(system: System, site: Site, round: number): Promise<Entrant> {
  const folder = join(site.folder, `${system.name}-${round}`);
  mkdirSync(folder);
  try {
    const running = await system.start(site, folder);
    await pause(settleMs);
    return { system, running, idle: memoryOf(running.child.pid), measurements: [], error: undefined };
  } catch (error) {
    return { system, running: undefined, idle: undefined, measurements: [], error: error as Error };
  }
}

async function take(
  entrant: Entrant,
  workload: Pick<LoadJob, 'workload' | 'path' | 'bodyBytes'>,
  site: Site,
  options: Options,
  pass: number | 'warm-up',
): Promise<void> {
  const { system, running, error } = entrant;
  const times =
    pass === 'warm-up'
      ? { warmUpMs: system.compilesAsItRuns ? options.warmUpMs : shortWarmUpMs, measureMs: 100 }
      : { warmUpMs: shortWarmUpMs, measureMs: options.measureMs };
  if (running === undefined || error !== undefined) return;
  if (workload.workload === 'h2-streams' && running.http2Port === undefined) return;
  try {
    const measurement = await measure({ ...jobFor(workload, running, site), ...times }, running);
    if (pass !== 'warm-up') entrant.measurements.push({ ...measurement, pass });
  } catch (failure) {
    entrant.error = failure as Error;
  }
}

/** Nobody is always the first after a change of workload. */
function rotated<T>(all: readonly T[], by: number): readonly T[] {
  const start = by % all.length;
  return [...all.slice(start), ...all.slice(0, start)];
}

function jobFor(
  workload: Pick<LoadJob, 'workload' | 'path' | 'bodyBytes'>,
  running: Running,
  site: Site,
): Omit<LoadJob, 'warmUpMs' | 'measureMs'> {
  return {
    ...workload,
    ip: '127.0.0.1',
    port: workload.workload === 'h2-streams' ? (running.http2Port ?? running.port) : running.port,
    tunnelTo: running.mode === 'connect' ? `${site.host}:${site.originPort}` : undefined,
    host: site.host,
    authority: site.originPort === 443 ? site.host : `${site.host}:${site.originPort}`,
    caFile: running.caFile,
    connections: workload.workload === 'h2-streams' ? http2Connections : connections,
  };
}

function measure(job: LoadJob, running: Running): Promise<Omit<Measurement, 'pass'>> {
  const generator = fork(join(import.meta.dirname, 'processes', 'load-generator.ts'), { serialization: 'json' });
  const pid = running.child.pid;
  let start: Clocks | undefined;
  let outcome: Omit<Measurement, 'pass'> | Error = new Error('the load generator ended without a result');
  generator.on('message', (report: LoadReport) => {
    if (report.kind === 'failed') outcome = new Error(report.reason);
    else if (report.kind === 'measuring') start = readClocks(pid);
    else if (start !== undefined) outcome = toMeasurement(job, report, start, readClocks(pid));
  });
  generator.send(job);
  return new Promise((resolve, reject) => {
    generator.once('exit', () => (outcome instanceof Error ? reject(outcome) : resolve(outcome)));
  });
}

/** CPU time so far of the proxy, of the whole benchmark, and of the machine. */
interface Clocks {
  readonly wallUs: number;
  readonly proxyUs: number;
  readonly benchmarkUs: number;
  readonly machineUs: number;
}

function readClocks(pid: number): Clocks {
  return {
    wallUs: performance.now() * 1000,
    proxyUs: cpuMicroseconds(pid),
    benchmarkUs: cpuMicroseconds(process.pid),
    machineUs: machineBusyMicroseconds(),
  };
}

function toMeasurement(
  job: LoadJob,
  report: Extract<LoadReport, { kind: 'measured' }>,
  start: Clocks,
  end: Clocks,
): Omit<Measurement, 'pass'> {
  const { operations, elapsedMs, tls, sharedOrigin, errors } = report;
  const otherUs = end.machineUs - start.machineUs - (end.benchmarkUs - start.benchmarkUs);
  return {
    workload: job.workload,
    operations,
    operationsPerSecond: (operations * 1000) / elapsedMs,
    cpuPerOperationUs: (end.proxyUs - start.proxyUs) / operations,
    tls,
    sharedOrigin,
    otherLoad: Math.max(0, otherUs / ((end.wallUs - start.wallUs) * cpus().length)),
    errors,
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
