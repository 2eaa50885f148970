import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import { LineQueue } from './line-queue.ts';
import type { Stamp } from './metadata.ts';
import { isFullDisk, type LogOptions } from './traffic-log.ts';

export interface AlarmLogOptions extends LogOptions {
  /** Flush to the device before an alarm counts as written. */
  readonly durable: boolean;
  /** Whether an alarm that cannot be written stops what it is about. */
  readonly stops: boolean;
}

/** Lines that must be on disk before anything else happens. Those that a full disk did not take wait in memory. */
export class AlarmLog {
  readonly #options: AlarmLogOptions;
  readonly #waiting = new LineQueue(limits.alarmQueueBytes);
  #sequence = 0;
  #timer: NodeJS.Timeout | undefined;
  linesWritten = 0;
  bytesWritten = 0;

  constructor(options: AlarmLogOptions) {
    this.#options = options;
  }

  /** Number and time for the next line. */
  stamp(): Stamp {
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

  /** Writes a line before it returns. Throws FlowFailure GATEWAY_RECORDS_UNWRITABLE when that failed and policy says to stop. */
  write(line: string): void {
    try {
      this.#writeWaiting();
      this.#writeNow(Buffer.from(`${line}\n`));
      this.linesWritten += 1;
    } catch (error) {
      this.#failed(error);
      if (this.#options.stops) {
        this.#options.trouble.lose('');
        throw new FlowFailure('GATEWAY_RECORDS_UNWRITABLE', 'an alarm could not be written');
      }
      if (!this.#waiting.add(line)) this.#options.trouble.lose('');
      return;
    }
    this.#recover();
  }

  /** Tries again to write what waits. */
  flush(): void {
    this.#stopTimer();
    if (!this.#options.trouble.isPresent) return;
    try {
      this.#writeWaiting();
      if (this.#options.trouble.loss === undefined) this.#open();
      else this.#tellLoss();
    } catch (error) {
      return this.#failed(error);
    }
    this.#recover();
  }

  /** Closes the file; returns the number of lines that could not be written. */
  close(): number {
    this.flush();
    this.#stopTimer();
    this.#options.file.close();
    return this.#waiting.lines;
  }

  /** Looks after the file when nothing is written to it. */
  idle(): void {
    try {
      this.#options.file.closeIfRemoved();
      this.#options.file.rotateIfDue();
    } catch (error) {
      this.#failed(error);
    }
  }

  #writeWaiting(): void {
    for (let bytes = this.#waiting.take(); bytes !== undefined; bytes = this.#waiting.take()) {
      this.#writeNow(bytes);
      const before = this.#waiting.linesWritten;
      this.#waiting.wrote(bytes.length);
      this.linesWritten += this.#waiting.linesWritten - before;
    }
  }

  #writeNow(bytes: Buffer): void {
    this.#open();
    this.#options.file.rotateIfDue();
    this.#options.file.writeSync(bytes, this.#options.durable);
    this.bytesWritten += bytes.length;
  }

  #open(): void {
    const { file, trouble } = this.#options;
    if (file.isOpen) return;
    file.open();
    if (file.tornBytes > 0) trouble.lose('the last line of the file was cut short by a crash');
    file.tornBytes = 0;
  }

  #recover(): void {
    this.#options.trouble.succeeded();
    try {
      this.#tellLoss();
    } catch (error) {
      this.#failed(error);
    }
  }

  #tellLoss(): void {
    const { trouble, lossLine } = this.#options;
    const { loss } = trouble;
    if (loss === undefined) return;
    this.#writeNow(Buffer.from(`${lossLine(loss, this.stamp())}\n`));
    this.linesWritten += 1;
    trouble.take();
  }

  #failed(error: unknown): void {
    this.#stopTimer();
    if (!isFullDisk(error)) this.#options.file.close();
    this.#options.trouble.failed(error);
    this.#timer = setTimeout(() => this.flush(), limits.recordRetryMs);
    this.#timer.unref();
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
