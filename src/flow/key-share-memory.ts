import { limits } from '../core/limits.ts';
import { OriginMemory } from './origin-memory.ts';

/**
 * Remembers which origins agreed on a key without its post-quantum part although they were sent both key shares. They
 * are sent the classical share alone from then on, which spares a key pair of ML-KEM and a kilobyte for each session; the
 * hybrid group stays offered, so that an origin that prefers it asks for its share (RFC 8446 section 4.1.4). Only what
 * an authenticated handshake ended with is learned, and for a bounded time.
 */
export class KeyShareMemory {
  readonly #classical = new OriginMemory(limits.originMemoryEntries, limits.keyShareMemoryMs);

  /** Whether the hybrid share may be left out of the first flight. */
  prefersClassical(origin: string, nowMs: number): boolean {
    return this.#classical.has(origin, nowMs);
  }

  /** Notes the group of a handshake whose origin was verified; one without the hybrid share renews nothing. */
  learn(origin: string, group: string, nowMs: number): void {
    if (group.includes('MLKEM')) this.#classical.forget(origin);
    else if (!this.#classical.has(origin, nowMs)) this.#classical.note(origin, nowMs);
  }
}
