import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { compressionHeadBytes, compressionOf } from './compression.ts';
import type { ContentCoding } from './content-coding.ts';
import type { Compression } from './inflater.ts';

/**
 * Codes bytes anew in the codings of an original and to exactly its length, so that neither head nor framing of its message
 * changes. Each format has something that means nothing and can fill up what is missing. Undefined where it cannot be done:
 * with bytes that grow when they are coded, or an original that was coded with more effort than is spent here.
 */
export async function codedToLength(
  plain: Buffer,
  codings: readonly ContentCoding[],
  original: Buffer,
): Promise<Buffer | undefined> {
  const last = codings.at(-1);
  const kind = last && compressionOf(last, original.subarray(0, compressionHeadBytes), true);
  if (typeof kind !== 'object') return undefined;
  let bytes = plain;
  for (const coding of codings.slice(0, -1)) bytes = await innerCoders[coding](bytes);
  for (const { mostBytes, code } of coders[kind.kind]) {
    const filled = bytes.length > mostBytes ? undefined : await code(bytes, original.length);
    if (filled !== undefined) return filled;
  }
  return undefined;
}

/** One way to code bytes and to fill what is missing. */
interface FittedCoder {
  /** What takes longer than some hundred milliseconds in the worst case is not tried. */
  readonly mostBytes: number;
  /** Undefined when what is missing cannot be filled. */
  readonly code: (bytes: Buffer, length: number) => Promise<Buffer | undefined>;
}

/** In the threads of the pool: one megabyte takes some 30 ms, and ten times as much where somebody means it to. */
const gzip = promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.gzip);
const deflate = promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.deflate);
const deflateRaw = promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.deflateRaw);
const brotliCompress = promisify<Buffer, zlib.BrotliOptions, Buffer>(zlib.brotliCompress);
const brotliDecompress = promisify<Buffer, zlib.BrotliOptions, Buffer>(zlib.brotliDecompress);
const zstdCompress = promisify<Buffer, zlib.ZstdOptions, Buffer>(zlib.zstdCompress);
const { constants } = zlib;

const innerCoders: Readonly<Record<ContentCoding, (bytes: Buffer) => Promise<Buffer>>> = {
  gzip: (bytes) => gzip(bytes, {}),
  deflate: (bytes) => deflate(bytes, {}),
  br: (bytes) => brotli(bytes, 5),
  zstd: (bytes) => zstdCompress(bytes, {}),
};

const any = Number.POSITIVE_INFINITY;

/** What servers use for what they make as they go comes first; the others are there for their other lengths. */
const deflateWays = [
  { mostBytes: any, options: { level: 6 } },
  { mostBytes: 65_536, options: { level: 9 } },
  { mostBytes: 65_536, options: { level: 8 } },
  { mostBytes: 65_536, options: { level: 4 } },
  { mostBytes: 65_536, options: { level: 1 } },
  { mostBytes: 65_536, options: { level: 9, strategy: constants.Z_FILTERED } },
  { mostBytes: 65_536, options: { level: 9, strategy: constants.Z_FIXED } },
  { mostBytes: 65_536, options: { level: 9, strategy: constants.Z_RLE } },
];

const brotliWays = [
  { mostBytes: any, quality: 5 },
  { mostBytes: 65_536, quality: 9 },
  { mostBytes: 65_536, quality: 3 },
  { mostBytes: 16_384, quality: 11 },
];

const zstdWays = [
  { mostBytes: any, level: 3 },
  { mostBytes: any, level: 6 },
  { mostBytes: any, level: 1 },
  { mostBytes: 65_536, level: 9 },
  { mostBytes: 16_384, level: 15 },
].flatMap((way) => [0, 1].map((checksum) => ({ ...way, checksum })));

type Fill = (coded: Buffer, length: number) => Buffer | undefined;

const deflateCoders = (coder: typeof gzip, fill: Fill): readonly FittedCoder[] =>
  deflateWays.map(({ mostBytes, options }) => ({
    mostBytes,
    code: async (bytes, length) => fill(await coder(bytes, { ...options, memLevel: 9 }), length),
  }));

const coders: Readonly<Record<Compression['kind'], readonly FittedCoder[]>> = {
  gzip: deflateCoders(gzip, fillGzip),
  zlib: deflateCoders(deflate, (coded, length) => fillDeflate(coded, 2, length)),
  'raw-deflate': deflateCoders(deflateRaw, (coded, length) => fillDeflate(coded, 0, length)),
  br: brotliWays.map(({ mostBytes, quality }) => ({
    mostBytes,
    code: async (bytes, length) => fillBrotli(await brotli(bytes, quality), bytes, length),
  })),
  zstd: zstdWays.map((way) => ({
    mostBytes: way.mostBytes,
    code: async (bytes, length) => fillZstd(await zstd(bytes, way), length),
  })),
};

/** Empty stored blocks of deflate (RFC 1951 section 3.2.4), with up to three empty blocks of fixed codes before them. */
const emptyBlocks = ['000000ffff', '02000000ffff', '0208000000ffff', '02082000000000ffff'].map((hex) =>
  Buffer.from(hex, 'hex'),
);
const emptyStored = emptyBlocks[0] ?? Buffer.alloc(0);

/** Blocks of deflate that hold nothing; undefined for the few lengths that none have (1 to 4 and 8). */
function emptyDeflate(length: number): readonly Buffer[] | undefined {
  for (const others of emptyChoices) {
    const rest = length - others.reduce((sum, block) => sum + block.length, 0);
    if (rest < 0 || rest % emptyStored.length !== 0) continue;
    return [...others, Buffer.alloc(rest, emptyStored)];
  }
  return undefined;
}

const emptyChoices: readonly (readonly Buffer[])[] = [
  [],
  ...emptyBlocks.slice(1).map((block) => [block]),
  emptyBlocks.slice(1, 3),
];

function fillDeflate(coded: Buffer, blocksAt: number, length: number): Buffer | undefined {
  const empty = emptyDeflate(length - coded.length);
  return empty && Buffer.concat([coded.subarray(0, blocksAt), ...empty, coded.subarray(blocksAt)]);
}

/** What blocks cannot fill a comment does (RFC 1952 section 2.3): up to four bytes with its zero. */
function fillGzip(coded: Buffer, length: number): Buffer | undefined {
  const missing = length - coded.length;
  if (missing < 0) return undefined;
  const commentBytes = missing % emptyStored.length;
  const head = Buffer.from(coded.subarray(0, 10));
  const comment = Buffer.alloc(commentBytes, ' ');
  if (commentBytes > 0) {
    head[3] = 0x10;
    comment[commentBytes - 1] = 0;
  }
  return Buffer.concat([head, comment, Buffer.alloc(missing - commentBytes, emptyStored), coded.subarray(10)]);
}

/** The window of 4 MiB, whose size is written in four bits (RFC 7932 section 9.1). */
const brotliWindow = 22;
const brotliWindowBits = 4;

function brotli(bytes: Buffer, quality: number): Promise<Buffer> {
  return brotliCompress(bytes, {
    params: {
      [constants.BROTLI_PARAM_LGWIN]: brotliWindow,
      [constants.BROTLI_PARAM_QUALITY]: quality,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
}

/**
 * Empty metadata blocks (section 9.2) are a byte each where they begin on one, so that the first brings what follows to the
 * border of a byte. The rest then lies elsewhere within its bytes, which a stream with uncompressed blocks does not survive:
 * what came of it is looked at.
 */
async function fillBrotli(coded: Buffer, plain: Buffer, length: number): Promise<Buffer | undefined> {
  const rest = Buffer.alloc(coded.length);
  for (let at = 0; at < coded.length; at++) {
    rest[at] = ((coded[at] ?? 0) >> brotliWindowBits) | (((coded[at + 1] ?? 0) << brotliWindowBits) & 0xff);
  }
  const first = Buffer.from([((coded[0] ?? 0) & 0x0f) | (emptyMetadata << brotliWindowBits), 0]);
  // Its last bits may have come to lie in the byte before.
  for (const restBytes of [rest.length - 1, rest.length]) {
    const missing = length - first.length - restBytes;
    if (missing < 0) return undefined;
    const filled = Buffer.concat([first, Buffer.alloc(missing, emptyMetadata), rest.subarray(0, restBytes)]);
    if (await isBrotliOf(filled, plain)) return filled;
  }
  return undefined;
}

const emptyMetadata = 0x06;

async function isBrotliOf(coded: Buffer, plain: Buffer): Promise<boolean> {
  try {
    return (await brotliDecompress(coded, { maxOutputLength: Math.max(1, plain.length) })).equals(plain);
  } catch {
    return false;
  }
}

function zstd(bytes: Buffer, { level, checksum }: (typeof zstdWays)[number]): Promise<Buffer> {
  return zstdCompress(bytes, {
    // The tables of the coder are then as small as what it codes.
    pledgedSrcSize: bytes.length,
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_checksumFlag]: checksum,
      [constants.ZSTD_c_windowLog]: zstdWindowLog,
    },
  });
}

/** Raw blocks without content take three bytes each (RFC 8878 section 3.1.1.2). */
function fillZstd(coded: Buffer, length: number): Buffer | undefined {
  const missing = length - coded.length;
  if (missing < 0 || missing % 3 !== 0) return undefined;
  const blocksAt = zstdHeaderBytes(coded);
  return Buffer.concat([coded.subarray(0, blocksAt), Buffer.alloc(missing), coded.subarray(blocksAt)]);
}

/** A window of 1 MiB, far below what RFC 9659 lets a client refuse. */
const zstdWindowLog = 20;

/** RFC 8878 section 3.1.1.1. */
function zstdHeaderBytes(frame: Buffer): number {
  const descriptor = frame[4] ?? 0;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  return 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes + sizeBytes;
}
