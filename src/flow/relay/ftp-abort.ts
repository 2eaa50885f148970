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
 * in either order, or just one of them: so PWD is asked besides, and what comes before its answer is theirs. Where that was
 * but one answer, the other may still come (ftp-srv lets PWD overtake ABOR), or never: it is waited for a moment.
 */
export class FtpAbort {
  readonly #wire: Wire;
  #isAsked = false;
  #cut: CutTransfer | undefined;
  #replies = 0;
  #isPathHeard = false;
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
    if (code === pathReply && !this.#isPathHeard) {
      this.#isPathHeard = true;
      this.#deadlineMs = undefined;
      return this.#replies > 1 ? this.#settled() : undefined;
    }
    if (this.#isPathHeard) return this.#settled();
    return this.#replies < mostReplies ? undefined : 'unasked';
  }

  /** On the pump's clock: the origin has said all that it will, or `late`. */
  tick(nowMs: number): CutTransfer | 'late' | undefined {
    if (!this.#isAsked) return undefined;
    this.#deadlineMs ??= nowMs + (this.#isPathHeard ? graceMs : limits.ftpAbortMs);
    if (nowMs < this.#deadlineMs) return undefined;
    return this.#isPathHeard ? this.#settled() : 'late';
  }

  #settled(): CutTransfer | undefined {
    const cut = this.#cut;
    this.#isAsked = false;
    this.#cut = undefined;
    this.#replies = 0;
    this.#isPathHeard = false;
    this.#deadlineMs = undefined;
    return cut;
  }
}

/** For an answer that PWD has overtaken: such servers wait tens of milliseconds. */
const graceMs = 1_000;

/** RFC 959 section 5.4: no transfer and no ABOR is answered so. */
const pathReply = 257;
/** No server is known to send more than two. */
const mostReplies = 4;
