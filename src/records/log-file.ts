import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  write,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { limits } from '../core/limits.ts';
import { strike } from '../core/simulation.ts';
import { isRotationDue, type RotationPolicy, removeOldFiles, rotatedName } from './rotation.ts';

export interface LogFileOptions extends RotationPolicy {
  readonly directory: string;
  /** First part of the file name: log and slot. */
  readonly name: string;
  readonly now: () => number;
  /** Told when a file cannot be rotated; the log goes on in the file that it is in. */
  readonly onProblem: (problem: string) => void;
}

/** Time after a failed rotation until the next attempt. */
const rotationRetryMs = 60_000;

/**
 * One log on disk: opened to append, repaired after a crash, rotated. Only one process writes it. Every method may
 * throw the error of the system call that failed; the next call then starts over by opening the file again.
 */
export class LogFile {
  readonly #options: LogFileOptions;
  #descriptor: number | undefined;
  #bytes = 0;
  #beganMs = 0;
  #rotateAfterMs = 0;
  #rotatedMs = 0;
  /** Bytes of a line that a crash had cut in the middle, removed when the file was opened. */
  tornBytes = 0;

  constructor(options: LogFileOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#descriptor !== undefined;
  }

  /** Opens the file if it is not open; makes it and its directory if need be. */
  open(): number {
    if (this.#descriptor !== undefined) return this.#descriptor;
    const { directory, name, now } = this.#options;
    mkdirSync(directory, { recursive: true, mode: 0o750 });
    // Reading is for the repair of the end.
    const descriptor = openSync(join(directory, `${name}.ndjson`), 'a+', 0o640);
    try {
      const stat = fstatSync(descriptor);
      this.#bytes = stat.isFile() ? this.#repair(descriptor, stat.size) : 0;
      this.#beganMs = this.#bytes === 0 ? now() : stat.birthtimeMs || stat.mtimeMs;
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    this.#descriptor = descriptor;
    return descriptor;
  }

  /** Starts a new file when this one is large or old enough. Only between two lines. */
  rotateIfDue(): void {
    const { directory, name, keep, onProblem } = this.#options;
    const nowMs = this.#options.now();
    if (this.#descriptor === undefined || this.#bytes === 0 || nowMs < this.#rotateAfterMs) return;
    if (!isRotationDue(this.#options, this.#bytes, nowMs - this.#beganMs)) return;
    try {
      // Later than the last one, so that names sort also when the older of them are removed.
      this.#rotatedMs = Math.max(nowMs, this.#rotatedMs + 1);
      renameSync(join(directory, `${name}.ndjson`), join(directory, rotatedName(directory, name, this.#rotatedMs)));
      this.close();
      if (keep > 0) removeOldFiles(directory, name, keep);
    } catch (error) {
      this.#rotateAfterMs = nowMs + rotationRetryMs;
      onProblem(`${name}.ndjson cannot be rotated: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.open();
  }

  /** Lets go of a file that somebody removed, which would take lines and keep none; the next call makes a new one. */
  closeIfRemoved(): void {
    if (this.#descriptor !== undefined && fstatSync(this.#descriptor).nlink === 0) this.close();
  }

  /** Hands bytes to the kernel without waiting for them here; resolves with how many it took. */
  write(bytes: Buffer): Promise<number> {
    const descriptor = this.open();
    return new Promise((resolve, reject) => {
      strike('records', 'ENOSPC');
      write(descriptor, bytes, 0, bytes.length, null, (error, written) => {
        if (error !== null) return reject(error);
        this.#bytes += written;
        resolve(written);
      });
    });
  }

  /** Writes whole lines before it returns, to the device when `durable`. On failure nothing of them stays in the file. */
  writeSync(bytes: Buffer, durable: boolean): void {
    const descriptor = this.open();
    let written = 0;
    try {
      strike('records', 'ENOSPC');
      while (written < bytes.length) written += writeSync(descriptor, bytes, written);
      if (durable) fdatasyncSync(descriptor);
    } catch (error) {
      this.#takeBack(descriptor);
      throw error;
    }
    this.#bytes += written;
  }

  /** Takes back the begin of a line whose rest will not follow. */
  removeTornLine(): void {
    if (this.#descriptor !== undefined) this.#bytes = this.#repair(this.#descriptor, fstatSync(this.#descriptor).size);
  }

  /** Closes the file; a later call opens it again. */
  close(): void {
    const descriptor = this.#descriptor;
    this.#descriptor = undefined;
    if (descriptor !== undefined) closeSync(descriptor);
  }

  #takeBack(descriptor: number): void {
    try {
      ftruncateSync(descriptor, this.#bytes);
    } catch {
      // Not a file that can be cut; the repair at the next opening does what can be done.
      this.close();
    }
  }

  /** Removes a torn last line, so that the next starts on a line of its own and every line parses. Returns the size then. */
  #repair(descriptor: number, size: number): number {
    const window = Buffer.alloc(Math.min(size, 2 * limits.recordLineBytes));
    readSync(descriptor, window, 0, window.length, size - window.length);
    const end = window.lastIndexOf(0x0a) + 1;
    if (end === window.length) return size;
    if (end === 0 && window.length < size) {
      // No log of ours has such a line: what is not ours is left alone.
      writeSync(descriptor, '\n');
      return size + 1;
    }
    this.tornBytes += window.length - end;
    ftruncateSync(descriptor, size - window.length + end);
    return size - window.length + end;
  }
}
