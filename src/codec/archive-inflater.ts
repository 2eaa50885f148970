import { limits } from '../core/limits.ts';
import type { ArchiveBudget, ArchiveContent } from './archive.ts';
import { type Compression, Inflater, inflateStepBytes, StepBuffer } from './inflater.ts';

/** Inflating is synchronous: one buffer per level of archives within archives serves all of a process. */
const buffers: StepBuffer[] = [];
/** Of all files of this process. */
let inflaters = 0;

/** Undoes deflate inside an archive for its content, as far as it is wanted and may be made. */
export class ArchiveInflater {
  readonly #budget: ArchiveBudget;
  readonly #content: ArchiveContent;
  readonly #inflater: Inflater | undefined;
  /** The stream came to its end, or cannot be followed any more. */
  isOver = false;

  constructor(kind: Extract<Compression['kind'], 'gzip' | 'raw-deflate'>, parts: ArchiveParts) {
    this.#budget = parts.budget;
    this.#content = parts.content;
    if (inflaters >= limits.archiveInflaters) {
      parts.budget.trouble('incomplete');
      this.isOver = true;
      return;
    }
    inflaters += 1;
    const buffer = buffers[parts.depth] ?? new StepBuffer();
    buffers[parts.depth] = buffer;
    this.#inflater = new Inflater({ kind }, buffer);
  }

  /** Returns how many bytes belong to the stream. */
  push(bytes: Buffer): number {
    let at = 0;
    while (!this.isOver && this.#inflater !== undefined) {
      const { consumed, output, fault } = this.#inflater.step(bytes, at);
      at += consumed;
      if (output.length > 0 && !this.#budget.make(output.length)) this.close();
      if (output.length > 0) this.#content.push(output);
      if (fault !== undefined) this.#fail();
      else if (output.length < inflateStepBytes) {
        if (at < bytes.length) this.close();
        return at;
      }
    }
    return at;
  }

  /** The end of what there is. */
  end(): void {
    if (this.isOver) return;
    if (this.#inflater?.isComplete() === false) return this.#fail();
    this.close();
  }

  close(): void {
    if (this.isOver) return;
    this.isOver = true;
    inflaters -= 1;
    this.#inflater?.close();
  }

  #fail(): void {
    this.#budget.trouble('incomplete');
    this.close();
  }
}

export interface ArchiveParts {
  readonly budget: ArchiveBudget;
  readonly depth: number;
  readonly content: ArchiveContent;
}
