import { type FailureCode, FlowFailure } from '../../core/failures.ts';
import { limits } from '../../core/limits.ts';
import type { OpenSpoolFile, SpoolFile, SpoolListener } from '../../core/spool.ts';
import type { HoldShare } from './smtp-hold.ts';

interface Piece {
  readonly bytes: Buffer;
  /** Bytes of it that are content: without transparency dots and the end of the mail. */
  readonly contentBytes: number;
}

/** How much of a mail may wait, and where. */
export interface HoldLimits {
  readonly budget: HoldShare;
  /** In memory. */
  readonly holdBytes: number;
  /** On disk besides; undefined without a spool. */
  readonly spool: { readonly open: OpenSpoolFile; readonly mailBytes: number } | undefined;
}

/**
 * Bytes of one mail that were not passed on yet, in order: the newest in memory, where they may still change, and before
 * them what waits on disk.
 */
export class HeldMail {
  readonly #limits: HoldLimits;
  readonly #told: SpoolListener;
  readonly #pieces: Piece[] = [];
  /** So many of them have been shifted out: a long list is not moved up for each. */
  #shifted = 0;
  #memoryBytes = 0;
  #contentBytes = 0;
  #hasBudget = true;
  #spooledBytes = 0;
  #file: SpoolFile | undefined;

  constructor(holdLimits: HoldLimits, told: SpoolListener) {
    this.#limits = holdLimits;
    this.#told = told;
  }

  push(bytes: Buffer, contentBytes: number): void {
    const piece = { bytes, contentBytes };
    this.#pieces.push(piece);
    this.#hasBudget = this.#count(piece);
  }

  /** Whether more may wait; what is too much for memory goes to the disk, all but the newest `keepBytes` of content. */
  mayWait(keepBytes: number): boolean {
    const { holdBytes, spool } = this.#limits;
    const fits = this.#file === undefined && this.#memoryBytes <= holdBytes && this.#hasBudget;
    if (fits) return true;
    if (spool === undefined || this.#memoryBytes + this.#spooledBytes > spool.mailBytes) return false;
    this.#file ??= spool.open(this.#told);
    for (let first = this.#shift(keepBytes); first !== undefined; first = this.#shift(keepBytes)) {
      if (!this.#file.append(first.bytes)) {
        this.#unshift(first);
        this.#settle();
        return false;
      }
      this.#spooledBytes += first.bytes.length;
    }
    this.#settle();
    return true;
  }

  /** Whether something has to be read from disk before the rest. */
  get isOnDisk(): boolean {
    return this.#file?.isEmpty === false;
  }

  /** Bytes on their way to the disk. */
  get pendingBytes(): number {
    return this.#file?.pendingBytes ?? 0;
  }

  /** The next bytes from disk. */
  read(): Promise<Buffer> {
    return this.#file?.read() ?? Promise.reject(new FlowFailure('GATEWAY_INTERNAL' satisfies FailureCode, 'no spool'));
  }

  /** What may be passed on: all in memory but the newest `keepBytes` of content. */
  take(keepBytes: number): Buffer[] {
    const taken: Buffer[] = [];
    for (let first = this.#shift(keepBytes); first !== undefined; first = this.#shift(keepBytes))
      taken.push(first.bytes);
    this.#settle();
    return taken;
  }

  /** Gives memory and disk back. */
  drop(): void {
    this.take(0);
    this.#file?.discard();
    this.#file = undefined;
  }

  #shift(keepBytes: number): Piece | undefined {
    const first = this.#pieces[this.#shifted];
    if (first === undefined || (keepBytes > 0 && this.#contentBytes - first.contentBytes < keepBytes)) return undefined;
    this.#shifted += 1;
    this.#memoryBytes -= first.bytes.length;
    this.#contentBytes -= first.contentBytes;
    this.#limits.budget.give(first.bytes.length + limits.heldPieceBytes);
    return first;
  }

  /** Takes back what was shifted out last. */
  #unshift(piece: Piece): void {
    this.#shifted -= 1;
    this.#count(piece);
  }

  /** Lets go of what was shifted out. */
  #settle(): void {
    this.#pieces.splice(0, this.#shifted);
    this.#shifted = 0;
  }

  /** False when there should be no more. */
  #count({ bytes, contentBytes }: Piece): boolean {
    this.#memoryBytes += bytes.length;
    this.#contentBytes += contentBytes;
    return this.#limits.budget.take(bytes.length + limits.heldPieceBytes);
  }
}

/** How much room is left before the sender should pause. */
export function isStalled(mail: HeldMail): boolean {
  return mail.pendingBytes > limits.spoolPendingBytes;
}
