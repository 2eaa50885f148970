import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, stat, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { limits } from '../../core/limits.ts';

/** An answer as it was fetched. It is verified anew whenever it is read: the directory is not trusted. */
export interface StoredAnswer {
  readonly bytes: Buffer;
  readonly fetchedMs: number;
}

/** Answers on disk, one file each, so that a restart asks nobody again. A disk that fails costs only that. */
export class AnswerFiles {
  readonly #directory: string;
  #written = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async read(key: string): Promise<StoredAnswer | undefined> {
    const handle = await open(this.#pathOf(key)).catch(() => undefined);
    if (handle === undefined) return undefined;
    try {
      const { size, mtimeMs } = await handle.stat();
      if (size > limits.crlBytes) return undefined;
      return { bytes: await handle.readFile(), fetchedMs: mtimeMs };
    } catch {
      return undefined;
    } finally {
      await handle.close();
    }
  }

  async write(key: string, bytes: Buffer, fetchedMs: number): Promise<void> {
    const path = this.#pathOf(key);
    const temporary = join(this.#directory, `.tmp-${randomBytes(8).toString('hex')}`);
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      const handle = await open(temporary, 'wx', 0o600);
      try {
        await handle.writeFile(bytes);
      } finally {
        await handle.close();
      }
      await utimes(temporary, fetchedMs / 1_000, fetchedMs / 1_000);
      await rename(temporary, path);
      this.#written += 1;
      if (this.#written % 64 === 1) await this.#prune();
    } catch {
      await unlink(temporary).catch(() => {});
    }
  }

  /** The oldest go when there are too many or too large ones. */
  async #prune(): Promise<void> {
    const names = (await readdir(this.#directory)).filter((name) => /^[0-9a-f]{64}$|^\.tmp-/.test(name));
    const files = await Promise.all(
      names.map(async (name) => {
        const path = join(this.#directory, name);
        const found = await stat(path).catch(() => undefined);
        return { path, bytes: found?.size ?? 0, time: found?.mtimeMs ?? 0 };
      }),
    );
    let bytes = 0;
    let count = 0;
    for (const file of files.sort((a, b) => b.time - a.time)) {
      bytes += file.bytes;
      count += 1;
      if (bytes > limits.revocationDiskBytes || count > limits.revocationFiles) await unlink(file.path).catch(() => {});
    }
  }

  #pathOf(key: string): string {
    return join(this.#directory, createHash('sha256').update(key).digest('hex'));
  }
}
