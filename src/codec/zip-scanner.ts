import { limits } from '../core/limits.ts';
import type { ArchiveBudget, ArchiveContent, ArchiveReader } from './archive.ts';
import { ArchiveInflater } from './archive-inflater.ts';
import { readZipHeader, type ZipHeader } from './zip-header.ts';

const memberSignature = Buffer.from('PK\x03\x04', 'latin1');
const directorySignature = Buffer.from('PK\x01\x02', 'latin1');
const noBytes: Buffer = Buffer.alloc(0);
/** The begin of a header in a directory, with sizes and sum of its member, tells it from others. */
const keyBytes = 46;
/** A block of deflate that is not packed has so many bytes in front, which may stand in the middle of a header. */
const blockHeadBytes = 5;
const stored = 0;
const deflated = 8;

/** The member whose data passes. */
interface Member {
  /** Undefined where nobody can look into it. */
  readonly content: ArchiveContent | undefined;
  readonly inflater: ArchiveInflater | undefined;
  /** Offset behind its data; undefined where only the end of deflate tells, or the next header. */
  readonly end: number | undefined;
  /** Headers stand in its data: harmless where that is a zip archive too. */
  hasHeaders: boolean;
  /** Those of a directory among them, in packed data with what a block may have put in. */
  readonly listed: Set<string>;
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
  /** Another archive begins with the next member: this one's directory came. */
  #isListed = false;
  /** Headers of directories that were met, wherever they stood. */
  readonly #listed = new Set<string>();

  constructor(budget: ArchiveBudget, depth: number, inside: () => ArchiveContent) {
    this.#budget = budget;
    this.#depth = depth;
    this.#inside = inside;
  }

  push(chunk: Buffer): void {
    this.#scan(this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]), false);
  }

  /** At the end a header that is not whole is none, and hides nothing behind it. */
  #scan(bytes: Buffer, isLast: boolean): void {
    let passed = 0;
    const search = new SignatureSearch(bytes);
    for (let found = search.from(0); found >= 0; ) {
      if (this.#budget.isSpent) return;
      const header = readZipHeader(bytes.subarray(found));
      if (header === 'partial' && !isLast) return this.#keep(bytes, passed, found);
      if (header !== 'partial' && header !== 'none') {
        this.#pass(bytes.subarray(passed, found), this.#offset + passed);
        passed = found;
        const isData = this.#isWithin(this.#offset + found);
        if (header.kind === 'directory') {
          const most = bytes.toString('latin1', found, found + keyBytes + blockHeadBytes);
          const isWhole = isLast || most.length === keyBytes + blockHeadBytes || !this.#isPacked(isData);
          if (!isWhole) return this.#keep(bytes, passed, found);
          this.#list(most, isData);
        }
        // What stands in the data of another member is data too.
        if (!isData) passed = found + header.length;
        this.#header(header, this.#offset + found, isData);
      }
      found = search.from(Math.max(passed, found + 1));
    }
    this.#keep(bytes, passed, bytes.length - (isLast ? 0 : openBytes(bytes.subarray(passed))));
  }

  accountsFor(headers: ReadonlySet<string>): boolean {
    return [...headers].every((header) => keysOf(header).some((key) => this.#listed.has(key)));
  }

  end(): void {
    this.#scan(this.#kept, true);
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

  #list(most: string, isData: boolean): void {
    const key = most.slice(0, keyBytes);
    if (this.#listed.size >= limits.archiveMembers) return this.#budget.trouble('incomplete');
    this.#listed.add(key);
    if (isData) this.#member?.listed.add(this.#isPacked(isData) ? most : key);
  }

  #isPacked(isData: boolean): boolean {
    return isData && this.#member?.inflater !== undefined;
  }

  #header(header: ZipHeader, at: number, isData: boolean): void {
    this.#budget.names(header.names);
    // What a block of deflate has cut says what it likes; what nobody has looked into is told at the end of the data.
    if (!this.#isPacked(isData)) {
      if (header.isTooLong) this.#budget.trouble('incomplete');
      if (header.isEncrypted) this.#budget.trouble('encrypted');
    }
    if (isData) {
      if (this.#member !== undefined) this.#member.hasHeaders = true;
      return;
    }
    this.#memberEnd();
    if (header.kind === 'member') return this.#begin(header, at);
    this.#hasDirectory = true;
    this.#isListed = true;
    if (!this.#wasMet(header.memberAt)) this.#budget.trouble('incomplete');
  }

  #begin({ method, isEncrypted, compressedBytes, length }: ZipHeader, at: number): void {
    if (this.#met.size >= limits.archiveMembers) return this.#budget.trouble('incomplete');
    if (this.#met.size === 0 || this.#isListed) this.#firstAt = at;
    this.#isListed = false;
    this.#met.add(at);
    const isReadable = !isEncrypted && (method === stored || method === deflated);
    if (!isReadable && !isEncrypted) this.#budget.trouble('incomplete');
    const content = isReadable ? this.#inside() : undefined;
    const inflater =
      content !== undefined && method === deflated
        ? new ArchiveInflater('raw-deflate', { budget: this.#budget, depth: this.#depth, content })
        : undefined;
    const end = compressedBytes === undefined ? undefined : at + length + compressedBytes;
    this.#member = { content, inflater, end, hasHeaders: false, listed: new Set() };
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
    if (member.hasHeaders && member.content?.accountsFor(member.listed) !== true) this.#budget.trouble('incomplete');
    this.close();
  }
}

/** What the header of a directory is without its block of deflate: that may cut it in two. */
function keysOf(header: string): readonly string[] {
  const keys = [header.slice(0, keyBytes)];
  if (header.length < keyBytes + blockHeadBytes) return keys;
  const bytes = Buffer.from(header, 'latin1');
  for (let at = 1; at < keyBytes; at++) {
    // The last one or another, behind one that was not packed either, its length and that inverted (RFC 1951 section 3.2.4).
    const isBlock = (bytes[at] ?? 2) < 2 && (bytes.readUInt16LE(at + 1) ^ bytes.readUInt16LE(at + 3)) === 0xffff;
    if (isBlock) keys.push(header.slice(0, at) + header.slice(at + blockHeadBytes));
  }
  return keys;
}

/** Goes through the signatures of both headers, and looks at no byte twice for the same one. */
class SignatureSearch {
  readonly #bytes: Buffer;
  #member: number;
  #directory: number;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#member = bytes.indexOf(memberSignature);
    this.#directory = bytes.indexOf(directorySignature);
  }

  /** The next one at that offset or behind it; -1 if there is none. */
  from(at: number): number {
    if (this.#member >= 0 && this.#member < at) this.#member = this.#bytes.indexOf(memberSignature, at);
    if (this.#directory >= 0 && this.#directory < at) this.#directory = this.#bytes.indexOf(directorySignature, at);
    if (this.#member < 0 || this.#directory < 0) return Math.max(this.#member, this.#directory);
    return Math.min(this.#member, this.#directory);
  }
}

/** How many bytes at the end may begin a signature. */
function openBytes(bytes: Buffer): number {
  for (let count = Math.min(3, bytes.length); count > 0; count--) {
    const end = bytes.subarray(bytes.length - count);
    const isOpen = [memberSignature, directorySignature].some((signature) => signature.subarray(0, count).equals(end));
    if (isOpen) return count;
  }
  return 0;
}
