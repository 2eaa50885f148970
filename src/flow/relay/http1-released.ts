import { limits } from '../../core/limits.ts';
import type { Wire } from '../../core/relay.ts';
import type { Side } from '../../core/side.ts';
import type { Shortage } from './held-budget.ts';
import { HeldMemory, StallClock } from './held-memory.ts';

/** Bytes of a message that was held and let go: they wait here, counted, for as long as their receiver takes nothing. */
export class ReleasedBytes {
  readonly to: Side;
  /** Called once, when the receiver has taken all. */
  onTaken: (() => void) | undefined;
  readonly #wire: Wire;
  readonly #among: Set<ReleasedBytes>;
  readonly #memory: HeldMemory;
  readonly #stall = new StallClock();
  readonly #pieces: Buffer[] = [];
  #bytes = 0;
  #nowMs = 0;

  constructor(to: Side, { wire, among, shareKey, hoards }: ReleaseOptions) {
    this.to = to;
    this.#wire = wire;
    this.#among = among;
    this.#memory = new HeldMemory(shareKey, () => {
      const bytes = this.#stall.stalledBytes(this.#nowMs, this.#bytes);
      if (bytes > 0) hoards(to, `${bytes} bytes waited for it alone, and others needed their memory`);
    });
  }

  get isEmpty(): boolean {
    return this.#bytes === 0;
  }

  /** Puts pieces behind those that wait, all or none of them. */
  push(pieces: readonly Buffer[]): Shortage | undefined {
    let bytes = 0;
    for (const piece of pieces) bytes += piece.length;
    const shortage = this.#memory.take(bytes + pieces.length * limits.heldPieceBytes);
    if (shortage !== undefined) return shortage;
    for (const piece of pieces) this.#pieces.push(piece);
    this.#bytes += bytes;
    this.#among.add(this);
    return undefined;
  }

  /** Sends what the receiver takes; so many bytes at most where it is not known how much that is. */
  advance(mostBytes = Number.POSITIVE_INFINITY): void {
    let sentBytes = 0;
    let sent = 0;
    for (const piece of this.#pieces) {
      if (sentBytes >= mostBytes || this.#wire.isFull?.(this.to) === true) break;
      sent += 1;
      sentBytes += piece.length;
      this.#bytes -= piece.length;
      this.#memory.give(piece.length + limits.heldPieceBytes);
      this.#wire.send(this.to, piece);
    }
    // At once: to shift a long list costs as much as the list is long.
    this.#pieces.splice(0, sent);
    this.#stall.took(sentBytes);
    if (!this.isEmpty) return;
    this.#among.delete(this);
    this.#stall.reset();
    const { onTaken } = this;
    this.onTaken = undefined;
    onTaken?.();
  }

  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#memory.stalledBytes = this.#stall.stalledBytes(nowMs, this.#bytes);
  }

  /** What waits is never sent. */
  drop(): void {
    this.#memory.giveAll();
    this.#pieces.length = 0;
    this.#bytes = 0;
  }
}

export interface ReleaseOptions {
  readonly wire: Wire;
  /** Those of the flow that wait. */
  readonly among: Set<ReleasedBytes>;
  /** Whose share of the memory it is. */
  readonly shareKey: string;
  /** Ends the flow, since others need the memory of what a side does not take. */
  readonly hoards: (side: Side, detail: string) => void;
}
