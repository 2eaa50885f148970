import { limits } from '../core/limits.ts';

/**
 * Remembers which origins agreed on a key without its post-quantum part although they were sent both key shares. They
 * are sent the classical share alone from then on, which spares a key pair of ML-KEM and a kilobyte for each session; the
 * hybrid group stays offered, so that an origin that prefers it asks for its share (RFC 8446 section 4.1.4). Only what
 * an authenticated handshake ended with is learned, and for a bounded time.
 */
export class KeyShareMemory {
  /** When both shares are sent again, in milliseconds since the epoch. */
  readonly #classicalUntilMs = new Map<string, number>();

  /** Whether the hybrid share may be left out of the first flight. */
  prefersClassical(origin: string, nowMs: number): boolean {
    return nowMs < (this.#classicalUntilMs.get(origin) ?? 0);
  }

  /** Notes the group of a handshake whose origin was verified; one without the hybrid share renews nothing. */
  learn(origin: string, group: string, nowMs: number): void {
    const isHybrid = group.includes('MLKEM');
    if (!isHybrid && this.prefersClassical(origin, nowMs)) return;
    this.#classicalUntilMs.delete(origin);
    if (isHybrid) return;
    this.#classicalUntilMs.set(origin, nowMs + limits.keyShareMemoryMs);
    for (const oldest of this.#classicalUntilMs.keys()) {
      if (this.#classicalUntilMs.size <= limits.keyShareMemoryEntries) return;
      this.#classicalUntilMs.delete(oldest);
    }
  }
}
