import { readFileSync } from 'node:fs';
import { limits } from '../core/limits.ts';
import { HeldBudget, type HeldMost, mostOf } from './relay/held-budget.ts';

/** Descriptors of a relay that are of no flow: listeners, logs, name look-ups, the channel to control. */
const otherDescriptors = 256;
/** An inspected flow has two connections. */
const descriptorsPerFlow = 2;
const leastFlows = 16;

/**
 * How many flows, which a budget counts as it counts bytes, a process may have by its limit of descriptors, as
 * /proc/PID/limits tells it, and how many of them one client.
 */
export function flowMostOf(processLimits: string): HeldMost {
  const descriptors = Number(/^Max open files\s+(\d+)/m.exec(processLimits)?.[1] ?? Number.POSITIVE_INFINITY);
  const byDescriptors = Math.floor((descriptors - otherDescriptors) / descriptorsPerFlow);
  return mostOf(Math.max(leastFlows, Math.min(limits.flowsPerRelay, byDescriptors)));
}

/** The places for flows in this process: a client that opens ever more connections leaves some to all others. */
export class FlowPlaces {
  readonly #most: HeldMost;
  /** The same without a share. */
  readonly #all: HeldMost;
  readonly #taken = new HeldBudget();

  constructor(most: HeldMost = flowMostOf(ownLimits())) {
    this.#most = most;
    this.#all = { bytes: most.bytes, clientBytes: most.bytes };
  }

  /** Takes a place; false when there is none. Where the client is not known yet (behind a balancer) all are to be had. */
  take(shareKey: string | undefined): boolean {
    const most = shareKey === undefined ? this.#all : this.#most;
    if (this.#taken.shortage(shareKey ?? '', 1, most) !== undefined) return false;
    this.#taken.take(shareKey ?? '', 1);
    return true;
  }

  /** A place that was taken for nobody becomes that of a client; false when that has its share, and nothing changes. */
  claim(shareKey: string): boolean {
    this.give(undefined);
    if (this.take(shareKey)) return true;
    this.take(undefined);
    return false;
  }

  give(shareKey: string | undefined): void {
    this.#taken.give(shareKey ?? '', 1);
  }
}

function ownLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8');
  } catch {
    // Not Linux: running out is told by the system then.
    return '';
  }
}
