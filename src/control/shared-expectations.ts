import { shareKeyOf } from '../codec/share-key.ts';
import type { ExpectedData } from '../core/ipc.ts';
import { limits } from '../core/limits.ts';
import { FairShares } from '../net/fair-shares.ts';
import type { RelayChild } from './relay-child.ts';

/** A relay that waits until all others know what it expects. */
interface Announcement {
  readonly child: RelayChild;
  readonly id: number;
  readonly unaware: Set<RelayChild>;
  readonly timer: NodeJS.Timeout;
}

/** An appointment that may still be kept. */
interface Open {
  readonly expected: ExpectedData;
  readonly timer: NodeJS.Timeout;
}

/** Shorter than the relay waits for control, longer than a relay takes to start. */
const patienceMs = limits.ftpHandOverMs - 1_000;

/**
 * Tells all relays of data connections that one of them waits for. The kernel may give the connection to any of them, and
 * one that does not know would pass it on unread: an appointment that not all have noted is not made.
 */
export class SharedExpectations {
  readonly #announced = new Map<number, Announcement>();
  /** By token; relays that start later are told of them. */
  readonly #open = new Map<string, Open>();
  readonly #shares = new FairShares(limits.ftpAppointments);
  #lastId = 0;

  /** What a relay that starts now has to know. */
  get open(): readonly ExpectedData[] {
    return [...this.#open.values()].map(({ expected }) => expected);
  }

  /** `others` are all processes that have accepted connections or will: those that start or drain among them. */
  announce(child: RelayChild, id: number, expected: ExpectedData, others: readonly RelayChild[]): void {
    if (!this.#shares.take(shareKeyOf(expected.clientIp)))
      return child.send({ kind: 'data-expected', id, isKnown: false });
    this.#keep(expected);
    this.#lastId += 1;
    const own = this.#lastId;
    const timer = setTimeout(() => this.#settle(own, false), patienceMs);
    timer.unref();
    this.#announced.set(own, { child, id, unaware: new Set(others), timer });
    for (const other of others) other.send({ kind: 'note-data', id: own, expected });
    this.#settleWhenKnown(own);
  }

  noted(child: RelayChild, id: number, isKnown: boolean): void {
    this.#announced.get(id)?.unaware.delete(child);
    if (isKnown) this.#settleWhenKnown(id);
    else this.#settle(id, false);
  }

  /** A relay that has ended accepts nothing more. What it expected itself stays with the others: they refuse it. */
  left(child: RelayChild): void {
    for (const [own, { unaware }] of this.#announced) {
      if (unaware.delete(child)) this.#settleWhenKnown(own);
    }
  }

  forget(token: string): void {
    const open = this.#open.get(token);
    if (open === undefined) return;
    clearTimeout(open.timer);
    this.#open.delete(token);
    this.#shares.give(shareKeyOf(open.expected.clientIp));
  }

  #keep(expected: ExpectedData): void {
    // The relay tells when it expects it no more, unless it is gone.
    const timer = setTimeout(() => this.forget(expected.token), 2 * limits.ftpDataWaitMs);
    timer.unref();
    this.#open.set(expected.token, { expected, timer });
  }

  #settleWhenKnown(own: number): void {
    if (this.#announced.get(own)?.unaware.size === 0) this.#settle(own, true);
  }

  #settle(own: number, isKnown: boolean): void {
    const announced = this.#announced.get(own);
    if (announced === undefined) return;
    this.#announced.delete(own);
    clearTimeout(announced.timer);
    announced.child.send({ kind: 'data-expected', id: announced.id, isKnown });
  }
}
