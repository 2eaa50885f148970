import { limits } from '../core/limits.ts';
import { fileHeadBytes, fileTypeOf, prepareFileTypes } from './file-type.ts';
import { GzipMember } from './gzip-member.ts';
import { isTarHead, TarReader } from './tar-reader.ts';
import { ZipScanner } from './zip-scanner.ts';

/** Why not all of an archive could be looked at. */
export type ArchiveTrouble = 'encrypted' | 'incomplete';

/** Told of what an archive holds, on every level of archives within archives. Text is one character per byte. */
export interface ArchiveSink {
  /** Every name that a reader may give a member. */
  names(names: readonly string[]): void;
  /** Media type that the first bytes of a member tell. */
  type(type: string): void;
  trouble(trouble: ArchiveTrouble): void;
}

/** Reads one archive as its bytes pass, and never throws. Views that it is given do not outlive the call. */
export interface ArchiveReader {
  push(bytes: Buffer): void;
  end(): void;
  /** Gives native memory back; must be called if `end` is not. */
  close(): void;
}

/**
 * What one file may cost, archives within it and all: bytes that are made are at most so many times those that came, and
 * time has a bound at once and grows with the bytes that came.
 */
export class ArchiveBudget {
  readonly #sink: ArchiveSink;
  readonly #now: () => number;
  readonly #told = new Set<string>();
  #readBytes = 0;
  #madeBytes = 0;
  #troubles = new Set<ArchiveTrouble>();
  /** Time that is left, counted only while bytes are looked into. */
  #leftMs: number = limits.archiveBurstMs;
  #resumedMs = 0;
  #isSpent = false;

  /** `now` tells the time in milliseconds, of work or of the clock. */
  constructor(sink: ArchiveSink, now: () => number) {
    this.#sink = sink;
    this.#now = now;
  }

  /** A chunk of the file is taken up. */
  resume(bytes: number): void {
    this.#readBytes += bytes;
    const earnedMs = (bytes / 1_048_576) * limits.archiveMsPerMebibyte;
    this.#leftMs = Math.min(limits.archiveBurstMs, this.#leftMs + earnedMs);
    this.#resumedMs = this.#now();
  }

  pause(): void {
    this.#leftMs -= this.#now() - this.#resumedMs;
  }

  /** What this file is not to blame for. */
  uncounted(work: () => void): void {
    this.pause();
    work();
    this.resume(0);
  }

  /** The time is over: nothing more is to be looked into. */
  get isSpent(): boolean {
    if (this.#isSpent || this.#now() - this.#resumedMs <= this.#leftMs) return this.#isSpent;
    this.#isSpent = true;
    this.trouble('incomplete');
    return true;
  }

  /** Accounts for bytes that were made; false when it is too much. */
  make(bytes: number): boolean {
    this.#madeBytes += bytes;
    const made = this.#madeBytes;
    const isTooMuch =
      made > limits.archiveMadeBytes ||
      (made > limits.archiveRatioFromBytes && made > limits.archiveRatio * this.#readBytes);
    if (isTooMuch) this.trouble('incomplete');
    return !isTooMuch && !this.isSpent;
  }

  /** Tells names of one member, once each; those that are too long by their end. */
  names(names: readonly string[]): void {
    const fresh: string[] = [];
    for (const whole of names) {
      const name = whole.slice(-limits.archiveNameBytes);
      if (name === '' || this.#told.has(name)) continue;
      if (name.length < whole.length) this.trouble('incomplete');
      if (this.#told.size >= limits.archiveMembers) {
        this.trouble('incomplete');
        break;
      }
      this.#told.add(name);
      fresh.push(name);
    }
    if (fresh.length > 0) this.#sink.names(fresh);
  }

  type(type: string): void {
    this.#sink.type(type);
  }

  trouble(trouble: ArchiveTrouble): void {
    if (this.#troubles.has(trouble)) return;
    this.#troubles.add(trouble);
    this.#sink.trouble(trouble);
  }
}

/**
 * The content of a member, or the whole of a file: its first bytes tell whether it is an archive that can be looked into.
 * `isWanted` is false once nothing more can be found in it.
 */
export class ArchiveContent implements ArchiveReader {
  readonly #budget: ArchiveBudget;
  readonly #depth: number;
  /** A file of any type may be one with a zip archive at its end. */
  readonly #isScanned: boolean;
  #head: Buffer | undefined = Buffer.alloc(0);
  #reader: ArchiveReader | undefined;
  /** Looks for a zip archive in a file that is another one. */
  #beside: ZipScanner | undefined;
  #zip: ZipScanner | undefined;

  constructor(budget: ArchiveBudget, depth = 0, isScanned = false) {
    this.#budget = budget;
    this.#depth = depth;
    this.#isScanned = isScanned;
  }

  get isWanted(): boolean {
    return this.#head !== undefined || this.#reader !== undefined;
  }

  /** It was a zip archive, and its reader met these headers of a directory. */
  accountsFor(headers: ReadonlySet<string>): boolean {
    return this.#zip?.accountsFor(headers) === true;
  }

  push(bytes: Buffer): void {
    if (this.#depth > 0) return this.#push(bytes);
    this.#budget.resume(bytes.length);
    this.#push(bytes);
    if (this.#reader !== undefined && this.#budget.isSpent) this.close();
    this.#budget.pause();
  }

  #push(bytes: Buffer): void {
    if (this.#head === undefined) return this.#pass(bytes);
    this.#head = Buffer.concat([this.#head, bytes]);
    if (this.#head.length >= fileHeadBytes) this.#decide(this.#head);
  }

  #pass(bytes: Buffer): void {
    this.#reader?.push(bytes);
    this.#beside?.push(bytes);
  }

  end(): void {
    if (this.#depth === 0) this.#budget.resume(0);
    if (this.#head !== undefined) this.#decide(this.#head);
    this.#reader?.end();
    this.#beside?.end();
    this.close();
  }

  close(): void {
    this.#reader?.close();
    this.#reader = undefined;
    this.#beside?.close();
    this.#beside = undefined;
  }

  #decide(head: Buffer): void {
    this.#head = undefined;
    if (this.#depth > 0) {
      const type = fileTypeOf(head);
      if (type !== undefined) this.#budget.type(type);
    }
    this.#reader = this.#readerOf(head);
    if (this.#depth === 0 && kindOf(head) !== undefined) this.#budget.uncounted(prepareFileTypes);
    this.#pass(head);
  }

  #readerOf(head: Buffer): ArchiveReader | undefined {
    const kind = kindOf(head) ?? (this.#isScanned ? 'zip' : undefined);
    if (kind === undefined) return undefined;
    if (this.#depth >= limits.archiveDepth) {
      this.#budget.trouble('incomplete');
      return undefined;
    }
    const inside = (): ArchiveContent => new ArchiveContent(this.#budget, this.#depth + 1);
    const scanner = (): ZipScanner => new ZipScanner(this.#budget, this.#depth, inside);
    if (kind === 'zip') {
      this.#zip = scanner();
      return this.#zip;
    }
    // Some readers go by the name of the file, or look for a zip archive at its end first.
    if (this.#isScanned) this.#beside = scanner();
    if (kind === 'tar' && packingOf(head) !== undefined) this.#budget.trouble('incomplete');
    return kind === 'tar' ? new TarReader(this.#budget, inside) : new GzipMember(this.#budget, this.#depth, inside);
  }
}

/** What is right for tar is no accident, whereas a name may begin like another format. */
function kindOf(head: Buffer): 'zip' | 'tar' | 'gzip' | undefined {
  return isTarHead(head) ? 'tar' : packingOf(head);
}

function packingOf(head: Buffer): 'zip' | 'gzip' | undefined {
  if (head[0] === 0x50 && head[1] === 0x4b && (head[2] === 3 || head[2] === 5 || head[2] === 7)) return 'zip';
  return head[0] === 0x1f && head[1] === 0x8b && head[2] === 8 ? 'gzip' : undefined;
}
