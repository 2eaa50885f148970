import { type LinePiece, mostBytesOf } from './line-piece.ts';

/** Bytes of lines that are encoded together; a line of the greatest length fits whatever its characters are. */
const chunkBytes = 262_144;
/** Chunks that were written and are kept for use again. */
const spareChunks = 2;

interface Chunk {
  readonly buffer: Buffer;
  /** Bytes that hold lines. */
  length: number;
  lines: number;
  /** Bytes that are written already. */
  written: number;
}

/** Lines that wait to be written, encoded at once into few large buffers, first in first out, of bounded size. */
export class LineQueue {
  readonly #mostBytes: number;
  readonly #chunks: Chunk[] = [];
  readonly #spare: Buffer[] = [];
  /** The first chunk is being written: nothing may be added to it. */
  #isHeadTaken = false;
  #bytes = 0;
  /** Lines that were written in full. */
  linesWritten = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Lines of which not all is written. */
  get lines(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.lines - linesIn(chunk.buffer.subarray(0, chunk.written)), 0);
  }

  /** Whether the next byte to be written is in the middle of a chunk, which may be the middle of a line. */
  get isHeadBegun(): boolean {
    return (this.#chunks[0]?.written ?? 0) > 0;
  }

  /** Adds a line without its end; false when there is no room. */
  add(line: string): boolean {
    return this.addPieces([line]);
  }

  /** Adds a line that is given in pieces. */
  addPieces(pieces: readonly LinePiece[]): boolean {
    let least = 1;
    for (const piece of pieces) least += piece.length;
    if (this.#bytes + least > this.#mostBytes) return false;
    const chunk = this.#chunkWithRoom(mostBytesOf(pieces) + 1);
    const start = chunk.length;
    for (const piece of pieces) {
      chunk.length += typeof piece === 'string' ? chunk.buffer.write(piece, chunk.length) : copyTo(chunk, piece);
    }
    chunk.buffer[chunk.length] = 0x0a;
    chunk.length += 1;
    chunk.lines += 1;
    this.#bytes += chunk.length - start;
    return true;
  }

  /** Bytes to be written next; they stay in the queue until `wrote` says that they are. Undefined when there are none. */
  take(): Buffer | undefined {
    const chunk = this.#chunks[0];
    if (chunk === undefined) return undefined;
    this.#isHeadTaken = true;
    return chunk.buffer.subarray(chunk.written, chunk.length);
  }

  /** Says how many bytes of what was taken are written. */
  wrote(bytes: number): void {
    const chunk = this.#chunks[0];
    if (chunk === undefined) return;
    chunk.written += bytes;
    this.#bytes -= bytes;
    if (chunk.written < chunk.length) return;
    this.#chunks.shift();
    this.#isHeadTaken = false;
    this.linesWritten += chunk.lines;
    if (this.#spare.length < spareChunks) this.#spare.push(chunk.buffer);
  }

  /** Drops the rest of a line that was written in part, when its begin is no more where the rest would go. True if there was one. */
  skipBegunLine(): boolean {
    const chunk = this.#chunks[0];
    if (chunk === undefined || chunk.written === 0 || chunk.buffer[chunk.written - 1] === 0x0a) return false;
    const end = chunk.buffer.indexOf(0x0a, chunk.written) + 1;
    chunk.lines -= 1;
    this.wrote(end - chunk.written);
    return true;
  }

  #chunkWithRoom(bytes: number): Chunk {
    const last = this.#chunks.at(-1);
    const isTaken = this.#isHeadTaken && this.#chunks.length === 1;
    if (last !== undefined && !isTaken && last.length + bytes <= last.buffer.length) return last;
    const buffer = this.#spare.pop() ?? Buffer.allocUnsafeSlow(chunkBytes);
    const chunk: Chunk = {
      buffer: buffer.length >= bytes ? buffer : Buffer.allocUnsafeSlow(bytes),
      length: 0,
      lines: 0,
      written: 0,
    };
    this.#chunks.push(chunk);
    return chunk;
  }
}

function linesIn(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, at + 1)) lines += 1;
  return lines;
}

function copyTo({ buffer, length }: Chunk, piece: Buffer): number {
  buffer.set(piece, length);
  return piece.length;
}
