import { limits } from '../core/limits.ts';
import type { ArchiveBudget, ArchiveContent, ArchiveReader } from './archive.ts';
import { ArchiveInflater } from './archive-inflater.ts';
import { readZipHeader, type ZipHeader } from './zip-header.ts';

const signature = 'PK';
const firstOfSignature = 0x50;
const noBytes: Buffer = Buffer.alloc(0);
const stored = 0;
const deflated = 8;

/** The member whose data passes. */
interface Member {
  /** Undefined where nobody can look into it. */
  readonly content: ArchiveContent | undefined;
  readonly inflater: ArchiveInflater | undefined;
  /** Offset behind its data; undefined where only the end of deflate tells, or the next header. */
  readonly end: number | undefined;
  /** Headers stand in its data: harmless where that is an archive too. */
  hasHeaders: boolean;
}

/**
 * Looks for the headers of a zip archive wherever they stand: readers begin at the front or at the back, and a length that
 * lies leads some of them past a member. Every header tells its names, those within the data of another member too. A
 * member that the directory at the end names and that was not met at its place is told as trouble.
 */
export class ZipScanner implements ArchiveReader {
  readonly #budget: ArchiveBudget;
  readonly #depth: number;
  readonly #inside: () => ArchiveContent;
  /** The begin of a header, and the offset of its first byte. */
  #kept: Buffer = noBytes;
  #offset = 0;
  #member: Member | undefined;
  /** Offsets of the headers of members that were met. */
  readonly #met = new Set<number>();
  /** The first of them: offsets in the directory may count from it where a program stands in front. */
  #firstAt = 0;
  #hasDirectory = false;

  constructor(budget: ArchiveBudget, depth: number, inside: () => ArchiveContent) {
    this.#budget = budget;
    this.#depth = depth;
    this.#inside = inside;
  }

  push(chunk: Buffer): void {
    const bytes = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    let passed = 0;
    for (let found = bytes.indexOf(signature); found >= 0; ) {
      const header = readZipHeader(bytes.subarray(found));
      if (header === 'partial') return this.#keep(bytes, passed, found);
      if (header !== 'none') {
        this.#pass(bytes.subarray(passed, found), this.#offset + passed);
        const isData = this.#isWithin(this.#offset + found);
        // What stands in the data of another member is data too.
        passed = isData ? found : found + header.length;
        this.#header(header, this.#offset + found, isData);
      }
      found = bytes.indexOf(signature, Math.max(passed, found + 1));
    }
    const isOpen = bytes[bytes.length - 1] === firstOfSignature && bytes.length > passed;
    this.#keep(bytes, passed, isOpen ? bytes.length - 1 : bytes.length);
  }

  end(): void {
    this.#pass(this.#kept, this.#offset);
    // Its data goes on behind the end, or swallowed what follows it.
    const isCut = this.#member?.end !== undefined || (this.#met.size > 0 && !this.#hasDirectory);
    if (isCut) this.#budget.trouble('incomplete');
    this.#memberEnd();
  }

  close(): void {
    this.#member?.inflater?.close();
    this.#member?.content?.close();
    this.#member = undefined;
  }

  /** Passes data up to where a header may begin, and keeps the rest. */
  #keep(bytes: Buffer, from: number, to: number): void {
    this.#pass(bytes.subarray(from, to), this.#offset + from);
    this.#kept = to === bytes.length ? noBytes : Buffer.from(bytes.subarray(to));
    this.#offset += to;
  }

  #header(header: ZipHeader, at: number, isData: boolean): void {
    this.#budget.names(header.names);
    if (header.isTooLong) this.#budget.trouble('incomplete');
    if (header.isEncrypted) this.#budget.trouble('encrypted');
    if (isData) {
      if (this.#member !== undefined) this.#member.hasHeaders = true;
      return;
    }
    this.#memberEnd();
    if (header.kind === 'member') return this.#begin(header, at);
    this.#hasDirectory = true;
    if (!this.#wasMet(header.memberAt)) this.#budget.trouble('incomplete');
  }

  #begin({ method, isEncrypted, compressedBytes, length }: ZipHeader, at: number): void {
    if (this.#met.size >= limits.archiveMembers) return this.#budget.trouble('incomplete');
    if (this.#met.size === 0) this.#firstAt = at;
    this.#met.add(at);
    const isReadable = !isEncrypted && (method === stored || method === deflated);
    if (!isReadable && !isEncrypted) this.#budget.trouble('incomplete');
    const content = isReadable ? this.#inside() : undefined;
    const inflater =
      content !== undefined && method === deflated
        ? new ArchiveInflater('raw-deflate', { budget: this.#budget, depth: this.#depth, content })
        : undefined;
    const end = compressedBytes === undefined ? undefined : at + length + compressedBytes;
    this.#member = { content, inflater, end, hasHeaders: false };
  }

  #wasMet(told: number | undefined): boolean {
    return told !== undefined && (this.#met.has(told) || this.#met.has(told + this.#firstAt));
  }

  /** Whether an offset is one of the data of the present member. */
  #isWithin(at: number): boolean {
    if (this.#member === undefined) return false;
    const { inflater, end } = this.#member;
    if (end !== undefined) return at < end;
    return inflater !== undefined && !inflater.isOver;
  }

  #pass(bytes: Buffer, at: number): void {
    if (this.#member === undefined || bytes.length === 0) return;
    const { content, inflater, end } = this.#member;
    const packed = end === undefined ? bytes : bytes.subarray(0, Math.max(0, end - at));
    if (inflater === undefined) {
      if (content?.isWanted === true) content.push(packed);
    } else if (end === undefined || content?.isWanted === true) {
      // Data that goes on behind the end of deflate is read by nobody, or by somebody else.
      if (inflater.push(packed) < packed.length && end !== undefined) this.#budget.trouble('incomplete');
    }
    if (end !== undefined && at + bytes.length >= end) this.#memberEnd();
  }

  #memberEnd(): void {
    const member = this.#member;
    if (member === undefined) return;
    if (member.content?.isWanted === true) member.inflater?.end();
    member.content?.end();
    // Whoever begins at the directory takes them for members, which nobody has looked into.
    if (member.hasHeaders && member.content?.isArchive !== true) this.#budget.trouble('incomplete');
    this.close();
  }
}
