import { limits } from '../core/limits.ts';
import type { ArchiveBudget, ArchiveContent, ArchiveReader } from './archive.ts';
import { ArchiveInflater } from './archive-inflater.ts';

const hasExtra = 0x04;
const hasName = 0x08;

/** A gzip file (RFC 1952): one member, which most often is a tar archive. */
export class GzipMember implements ArchiveReader {
  readonly #content: ArchiveContent;
  readonly #budget: ArchiveBudget;
  readonly #inflater: ArchiveInflater;
  #isNamed = false;
  /** The stream is over, or was given up. */
  #hasEnded = false;

  constructor(budget: ArchiveBudget, depth: number, inside: () => ArchiveContent) {
    this.#budget = budget;
    this.#content = inside();
    this.#inflater = new ArchiveInflater('gzip', { budget, depth, content: this.#content });
  }

  push(bytes: Buffer): void {
    // The head is in the first bytes that told the format.
    if (!this.#isNamed) this.#name(bytes);
    this.#isNamed = true;
    if (this.#hasEnded) return this.#behind(bytes);
    if (!this.#content.isWanted) return this.#inflater.close();
    const taken = this.#inflater.push(bytes);
    this.#hasEnded = this.#inflater.isOver;
    if (this.#hasEnded) this.#behind(bytes.subarray(taken));
  }

  /** Zeros fill a block; anything else is for another reader. */
  #behind(bytes: Buffer): void {
    if (bytes.some((byte) => byte !== 0)) this.#budget.trouble('incomplete');
  }

  end(): void {
    if (this.#content.isWanted) this.#inflater.end();
    this.#content.end();
    this.close();
  }

  close(): void {
    this.#inflater.close();
    this.#content.close();
  }

  #name(head: Buffer): void {
    const flags = head[3] ?? 0;
    if ((flags & hasName) === 0) return;
    const from = 10 + ((flags & hasExtra) === 0 || head.length < 12 ? 0 : 2 + head.readUInt16LE(10));
    const end = head.indexOf(0, from);
    if (end > from && end - from <= limits.archiveNameBytes) this.#budget.names([head.toString('latin1', from, end)]);
    else if (end < 0) this.#budget.trouble('incomplete');
  }
}
