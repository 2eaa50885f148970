import { ArchiveBudget, ArchiveContent, type ArchiveSink } from '../codec/archive.ts';
import { limits } from '../core/limits.ts';
import type { ArchiveFacts } from '../core/record.ts';
import type { FactSink } from './observe-file.ts';

/** Time that this thread has worked: what others take of a busy machine makes no archive incomplete. */
function workedMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/** Looks into one file as into an archive while its bytes pass, if it is one. */
export class ArchiveObserver {
  readonly #content: ArchiveContent;
  readonly #members: string[] = [];
  readonly #troubles: string[] = [];
  #count = 0;

  /** `isScanned`: a zip archive is looked for in files of every type. */
  constructor(isScanned: boolean, tell: FactSink | undefined) {
    const sink: ArchiveSink = {
      names: (names) => {
        this.#count += names.length;
        if (this.#members.length < limits.recordMembers) this.#members.push(...names);
        tell?.('member', names);
      },
      type: (type) => tell?.('member.type', [type]),
      trouble: (trouble) => {
        this.#troubles.push(trouble);
        tell?.('archive', [trouble]);
      },
    };
    this.#content = new ArchiveContent(new ArchiveBudget(sink, workedMs), 0, isScanned);
  }

  push(bytes: Buffer): void {
    if (this.#content.isWanted) this.#content.push(bytes);
  }

  /** Returns what there is to record; `isWhole` is false when the file was cut. */
  end(isWhole: boolean): ArchiveFacts | undefined {
    if (isWhole) this.#content.end();
    else this.#content.close();
    if (this.#count === 0 && this.#troubles.length === 0) return undefined;
    return { members: this.#members.slice(0, limits.recordMembers), count: this.#count, troubles: this.#troubles };
  }
}
