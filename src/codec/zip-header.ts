import { limits } from '../core/limits.ts';

/** A header of a zip archive (APPNOTE sections 4.3.7 and 4.3.12): in front of a member, or in the directory at the end. */
export interface ZipHeader {
  readonly kind: 'member' | 'directory';
  /** Bytes of it. */
  readonly length: number;
  /** As it stands, and what else readers may take for the name. */
  readonly names: readonly string[];
  /** The name is beyond the limit, and not told. */
  readonly isTooLong: boolean;
  readonly method: number;
  readonly isEncrypted: boolean;
  /** Of the data behind it; undefined where it is not told here. */
  readonly compressedBytes: number | undefined;
  /** Of the directory: where the header of the member stands. */
  readonly memberAt: number | undefined;
}

const unknownSize = 0xffff_ffff;
/** Flags: encrypted, and sizes behind the data. */
const encrypted = 0x0001;
const streamed = 0x0008;
const aesMethod = 99;

/** Reads the header at the begin of bytes that start with `PK`; `partial` when more bytes are needed to tell. */
export function readZipHeader(bytes: Buffer): ZipHeader | 'none' | 'partial' {
  if (bytes.length < 4) return bytes.length < 3 || bytes[2] === 1 || bytes[2] === 3 ? 'partial' : 'none';
  const isMember = bytes[2] === 3 && bytes[3] === 4;
  if (!isMember && !(bytes[2] === 1 && bytes[3] === 2)) return 'none';
  const fixed = isMember ? 30 : 46;
  if (bytes.length < fixed) return 'partial';
  // Both have the same fields from the flags to the lengths; the directory has one more in front.
  const at = isMember ? 6 : 8;
  const flags = bytes.readUInt16LE(at);
  const method = bytes.readUInt16LE(at + 2);
  if (method > 20 && (method < 92 || method > aesMethod)) return 'none';
  const nameBytes = bytes.readUInt16LE(at + 20);
  if (nameBytes === 0) return 'none';
  const isTooLong = nameBytes > limits.archiveNameBytes;
  // An extra field of unusual length is passed over: what it says is a name of its own at most.
  const toldExtra = bytes.readUInt16LE(at + 22);
  const extraBytes = toldExtra > limits.archiveNameBytes ? 0 : toldExtra;
  const length = isTooLong ? fixed : fixed + nameBytes + extraBytes;
  if (bytes.length < length) return 'partial';
  const extra = isTooLong ? noBytes : bytes.subarray(fixed + nameBytes, length);
  const sizes = { compressed: bytes.readUInt32LE(at + 12), whole: bytes.readUInt32LE(at + 16) };
  return {
    kind: isMember ? 'member' : 'directory',
    length,
    names: isTooLong ? [] : namesOf(bytes.toString('latin1', fixed, fixed + nameBytes), extra),
    isTooLong: isTooLong || toldExtra !== extraBytes,
    method,
    isEncrypted: (flags & encrypted) !== 0 || method === aesMethod,
    compressedBytes: isMember && (flags & streamed) !== 0 ? undefined : longField(extra, sizes, 'compressed'),
    memberAt: isMember ? undefined : longField(extra, { ...sizes, offset: bytes.readUInt32LE(42) }, 'offset'),
  };
}

const noBytes: Buffer = Buffer.alloc(0);

/** Some readers end a name at a NUL, and some prefer the one in Unicode (APPNOTE section 4.6.9). */
function namesOf(name: string, extra: Buffer): readonly string[] {
  const names = [name];
  const end = name.indexOf('\0');
  if (end > 0) names.push(name.slice(0, end));
  const unicode = extraField(extra, 0x7075);
  if (unicode !== undefined && unicode.length > 5) names.push(unicode.toString('latin1', 5));
  return names;
}

/** A number of 32 bits, or where those are all set the one of 64 bits in the extra field (APPNOTE section 4.5.3). */
function longField(
  extra: Buffer,
  { whole, compressed, offset }: { readonly whole: number; readonly compressed: number; readonly offset?: number },
  wanted: 'compressed' | 'offset',
): number | undefined {
  const short = wanted === 'compressed' ? compressed : (offset ?? unknownSize);
  if (short !== unknownSize) return short;
  const long = extraField(extra, 0x0001);
  const before = (whole === unknownSize ? 8 : 0) + (wanted === 'offset' && compressed === unknownSize ? 8 : 0);
  if (long === undefined || long.length < before + 8) return undefined;
  const value = Number(long.readBigUInt64LE(before));
  return Number.isSafeInteger(value) ? value : undefined;
}

function extraField(extra: Buffer, id: number): Buffer | undefined {
  for (let at = 0; at + 4 <= extra.length; ) {
    const length = extra.readUInt16LE(at + 2);
    if (extra.readUInt16LE(at) === id) return extra.subarray(at + 4, at + 4 + length);
    at += 4 + length;
  }
  return undefined;
}
