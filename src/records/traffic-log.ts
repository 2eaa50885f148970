import { limits } from '../core/limits.ts';
import type { LinePiece } from './line-piece.ts';
import { LineQueue } from './line-queue.ts';
import type { LogFile } from './log-file.ts';
import type { Stamp } from './metadata.ts';
import type { Loss, Trouble } from './trouble.ts';

export interface LogOptions {
  readonly file: LogFile;
  readonly trouble: Trouble;
  readonly now: () => number;
  /** The line that tells of lost lines. */
  readonly lossLine: (loss: Loss, stamp: Stamp) => string;
}

/** What a line is made of, later. */
export interface PendingLine {
  make(stamp: Stamp): readonly LinePiece[];
}

/**
 * Lines that may wait: kept in memory, written in batches off the event loop, in order, one write under way at a time. One
 * that comes alone is written at the end of the turn; under load a write follows the other in some time, or by a full batch.
 */
export class TrafficLog {
  readonly #options: LogOptions;
  readonly #queue = new LineQueue(limits.recordQueueBytes);
  readonly #pending: PendingLine[] = [];
  #sequence = 0;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #wroteMs = Number.NEGATIVE_INFINITY;
  #running: Promise<void> | undefined;
  /** All that waits is to be written now, however little it is. */
  #isDraining = false;
  bytesWritten = 0;

  constructor(options: LogOptions) {
    this.#options = options;
  }

  get linesWritten(): number {
    return this.#queue.linesWritten;
  }

  /** Number and time for the next line; a number that is used for no line shows as a gap. */
  #stamp(): Stamp {
    const sequence = this.#sequence;
    this.#sequence += 1;
    return { sequence, loggedMs: this.#options.now() };
  }

  /** Opens the file; a failure is told and tried again. */
  start(): void {
    try {
      this.#open();
      this.#tellLoss();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Takes a line, behind those that are pending. */
  add(make: (stamp: Stamp) => string): void {
    this.#makePending();
    this.#take([make(this.#stamp())]);
    this.#runWhenDue();
  }

  /** Takes a line that is made when a batch of them is, or is due to be written. */
  addPending(line: PendingLine): void {
    if (this.#pending.push(line) < limits.recordPendingTransactions) this.#runSoon();
    else {
      this.#makePending();
      this.#runWhenDue();
    }
  }

  #makePending(): void {
    if (this.#pending.length === 0) return;
    for (const line of this.#pending.splice(0)) {
      try {
        this.#take(line.make(this.#stamp()));
      } catch (error) {
        // Its flow is over, and no other may suffer: it shows as a gap and is counted as lost.
        this.#options.trouble.lose(
          `a line could not be made: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
    }
  }

  #take(pieces: readonly LinePiece[]): void {
    if (!this.#queue.addPieces(pieces)) this.#options.trouble.lose('records come faster than the disk takes them');
  }

  #runWhenDue(): void {
    if (this.#running !== undefined || this.#options.trouble.isPresent) return;
    if (this.#queue.bytes >= limits.recordBatchBytes) this.#run();
    else this.#runSoon();
  }

  /** Writes all that waits, if the disk takes it; resolves with whether it did. */
  async flush(): Promise<boolean> {
    this.#isDraining = true;
    this.#makePending();
    await this.#running;
    if (this.#queue.bytes > 0 || this.#pending.length > 0) await this.#run();
    this.#isDraining = false;
    return this.#queue.bytes === 0 && this.#pending.length === 0;
  }

  /** Writes all that waits and closes the file; resolves with the number of lines that could not be written. */
  async close(): Promise<number> {
    await this.flush();
    this.#stopTimer();
    const { file } = this.#options;
    try {
      if (this.#queue.isHeadBegun) file.removeTornLine();
    } catch {
      // A device, or a disk that failed: the next start repairs what can be.
    }
    file.close();
    return this.#queue.lines;
  }

  /** Looks after the file when nothing is written to it. */
  idle(): void {
    if (this.#running !== undefined || this.#queue.bytes > 0) return;
    try {
      this.#options.file.closeIfRemoved();
      this.#options.file.rotateIfDue();
    } catch (error) {
      this.#failed(error);
    }
  }

  #run(): Promise<void> {
    this.#stopTimer();
    this.#wroteMs = this.#options.now();
    this.#makePending();
    this.#running ??= this.#writeAll().finally(() => {
      this.#running = undefined;
      if (this.#queue.bytes > 0 || this.#pending.length > 0) this.#runSoon();
    });
    return this.#running;
  }

  #runSoon(): void {
    if (this.#running !== undefined || this.#options.trouble.isPresent) return;
    if (this.#timer !== undefined || this.#immediate !== undefined) return;
    const leftMs = this.#wroteMs + limits.recordFlushMs - this.#options.now();
    // A clock that was set back must not hold lines up.
    if (leftMs > 0) this.#timer = setTimeout(() => this.#run(), Math.min(leftMs, limits.recordFlushMs));
    else this.#immediate = setImmediate(() => this.#run());
  }

  async #writeAll(): Promise<void> {
    const { file, trouble } = this.#options;
    try {
      if (trouble.isPresent && this.#queue.bytes === 0) {
        // Opening had failed, and nothing came since: that it opens now is all there is to try.
        this.#open();
        this.#recover();
      }
      while (this.#queue.bytes > 0) {
        this.#open();
        if (!this.#queue.isHeadBegun) file.rotateIfDue();
        const bytes = this.#queue.take();
        if (bytes === undefined) return;
        const written = await file.write(bytes);
        this.#queue.wrote(written);
        this.bytesWritten += written;
        if (trouble.isPresent || trouble.loss !== undefined) this.#recover();
        // What came meanwhile is the begin of the next batch: a write costs two switches of threads, however short it is.
        if (!this.#isDraining && this.#queue.bytes < limits.recordBatchBytes) return;
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  #open(): void {
    const { file, trouble } = this.#options;
    if (file.isOpen) return;
    file.open();
    // The begin of a line that was cut short was removed from the file just now, or is in another file.
    if (this.#queue.skipBegunLine()) trouble.lose('a line was cut short');
    else if (file.tornBytes > 0) trouble.lose('the last line of the file was cut short by a crash');
    file.tornBytes = 0;
  }

  #recover(): void {
    this.#options.trouble.succeeded();
    this.#tellLoss();
  }

  /** Waits until half of the queue is free, so that one line tells of many. */
  #tellLoss(): void {
    const { trouble, lossLine } = this.#options;
    const { loss } = trouble;
    if (loss === undefined || this.#queue.bytes > limits.recordQueueBytes / 2) return;
    trouble.take();
    this.#take([lossLine(loss, this.#stamp())]);
    this.#runWhenDue();
  }

  #failed(error: unknown): void {
    this.#stopTimer();
    // A full disk keeps what is open; after anything else the file may be another one.
    if (!isFullDisk(error)) this.#options.file.close();
    this.#options.trouble.failed(error);
    this.#timer = setTimeout(() => this.#run(), limits.recordRetryMs);
    this.#timer.unref();
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#timer = undefined;
    this.#immediate = undefined;
  }
}

/** No space, no quota, or the greatest size of a file. */
export function isFullDisk(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
}
