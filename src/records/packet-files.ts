import { closeSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { limits } from '../core/limits.ts';
import type { PacketFilesPolicy } from '../core/policy.ts';

export interface PacketFilesOptions {
  readonly policy: PacketFilesPolicy;
  /** Part of the file names: no two processes may write with the same. */
  readonly slot: number;
  /** What every file begins with. */
  readonly header: Buffer;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly onProblem: (problem: string) => void;
  /** Told how many bytes were left out because the disk did not take them. */
  readonly onDrop: (bytes: number) => void;
}

/**
 * Packets of decrypted traffic in rotating files that only the owner may read. Written in order off the event loop, out
 * of a bounded queue; what the disk does not take in time is left out and counted: traffic never waits for it.
 */
export class PacketFiles {
  readonly #options: PacketFilesOptions;
  #file: FileHandle | undefined;
  #fileBytes = 0;
  #openedMs = 0;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #running: Promise<void> | undefined;
  #isBroken = false;

  constructor(options: PacketFilesOptions) {
    this.#options = options;
    checkDirectory(options.policy.directory, options.slot);
  }

  /** Takes blocks that belong together: all or none of them are written. */
  add(blocks: readonly Buffer[]): void {
    const bytes = blocks.reduce((sum, { length }) => sum + length, 0);
    if (this.#queuedBytes + bytes > limits.exportQueueBytes) {
      this.#options.onDrop(bytes);
      return;
    }
    for (const block of blocks) this.#queue.push(block);
    this.#queuedBytes += bytes;
    this.#running ??= this.#run();
  }

  /** Writes what waits and closes the file. */
  async close(): Promise<void> {
    await this.#running;
    await this.#closeFile();
  }

  async #run(): Promise<void> {
    // One turn later, so that the packets of a turn leave in one write.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#queue.length > 0) {
      const bytes = Buffer.concat(this.#queue);
      this.#queue = [];
      try {
        await this.#write(bytes);
        this.#isBroken = false;
      } catch (error) {
        this.#options.onDrop(bytes.length);
        await this.#failed(error);
      }
      this.#queuedBytes -= bytes.length;
    }
    this.#running = undefined;
  }

  async #write(bytes: Buffer): Promise<void> {
    const { rotateBytes, rotateSeconds } = this.#options.policy;
    const ageMs = this.#options.now() - this.#openedMs;
    if (this.#fileBytes >= rotateBytes || ageMs >= rotateSeconds * 1_000) await this.#closeFile();
    this.#file ??= await this.#openNext();
    await this.#file.writeFile(bytes);
    this.#fileBytes += bytes.length;
  }

  async #openNext(): Promise<FileHandle> {
    const { policy, slot, header, now } = this.#options;
    this.#openedMs = now();
    const stamp = new Date(this.#openedMs).toISOString().replace(/[-:.]/g, '');
    this.#removeOld();
    // Never a file that is there already: it might be somebody else's, or a link.
    const file = await open(join(policy.directory, `decrypted-${slot}.${stamp}.pcapng`), 'wx', 0o600);
    await file.writeFile(header);
    this.#fileBytes = header.length;
    return file;
  }

  /** Keeps as many files as policy says, the one that is opened next included. */
  #removeOld(): void {
    const { policy, slot } = this.#options;
    if (policy.keep === 0) return;
    const own = new RegExp(`^decrypted-${slot}\\.\\d{8}T\\d{9}Z\\.pcapng$`);
    const files = readdirSync(policy.directory)
      .filter((name) => own.test(name))
      .sort();
    for (const name of files.slice(0, Math.max(0, files.length - policy.keep + 1))) {
      rmSync(join(policy.directory, name), { force: true });
    }
  }

  async #failed(error: unknown): Promise<void> {
    await this.#closeFile().catch(() => {});
    if (!this.#isBroken) this.#options.onProblem(`decrypted traffic cannot be written: ${String(error)}`);
    this.#isBroken = true;
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#fileBytes = 0;
    await file?.close();
  }
}

/** A directory that cannot be made or written is a mistake that is better seen at the start. */
function checkDirectory(directory: string, slot: number): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const probe = join(directory, `.probe-${slot}`);
  rmSync(probe, { force: true });
  closeSync(openSync(probe, 'wx', 0o600));
  rmSync(probe);
}
