import type { ContentCoding } from './content-coding.ts';
import type { Compression } from './inflater.ts';

/** Bytes by which every compression is told: a frame header of Zstandard. */
export const compressionHeadBytes = 18;

/** Largest window of `br` (RFC 7932 section 9.1); 8 MiB is the most that `zstd` may use in HTTP (RFC 9659). */
const largestZstdWindowLog = 23;
const smallestZstdWindowLog = 10;

/** What a coding's label and the first bytes say: a compression, `identity` where the label lies, or that more is needed. */
export function compressionOf(
  coding: ContentCoding,
  head: Buffer,
  isWhole: boolean,
): Compression | 'identity' | 'too-large' | undefined {
  if (head.length === 0) return isWhole ? 'identity' : undefined;
  if (coding === 'br') return { kind: 'br' };
  if (coding === 'zstd') return zstdCompression(head, isWhole);
  if (head.length < 2) return isWhole ? 'identity' : undefined;
  // Clients look at the bytes and not at which of the two was named.
  if (isGzip(head)) return { kind: 'gzip' };
  if (isZlib(head)) return { kind: 'zlib' };
  return coding === 'gzip' ? 'identity' : { kind: 'raw-deflate' };
}

/** Native memory that undoing takes at most, roughly. */
export function memoryOf(compression: Compression, head: Buffer): number {
  switch (compression.kind) {
    case 'br':
      return 65_536 + 2 ** brotliWindowLog(head[0] ?? 0);
    case 'zstd':
      return 262_144 + 2 ** compression.windowLog;
    default:
      return 49_152;
  }
}

/** RFC 1952 section 2.3.1. */
function isGzip(head: Buffer): boolean {
  return head[0] === 0x1f && head[1] === 0x8b;
}

/** RFC 1950 section 2.2: deflate with a window of at most 32 KiB, and a check over both bytes. */
function isZlib(head: Buffer): boolean {
  const first = head[0] ?? 0;
  return (first & 0x0f) === 8 && first >> 4 <= 7 && ((first << 8) | (head[1] ?? 0)) % 31 === 0;
}

/** RFC 7932 section 9.1: WBITS. */
function brotliWindowLog(first: number): number {
  if ((first & 1) === 0) return 16;
  const high = (first >> 1) & 7;
  if (high !== 0) return 17 + high;
  const low = (first >> 4) & 7;
  return low === 0 ? 17 : low === 1 ? 24 : 8 + low;
}

/** RFC 8878 section 3.1.1.1. A skippable frame in front says nothing of the frames behind it. */
function zstdCompression(head: Buffer, isWhole: boolean): Compression | 'identity' | 'too-large' | undefined {
  if (head.length < 4) return isWhole ? 'identity' : undefined;
  const magic = head.readUInt32LE(0);
  if (magic >= 0x184d2a50 && magic <= 0x184d2a5f) return { kind: 'zstd', windowLog: largestZstdWindowLog };
  if (magic !== 0xfd2fb528) return 'identity';
  if (head.length < compressionHeadBytes && !isWhole) return undefined;
  const descriptor = head[4] ?? 0;
  const windowLog = (descriptor & 0x20) === 0 ? declaredWindowLog(head[5] ?? 0) : contentLog(head, descriptor);
  if (windowLog > largestZstdWindowLog) return 'too-large';
  return { kind: 'zstd', windowLog: Math.max(smallestZstdWindowLog, windowLog) };
}

/** Section 3.1.1.1.2: a power of two and eighths of it. */
function declaredWindowLog(byte: number): number {
  return 10 + (byte >> 3) + ((byte & 7) === 0 ? 0 : 1);
}

/** Section 3.1.1.1.1.2: in a single segment the window is as large as the content. */
function contentLog(head: Buffer, descriptor: number): number {
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const at = 5 + dictionaryBytes;
  const sizes = [head[at] ?? 0, wordAt(head, at, 2) + 256, wordAt(head, at, 4), wordAt(head, at, 6)];
  const beyond = descriptor >> 6 === 3 && wordAt(head, at + 6, 2) > 0;
  const size = beyond ? Number.MAX_SAFE_INTEGER : (sizes[descriptor >> 6] ?? 0);
  return Math.ceil(Math.log2(Math.max(1, size)));
}

function wordAt(head: Buffer, at: number, bytes: number): number {
  return at + bytes <= head.length ? head.readUIntLE(at, bytes) : 0;
}
