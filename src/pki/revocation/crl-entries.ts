import { randomInt } from 'node:crypto';
import { DerError, DerReader, readBoolean, readOid, readSmallInteger, readTime } from '../der-reader.ts';
import { tags } from '../der-tags.ts';
import { oids } from '../oids.ts';

/** What a CRL says of one serial number. */
export interface CrlEntry {
  readonly sinceMs: number;
  /** Number of CRLReason. */
  readonly reason: number | undefined;
}

/** The revoked serial numbers of a CRL, ready to be asked: eight to sixteen bytes for each beside the CRL itself. */
export interface CrlIndex {
  readonly size: number;
  /** Why no status may be concluded: an entry has an extension that is critical and not understood. */
  readonly fault: string | undefined;
  find(serialOctets: Buffer): CrlEntry | undefined;
}

/** Entries that are read or placed between two pauses: about a millisecond of work, also before the code is compiled. */
const entriesPerStep = 4_096;
/** SEQUENCE of an INTEGER of one octet and a UTCTime. */
const smallestEntry = 20;
/** Looks into the table per entry, on average, beyond which somebody has chosen the serial numbers to collide. */
const probesPerEntry = 16;

/** No CA can prepare serial numbers that collide in a table whose order it does not know. */
const seed = randomInt(0x7fffffff);

/**
 * Reads the entries of a CRL in steps, so that the event loop can turn between them. Throws DerError when they are not
 * strict DER. Entries are walked over in place: a value of each would take a second for a CRL of 10 MB.
 */
export function* indexSteps(entries: Buffer): Generator<void, CrlIndex> {
  const starts = new Uint32Array(Math.floor(entries.length / smallestEntry));
  let size = 0;
  let fault: string | undefined;
  for (let at = 0; at < entries.length; ) {
    const end = endOf(entries, at, tags.sequence);
    const serial = at + headerLength(entries, at);
    const extensions = endOfTime(entries, endOf(entries, serial, tags.integer));
    if (extensions > end || entries[serial + 1] === 0) throw new DerError('CRL entry malformed');
    if (extensions < end && !isPlainReason(entries, extensions, end)) {
      fault ??= extensionFault(entries.subarray(extensions, end));
    }
    starts[size] = serial;
    size += 1;
    at = end;
    if (size % entriesPerStep === 0) yield;
  }
  const table = new Uint32Array(tableLength(size));
  let probes = size * probesPerEntry + 1_000;
  for (let index = 0; index < size; index += 1) {
    const start = starts[index] ?? 0;
    let slot = slotOf(serialAt(entries, start), table.length);
    // Zero is an empty slot: what is stored is one more than the offset.
    while (table[slot] !== 0) {
      slot = (slot + 1) & (table.length - 1);
      probes -= 1;
      if (probes < 0) throw new DerError('CRL with serial numbers that collide');
    }
    table[slot] = start + 1;
    if (index % entriesPerStep === 0) yield;
  }
  return { size, fault, find: (serialOctets) => find(entries, table, serialOctets) };
}

function find(entries: Buffer, table: Uint32Array, serialOctets: Buffer): CrlEntry | undefined {
  for (let slot = slotOf(serialOctets, table.length); ; slot = (slot + 1) & (table.length - 1)) {
    const start = table[slot] ?? 0;
    if (start === 0) return undefined;
    if (serialAt(entries, start - 1).equals(serialOctets)) return entryBehind(entries, start - 1);
  }
}

/** At most half full, so that a look ends soon. */
function tableLength(size: number): number {
  return 2 ** Math.ceil(Math.log2(size * 2 + 2));
}

/** FNV-1a with a secret start and a mixed end. */
function slotOf(octets: Buffer, length: number): number {
  let hash = seed;
  for (let index = 0; index < octets.length; index += 1) hash = Math.imul(hash ^ (octets[index] ?? 0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) & (length - 1);
}

function serialAt(entries: Buffer, at: number): Buffer {
  return entries.subarray(at + headerLength(entries, at), endOf(entries, at, tags.integer));
}

function entryBehind(entries: Buffer, serial: number): CrlEntry {
  const reader = new DerReader(entries.subarray(endOf(entries, serial, tags.integer)));
  const sinceMs = readTime(reader.read());
  // What follows may be the next entry, which is no list of extensions: its first member is no SEQUENCE.
  const extensions = reader.nextTag === tags.sequence ? reader.read().content : undefined;
  return { sinceMs, reason: extensions?.[0] === tags.sequence ? reasonIn(new DerReader(extensions)) : undefined };
}

function reasonIn(list: DerReader): number | undefined {
  while (!list.atEnd) {
    const extension = list.enter();
    const isReason = readOid(extension.read(tags.oid).content) === oids.crlReason;
    extension.optional(tags.boolean);
    const value = new DerReader(extension.read(tags.octetString).content);
    if (isReason) return readSmallInteger(value.read(0x0a).content);
  }
  return undefined;
}

/** reasonCode alone and not critical, which is what nearly every entry has. */
const plainReason = Buffer.from('300c300a0603551d1504030a01', 'hex');

function isPlainReason(entries: Buffer, start: number, end: number): boolean {
  return end - start === plainReason.length + 1 && entries.compare(plainReason, 0, 13, start, end - 1) === 0;
}

const understood: ReadonlySet<string> = new Set([oids.crlReason, oids.invalidityDate]);

function extensionFault(bytes: Buffer): string | undefined {
  const outer = new DerReader(bytes);
  const list = outer.enter();
  outer.end();
  while (!list.atEnd) {
    const extension = list.enter();
    const oid = readOid(extension.read(tags.oid).content);
    const critical = extension.optional(tags.boolean);
    extension.read(tags.octetString);
    extension.end();
    if (critical !== undefined && readBoolean(critical.content) && !understood.has(oid)) {
      return 'CRL with an unknown critical entry extension';
    }
  }
  return undefined;
}

/** Where the time at an offset ends; its digits are read when its entry is asked for. */
function endOfTime(entries: Buffer, at: number): number {
  const [tag, length] = [entries[at], entries[at + 1]];
  if ((tag === tags.utcTime && length === 13) || (tag === tags.generalizedTime && length === 15))
    return at + 2 + length;
  throw new DerError('CRL entry without a time');
}

/** Where the value at an offset ends; it must have the tag and a minimal length. */
function endOf(bytes: Buffer, at: number, tag: number): number {
  const first = bytes[at + 1] ?? 0xff;
  if (bytes[at] !== tag) throw new DerError('CRL entry malformed');
  const octets = first < 0x80 ? 0 : first & 0x7f;
  // An entry longer than two octets of length can say is none.
  if (octets > 2 || first === 0x80) throw new DerError('CRL entry too long');
  const length = octets === 0 ? first : bytes.readUIntBE(at + 2, octets);
  if (octets > 0 && length < (octets === 1 ? 0x80 : 0x100)) throw new DerError('length not minimal');
  const end = at + 2 + octets + length;
  if (end > bytes.length) throw new DerError('value longer than its container');
  return end;
}

function headerLength(bytes: Buffer, at: number): number {
  const first = bytes[at + 1] ?? 0;
  return first < 0x80 ? 2 : 2 + (first & 0x7f);
}
