import type { ExpectedData } from '../core/ipc.ts';
import type { RelayChild } from './relay-child.ts';

/** A relay that waits until all others know what it expects. */
interface Announcement {
  readonly child: RelayChild;
  readonly id: number;
  readonly unaware: Set<RelayChild>;
  readonly timer: NodeJS.Timeout;
}

/** A relay that says nothing in this time is busy or gone, and the client is not kept waiting for it. */
const patienceMs = 1_000;

/** Tells all relays of data connections that one of them waits for. */
export class SharedExpectations {
  readonly #announced = new Map<number, Announcement>();
  #lastId = 0;

  announce(child: RelayChild, id: number, expected: ExpectedData, others: readonly RelayChild[]): void {
    if (others.length === 0) return child.send({ kind: 'data-expected', id });
    this.#lastId += 1;
    const own = this.#lastId;
    const timer = setTimeout(() => this.#settle(own), patienceMs);
    timer.unref();
    this.#announced.set(own, { child, id, unaware: new Set(others), timer });
    for (const other of others) other.send({ kind: 'note-data', id: own, expected });
  }

  noted(child: RelayChild, id: number): void {
    const announced = this.#announced.get(id);
    if (announced === undefined) return;
    announced.unaware.delete(child);
    if (announced.unaware.size === 0) this.#settle(id);
  }

  #settle(own: number): void {
    const announced = this.#announced.get(own);
    if (announced === undefined) return;
    this.#announced.delete(own);
    clearTimeout(announced.timer);
    announced.child.send({ kind: 'data-expected', id: announced.id });
  }
}
