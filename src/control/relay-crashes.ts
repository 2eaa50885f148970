import type { RelayCrash } from '../core/ipc.ts';
import type { Exposition } from '../metrics/exposition.ts';
import type { OperationalLog } from './operational-log.ts';

/** Relays that ended without being asked to: told and counted, and kept for the record that the next one in their slot writes. */
export class RelayCrashes {
  readonly #log: OperationalLog;
  readonly #metrics: Exposition;
  readonly #bySlot = new Map<number, RelayCrash>();

  constructor(log: OperationalLog, metrics: Exposition) {
    this.#log = log;
    this.#metrics = metrics;
  }

  note(slot: number, crash: RelayCrash): void {
    const { reason } = crash;
    this.#log.error('a relay ended unexpectedly and is started again', {
      code: 'GATEWAY_RELAY_CRASHED',
      relay: slot,
      reason,
    });
    this.#metrics.add({
      daylight_relay_restarts_total: 1,
      'daylight_failures_total{code="GATEWAY_RELAY_CRASHED"}': 1,
    });
    this.#bySlot.set(slot, crash);
  }

  /** The crash that the relay started next in a slot is to record; once. */
  take(slot: number): RelayCrash | undefined {
    const crash = this.#bySlot.get(slot);
    this.#bySlot.delete(slot);
    return crash;
  }
}
