import { limits } from '../core/limits.ts';
import type { ArchiveBudget, ArchiveContent, ArchiveReader } from './archive.ts';
import { readPaxRecords } from './pax-records.ts';

const blockBytes = 512;

/** Whether a block is the head of a member: its checksum is right (POSIX pax, ustar; old formats have no other mark). */
export function isTarHead(block: Buffer): boolean {
  if (block.length < blockBytes) return false;
  const told = Number.parseInt(textAt(block, 148, 8).trim(), 8);
  if (Number.isNaN(told)) return false;
  let sum = 0;
  let high = 0;
  for (let at = 0; at < blockBytes; at++) {
    const byte = at >= 148 && at < 156 ? 0x20 : (block[at] ?? 0);
    sum += byte;
    if (byte >= 0x80) high += 0x100;
  }
  // Some programs counted bytes with a sign, and readers take both.
  return told === sum || told === sum - high;
}

/** A tar archive: heads of 512 bytes, each followed by its content. */
export class TarReader implements ArchiveReader {
  readonly #budget: ArchiveBudget;
  readonly #inside: () => ArchiveContent;
  #block: Buffer = Buffer.alloc(0);
  /** Bytes of the present member that are still to come, and of the padding behind them. */
  #left = 0;
  #padding = 0;
  #content: ArchiveContent | undefined;
  /** Content that names the next member, as far as it may be kept. */
  #longName: { readonly kind: string; text: string } | undefined;
  /** Names that such content gave. */
  #names: string[] = [];
  /** Size of the next member that such content gave. */
  #paxSize: string | undefined;
  #isBroken = false;

  constructor(budget: ArchiveBudget, inside: () => ArchiveContent) {
    this.#budget = budget;
    this.#inside = inside;
  }

  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && !this.#isBroken && !this.#budget.isSpent) {
      if (this.#left > 0) at += this.#take(bytes.subarray(at, at + this.#left));
      else if (this.#padding > 0) {
        const skipped = Math.min(this.#padding, bytes.length - at);
        this.#padding -= skipped;
        at += skipped;
      } else {
        const part = bytes.subarray(at, at + blockBytes - this.#block.length);
        this.#block = Buffer.concat([this.#block, part]);
        at += part.length;
        if (this.#block.length === blockBytes) this.#head();
      }
    }
  }

  end(): void {
    if (this.#left > 0) this.#budget.trouble('incomplete');
    this.#memberEnd();
  }

  close(): void {
    this.#content?.close();
    this.#content = undefined;
  }

  #head(): void {
    const block = this.#block;
    this.#block = Buffer.alloc(0);
    // Zeros end an archive; another may follow.
    if (!block.some((byte) => byte !== 0)) return;
    if (!isTarHead(block)) return this.#broken();
    const kind = String.fromCharCode(block[156] ?? 0);
    const size = sizeOf(block);
    if (size === undefined) return this.#broken();
    this.#left = size;
    this.#padding = (blockBytes - (size % blockBytes)) % blockBytes;
    // Pax heads for one member, by Solaris, and for all that follow; a long name by GNU.
    if (/[xXgL]/.test(kind)) {
      this.#longName = { kind, text: '' };
      if (size === 0) this.#memberEnd();
      return;
    }
    // Target of a link: no name of a member.
    if (kind === 'K') return;
    const prefix = textAt(block, 257, 5) === 'ustar' ? textAt(block, 345, 155) : '';
    const name = textAt(block, 0, 100);
    this.#budget.names([...this.#names, prefix === '' ? name : `${prefix}/${name}`]);
    this.#names = [];
    const isPlain = /[0-7\0]/.test(kind) && !(kind === '\0' && name.endsWith('/') && size > 0);
    const isSizedTwice = this.#paxSize !== undefined && Number(this.#paxSize) !== size;
    this.#paxSize = undefined;
    // What follows is not the content for all readers, or not all of it.
    if (isSizedTwice || (!isPlain && kind !== '5')) this.#budget.trouble('incomplete');
    if (/[1-6]/.test(kind)) {
      // Readers differ in whether content follows the head of a link, a directory or a device that gives a size.
      if (size > 0) this.#budget.trouble('incomplete');
      this.#left = 0;
      this.#padding = 0;
    } else if (size > 0) this.#content = this.#inside();
  }

  #take(bytes: Buffer): number {
    if (this.#longName !== undefined) {
      const room = limits.archiveNameBytes - this.#longName.text.length;
      if (room > 0) this.#longName.text += bytes.toString('latin1', 0, room);
    } else if (this.#content?.isWanted === true) this.#content.push(bytes);
    this.#left -= bytes.length;
    if (this.#left === 0) this.#memberEnd();
    return bytes.length;
  }

  #memberEnd(): void {
    this.#content?.end();
    this.#content = undefined;
    const { kind, text } = this.#longName ?? { kind: 'L', text: '' };
    this.#longName = undefined;
    if (text.length >= limits.archiveNameBytes) this.#budget.trouble('incomplete');
    if (kind === 'L') this.#name(text.replace(/\0.*$/s, ''));
    else this.#pax(text, kind === 'g');
  }

  #pax(text: string, isForAll: boolean): void {
    const { names, size, isDoubtful } = readPaxRecords(text);
    for (const name of names) this.#name(name);
    this.#paxSize = size ?? this.#paxSize;
    // One name or size for all members is not followed any further than to the next.
    if (isDoubtful || (isForAll && (names.length > 0 || size !== undefined))) this.#budget.trouble('incomplete');
  }

  /** A name of the next member, which may never come. */
  #name(name: string): void {
    if (name === '' || this.#names.includes(name)) return;
    if (this.#names.length < limits.archiveNamesOfMember) this.#names.push(name);
    else this.#budget.trouble('incomplete');
  }

  #broken(): void {
    this.#isBroken = true;
    this.#left = 0;
    this.#budget.trouble('incomplete');
    this.close();
  }
}

/** Octal digits, or a binary number behind a first bit that is set (GNU). */
function sizeOf(block: Buffer): number | undefined {
  const first = block[124] ?? 0;
  if (first >= 0x80) {
    if (first !== 0x80) return undefined;
    const size = block.readUIntBE(130, 6);
    return block.subarray(125, 130).every((byte) => byte === 0) ? size : undefined;
  }
  const digits = textAt(block, 124, 12).trim();
  if (digits === '') return 0;
  return /^[0-7]{1,12}$/.test(digits) ? Number.parseInt(digits, 8) : undefined;
}

function textAt(block: Buffer, at: number, length: number): string {
  const text = block.toString('latin1', at, at + length);
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}
