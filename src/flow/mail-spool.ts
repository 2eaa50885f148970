import { mkdirSync } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { SpoolPolicy } from '../core/policy.ts';
import type { OpenSpoolFile, SpoolFile, SpoolListener } from '../core/spool.ts';
import { newUlid } from '../records/ulid.ts';
import { HeldBudget, type HeldMost, mostOf } from './relay/held-budget.ts';

/** Bytes of all mails of this process that wait on disk. */
const budget = new HeldBudget();

/** Mails of one client on disk, as policy says where. */
export function spoolIn(policy: SpoolPolicy, shareKey: string): OpenSpoolFile {
  return (told) => new MailFile(policy, shareKey, told);
}

/**
 * A file that only this process can read: it loses its name as soon as it is open, so that the system removes it with the
 * process, however that ends.
 */
class MailFile implements SpoolFile {
  readonly #policy: SpoolPolicy;
  readonly #address: string;
  readonly #most: HeldMost;
  readonly #told: SpoolListener;
  #opening: Promise<FileHandle> | undefined;
  #queue: Buffer[] = [];
  #pendingBytes = 0;
  #size = 0;
  #readBytes = 0;
  #running: Promise<void> | undefined;
  #failure: FlowFailure | undefined;
  #isDiscarded = false;

  constructor(policy: SpoolPolicy, address: string, told: SpoolListener) {
    this.#policy = policy;
    this.#address = address;
    this.#most = mostOf(policy.totalBytes);
    this.#told = told;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get isEmpty(): boolean {
    return this.#readBytes === this.#size;
  }

  append(bytes: Buffer): boolean {
    if (budget.shortage(this.#address, bytes.length, this.#most) !== undefined) return false;
    budget.take(this.#address, bytes.length);
    this.#size += bytes.length;
    this.#pendingBytes += bytes.length + limits.heldPieceBytes;
    this.#queue.push(bytes);
    this.#running ??= this.#run();
    return true;
  }

  async read(): Promise<Buffer> {
    await this.#running;
    if (this.#failure !== undefined) throw this.#failure;
    const bytes = Buffer.allocUnsafe(Math.min(limits.spoolReadBytes, this.#size - this.#readBytes));
    try {
      await this.#fill(bytes);
    } catch (error) {
      throw unwritable(error);
    }
    this.#readBytes += bytes.length;
    return bytes;
  }

  discard(): void {
    if (this.#isDiscarded) return;
    this.#isDiscarded = true;
    budget.give(this.#address, this.#size);
    this.#queue = [];
    this.#pendingBytes = 0;
    void this.#close();
  }

  async #close(): Promise<void> {
    await this.#running;
    const file = await this.#opening?.catch(() => undefined);
    // What was not written is of no use to anybody any more.
    await file?.close().catch(() => {});
  }

  /** Writes what waits, in order. Never rejects. */
  async #run(): Promise<void> {
    try {
      this.#opening ??= openNameless(this.#policy.directory);
      const file = await this.#opening;
      while (this.#queue.length > 0) {
        const pieces = this.#queue;
        this.#queue = [];
        const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
        const { bytesWritten } = await file.writev(pieces);
        if (bytesWritten < bytes) throw Object.assign(new Error('not all was written'), { code: 'ENOSPC' });
        if (this.#isDiscarded) break;
        this.#pendingBytes -= bytes + pieces.length * limits.heldPieceBytes;
        this.#told(undefined);
      }
    } catch (error) {
      this.#failure = unwritable(error);
      if (!this.#isDiscarded) this.#told(this.#failure);
    }
    this.#running = undefined;
  }

  async #fill(bytes: Buffer): Promise<void> {
    const file = await this.#opening;
    if (file === undefined) throw new Error('nothing was written');
    for (let at = 0; at < bytes.length; ) {
      const { bytesRead } = await file.read(bytes, at, bytes.length - at, this.#readBytes + at);
      if (bytesRead === 0) throw Object.assign(new Error('the file is shorter than what was written'), { code: 'EIO' });
      at += bytesRead;
    }
  }
}

async function openNameless(directory: string): Promise<FileHandle> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, `mail-${newUlid()}`);
  const file = await open(path, 'wx+', 0o600);
  try {
    await unlink(path);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

function unwritable(error: unknown): FlowFailure {
  const { code = 'unknown' } = error as NodeJS.ErrnoException;
  return new FlowFailure('GATEWAY_SPOOL_UNWRITABLE', code);
}
