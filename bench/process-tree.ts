import { readdirSync, readFileSync } from 'node:fs';

/** Memory of a process tree, in bytes. */
export interface Memory {
  /** Sum of resident sets; pages that processes share count in each. */
  readonly rss: number;
  /** Sum of proportional set sizes: shared pages count once. */
  readonly pss: number;
  /** Sum of each process's highest resident set so far. */
  readonly peakRss: number;
}

/** Kernel clock ticks a second in /proc (USER_HZ): 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** User and system time of the processes below `pid` and itself, in microseconds, reaped children included. */
export function cpuMicroseconds(pid: number): number {
  const ticks = processTree(pid).reduce((sum, member) => sum + cpuTicks(member), 0);
  return (ticks * 1_000_000) / ticksPerSecond;
}

/** Time that all processors of the machine were busy since its start, in microseconds. */
export function machineBusyMicroseconds(): number {
  const [, user, nice, system, , , irq, softirq] =
    readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]?.split(/\s+/) ?? [];
  const ticks = [user, nice, system, irq, softirq].reduce((sum, field) => sum + Number(field), 0);
  return (ticks * 1_000_000) / ticksPerSecond;
}

/** Memory of the processes below `pid` and itself. */
export function memoryOf(pid: number): Memory {
  const tree = processTree(pid);
  const sum = (file: string, field: string) => tree.reduce((all, member) => all + kilobytes(member, file, field), 0);
  return {
    rss: sum('status', 'VmRSS') * 1024,
    pss: sum('smaps_rollup', 'Pss') * 1024,
    peakRss: sum('status', 'VmHWM') * 1024,
  };
}

function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const parent = Number(statFields(pid)?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const below = (pid: number): number[] => [pid, ...(children.get(pid) ?? []).flatMap(below)];
  return below(root);
}

/** Fields of /proc/PID/stat from the third (state) on; the second, the name, may hold blanks and brackets. */
function statFields(pid: number): string[] | undefined {
  const stat = read(pid, 'stat');
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function cpuTicks(pid: number): number {
  const fields = statFields(pid) ?? [];
  // utime, stime, cutime, cstime: fields 14 to 17 of proc(5).
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
}

function kilobytes(pid: number, file: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(read(pid, file) ?? '')?.[1] ?? 0);
}

/** Undefined when the process is gone by now. */
function read(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return undefined;
  }
}
