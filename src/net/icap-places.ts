import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import { FairShares } from './fair-shares.ts';
import { FairTurns } from './fair-turns.ts';

/** Whoever waits gives up after those that the scanner is shown: by then it is known that it does not answer. */
const graceMs = 100;

/**
 * The places of one relay at one content scanner: for messages that it is shown at once, and for those that wait. What finds
 * none because of what its own client has sent besides is told as that, so that nobody gets a message past the scanner by
 * filling it; only while the scanner itself does not answer is that never held against a client.
 */
export class IcapPlaces {
  /** Of messages that are shown and of those that wait. */
  readonly #pending = new FairShares(limits.scannerQueue);
  readonly #turns = new FairTurns(limits.scannerConnections);
  readonly #patienceMs: number;
  /** It did not answer, and has not answered anybody since. */
  isFailing = false;

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  set atOnce(places: number) {
    this.#turns.atOnce = places;
  }

  /**
   * Resolves when it is the turn of a message. Rejects with CLIENT_HOARDING, GATEWAY_OVERLOADED, GATEWAY_SCANNER_TIMEOUT, or
   * the reason of `cancel`.
   */
  async enter(client: string, cancel: AbortSignal): Promise<void> {
    cancel.throwIfAborted();
    const isFirst = !this.#pending.has(client);
    if (!this.#pending.take(client)) {
      throw this.#shortage(isFirst, 'GATEWAY_OVERLOADED', 'too many messages wait for the content scanner');
    }
    if (this.#turns.take(client)) return;
    try {
      await this.#turn(client, isFirst, cancel);
    } catch (error) {
      this.#pending.give(client);
      throw error;
    }
  }

  leave(client: string): void {
    this.#turns.end(client);
    this.#pending.give(client);
  }

  #turn(client: string, isFirst: boolean, cancel: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        cancel.removeEventListener('abort', onCancel);
      };
      const giveUp = (reason: unknown): void => {
        settle();
        stopWaiting();
        reject(reason);
      };
      const onCancel = (): void => giveUp(cancel.reason);
      const onTimeout = (): void =>
        giveUp(this.#shortage(isFirst, 'GATEWAY_SCANNER_TIMEOUT', `no connection was free for ${this.#patienceMs} ms`));
      const timer = setTimeout(onTimeout, this.#patienceMs + graceMs);
      cancel.addEventListener('abort', onCancel);
      const stopWaiting = this.#turns.wait(client, () => {
        settle();
        resolve();
      });
    });
  }

  #shortage(isFirst: boolean, code: 'GATEWAY_OVERLOADED' | 'GATEWAY_SCANNER_TIMEOUT', detail: string): FlowFailure {
    if (isFirst || this.isFailing) return new FlowFailure(code, detail);
    return new FlowFailure('CLIENT_HOARDING', 'its address has its share of the places at the content scanner');
  }
}
