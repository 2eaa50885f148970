import { limits } from '../../core/limits.ts';
import type { Wire } from '../../core/relay.ts';
import { lineOf } from './ftp-transfers.ts';

/** What the client is told of a transfer that was cut, and what the origin may have of it. */
export interface CutTransfer {
  readonly answer: Buffer;
  readonly partial: string | undefined;
}

/**
 * Tells the origin that a transfer whose data the gateway has cut is over (ABOR). Servers answer both the transfer and ABOR,
 * in either order, or just one of them: so PWD is asked besides, and what comes before its answer is theirs.
 */
export class FtpAbort {
  readonly #wire: Wire;
  #isAsked = false;
  #cut: CutTransfer | undefined;
  #replies = 0;
  #deadlineMs: number | undefined;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** The client waits until the origin has ended the transfer. */
  get isPending(): boolean {
    return this.#isAsked;
  }

  get owed(): Buffer | undefined {
    return this.#cut?.answer;
  }

  ask(): void {
    this.#isAsked = true;
    this.#wire.send('origin', lineOf('ABOR'));
  }

  /** The origin has answered the transfer, or ABOR. False when nothing else is to be waited for. */
  waits(cut: CutTransfer): boolean {
    if (this.#isAsked) {
      this.#cut = cut;
      this.#wire.send('origin', lineOf('PWD'));
    }
    return this.#isAsked;
  }

  /** A further answer; what the client was not told yet once it is the last one, `unasked` when they do not end. */
  heard(code: number): CutTransfer | 'unasked' | undefined {
    this.#replies += 1;
    if (code !== pathReply) return this.#replies < mostReplies ? undefined : 'unasked';
    const cut = this.#cut;
    this.#isAsked = false;
    this.#cut = undefined;
    this.#replies = 0;
    this.#deadlineMs = undefined;
    return cut;
  }

  /** On the pump's clock. */
  isLate(nowMs: number): boolean {
    if (!this.#isAsked) return false;
    this.#deadlineMs ??= nowMs + limits.ftpAbortMs;
    return nowMs > this.#deadlineMs;
  }
}

/** RFC 959 section 5.4: no transfer and no ABOR is answered so. */
const pathReply = 257;
/** No server is known to send more than two. */
const mostReplies = 4;
