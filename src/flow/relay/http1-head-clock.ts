import { limits } from '../../core/limits.ts';

/** Notices a head that takes too long, to about a second. */
export class HeadClock {
  #sinceMs: number | undefined;

  /** The head is complete. */
  stop(): void {
    this.#sinceMs = undefined;
  }

  /** Called once a second: whether a head that is under way began too long ago. */
  isLate(isUnderWay: boolean, nowMs: number): boolean {
    if (!isUnderWay) this.#sinceMs = undefined;
    else if (this.#sinceMs === undefined) this.#sinceMs = nowMs;
    else return nowMs - this.#sinceMs > limits.httpHeadTimeoutMs;
    return false;
  }
}
