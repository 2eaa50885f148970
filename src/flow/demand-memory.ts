import { limits } from '../core/limits.ts';
import type { FlowFacts } from '../core/record.ts';

/** Remembers, for a bounded time, origins that ask for a certificate that the gateway does not have. */
export class DemandMemory {
  /** When they are tried again, in milliseconds since the epoch. */
  readonly #untilMs = new Map<string, number>();

  /** Whether the origin of a flow is known to ask. */
  knows(facts: FlowFacts, nowMs: number): boolean {
    return nowMs < (this.#untilMs.get(originOf(facts)) ?? 0);
  }

  /** What is known already is not known for longer: the origin is asked anew when its time is over. */
  learn(facts: FlowFacts, untilMs: number, nowMs: number): void {
    if (this.knows(facts, nowMs)) return;
    const origin = originOf(facts);
    this.#untilMs.delete(origin);
    this.#untilMs.set(origin, untilMs);
    for (const oldest of this.#untilMs.keys()) {
      if (this.#untilMs.size <= limits.demandMemoryEntries) return;
      this.#untilMs.delete(oldest);
    }
  }
}

/** By name and address: one host may ask under one name alone. */
function originOf({ destination, serverName }: FlowFacts): string {
  return `${destination?.host}:${destination?.port} ${serverName ?? ''}`;
}
