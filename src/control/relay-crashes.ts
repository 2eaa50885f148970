import type { RelayCrash } from '../core/ipc.ts';
import type { Exposition } from '../metrics/exposition.ts';
import type { OperationalLog } from './operational-log.ts';
import type { RelayChild } from './relay-child.ts';

/** What of a relay's state tells whether it can record. */
interface Recording {
  readonly ready: boolean;
  readonly draining: boolean;
}

/** A crash that stands in no record yet, and the relay that was asked to write it. */
interface Unrecorded {
  readonly crash: RelayCrash;
  asked: RelayChild | undefined;
}

/**
 * Relays that ended without being asked to, or without ending well: told, counted, and recorded by another relay. A crash is
 * kept until one has said that it stands in its log, since that one may be killed as well.
 */
export class RelayCrashes {
  readonly #log: OperationalLog;
  readonly #metrics: Exposition;
  #unrecorded: Unrecorded[] = [];

  constructor(log: OperationalLog, metrics: Exposition) {
    this.#log = log;
    this.#metrics = metrics;
  }

  note(slot: number, crash: RelayCrash, isStartedAgain: boolean): void {
    const { reason } = crash;
    this.#log.error(`a relay ended unexpectedly${isStartedAgain ? ' and is started again' : ''}`, {
      code: 'GATEWAY_RELAY_CRASHED',
      relay: slot,
      reason,
    });
    this.#metrics.add({
      ...(isStartedAgain ? { daylight_relay_restarts_total: 1 } : {}),
      'daylight_failures_total{code="GATEWAY_RELAY_CRASHED"}': 1,
    });
    this.#unrecorded.push({ crash, asked: undefined });
  }

  /**
   * Asks one of the relays that run to record what none of them is about to record: one that is to go on rather than one that
   * drains. Where none is ready, the next that is will be asked.
   */
  ask(running: ReadonlyMap<RelayChild, Recording>): void {
    const ready = [...running].filter(([, each]) => each.ready);
    const relay = (ready.find(([, { draining }]) => !draining) ?? ready[0])?.[0];
    if (relay === undefined) return;
    for (const each of this.#unrecorded) {
      if (each.asked !== undefined && running.has(each.asked)) continue;
      each.asked = relay;
      relay.send({ kind: 'relay-crashed', crash: each.crash });
    }
  }

  recorded(logSource: string): void {
    this.#unrecorded = this.#unrecorded.filter(({ crash }) => crash.logSource !== logSource);
  }
}
