import { commonFrameBytes, flags, frameHeaderBytes, frameTypes, writeFrameHeader } from './http2-frames.ts';

/** Most bytes of a frame that is no DATA: header blocks and settings stay far below it. */
const mostHeldBytes = 65_536;

/**
 * Cuts the bytes of one direction into frames. A frame that lies within a chunk is a view on it; one that comes in pieces
 * is put together, which takes at most `mostHeldBytes`: DATA in larger frames is handed out as several smaller ones.
 */
export class FrameReader {
  /** What the receiver of this direction takes (SETTINGS_MAX_FRAME_SIZE). */
  mostFrameBytes = commonFrameBytes;
  /** The present frame: where it lies, and what its header says. */
  bytes: Buffer = empty;
  from = 0;
  payload = 0;
  to = 0;
  type = 0;
  flags = 0;
  streamId = 0;
  /** A frame larger than the receiver takes, or than is held here. */
  isTooLarge = false;
  #chunk: Buffer = empty;
  #at = 0;
  /** Begin of a frame whose rest is still to come. */
  #part: Buffer | undefined;
  #partBytes = 0;
  readonly #header = Buffer.alloc(frameHeaderBytes);
  #headerBytes = 0;
  /** What is left of a DATA frame that is handed out in pieces. */
  #largeBytes = 0;
  #largeFlags = 0;
  #largeStream = 0;
  #largePadding = -1;

  /** Whether bytes of a frame, or whole frames, wait here. */
  get isBetweenFrames(): boolean {
    return (
      this.#part === undefined && this.#headerBytes === 0 && this.#largeBytes === 0 && this.#at === this.#chunk.length
    );
  }

  push(chunk: Buffer): void {
    this.#chunk = this.#at === this.#chunk.length ? chunk : Buffer.concat([this.#chunk.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** Moves to the next whole frame. False when there is none yet, or none that may be read. */
  next(): boolean {
    if (this.isTooLarge) return false;
    if (this.#part !== undefined) return this.#fillPart();
    if (this.#largeBytes > 0) return this.#beginPiece();
    const left = this.#chunk.length - this.#at;
    if (this.#headerBytes > 0 || left < frameHeaderBytes) return this.#fillHeader();
    const from = this.#at;
    this.#read(this.#chunk, from);
    const bytes = frameHeaderBytes + this.#length(this.#chunk, from);
    if (bytes > left || this.#isLarge(bytes)) {
      this.#at += frameHeaderBytes;
      return this.#begin(this.#chunk, from);
    }
    this.#at += bytes;
    this.#set(this.#chunk, from, from + bytes);
    return true;
  }

  /** Lets go of the last chunk, which an idle connection must not hold on to. */
  release(): void {
    this.bytes = empty;
    if (this.#at !== this.#chunk.length) return;
    this.#chunk = empty;
    this.#at = 0;
  }

  #fillHeader(): boolean {
    const copied = this.#chunk.copy(this.#header, this.#headerBytes, this.#at);
    this.#headerBytes += copied;
    this.#at += copied;
    if (this.#headerBytes < frameHeaderBytes) return false;
    this.#headerBytes = 0;
    this.#read(this.#header, 0);
    return this.#begin(this.#header, 0);
  }

  /** A frame that is not whole in the chunk: its header is read, its payload follows. */
  #begin(header: Buffer, at: number): boolean {
    const length = this.#length(header, at);
    if (this.#isLarge(frameHeaderBytes + length)) {
      if (this.isTooLarge) return false;
      this.#largeBytes = length;
      this.#largeFlags = this.flags;
      this.#largeStream = this.streamId;
      this.#largePadding = (this.flags & flags.padded) === 0 ? 0 : -1;
      return this.#beginPiece();
    }
    this.#part = Buffer.allocUnsafe(frameHeaderBytes + length);
    header.copy(this.#part, 0, at, at + frameHeaderBytes);
    this.#partBytes = frameHeaderBytes;
    return this.#fillPart();
  }

  #fillPart(): boolean {
    const part = this.#part;
    if (part === undefined) return false;
    const copied = this.#chunk.copy(part, this.#partBytes, this.#at);
    this.#partBytes += copied;
    this.#at += copied;
    if (this.#partBytes < part.length) return false;
    this.#part = undefined;
    this.#read(part, 0);
    this.#set(part, 0, part.length);
    return true;
  }

  /** The next piece of a large DATA frame. Padding stays with the last one, so that flow control counts the same. */
  #beginPiece(): boolean {
    if (this.#largePadding < 0) {
      const padding = this.#chunk[this.#at];
      if (padding === undefined) return false;
      this.#at += 1;
      this.#largeBytes -= 1;
      this.#largePadding = padding;
    }
    const before = (this.#largeFlags & flags.padded) === 0 ? 0 : 1;
    const isLast = this.#largeBytes + before <= commonFrameBytes;
    // Enough is left behind every other piece to hold all of the padding.
    const length = isLast ? this.#largeBytes + before : commonFrameBytes - 256;
    const piece = Buffer.allocUnsafe(frameHeaderBytes + length);
    writeFrameHeader(piece, 0, length, frameTypes.data, isLast ? this.#largeFlags : 0, this.#largeStream);
    this.#partBytes = frameHeaderBytes;
    if (isLast && before > 0) piece[this.#partBytes++] = this.#largePadding;
    this.#largeBytes -= piece.length - this.#partBytes;
    this.#part = piece;
    return this.#fillPart();
  }

  #isLarge(bytes: number): boolean {
    const length = bytes - frameHeaderBytes;
    if (length > this.mostFrameBytes) this.isTooLarge = true;
    if (length <= commonFrameBytes) return false;
    if (this.type !== frameTypes.data && length > mostHeldBytes) this.isTooLarge = true;
    return this.type === frameTypes.data || this.isTooLarge;
  }

  #length(header: Buffer, at: number): number {
    return ((header[at] as number) << 16) | ((header[at + 1] as number) << 8) | (header[at + 2] as number);
  }

  #read(header: Buffer, at: number): void {
    this.type = header[at + 3] as number;
    this.flags = header[at + 4] as number;
    // The highest bit means nothing (RFC 9113 section 4.1).
    this.streamId = header.readUInt32BE(at + 5) & 0x7fffffff;
  }

  #set(bytes: Buffer, from: number, to: number): void {
    this.bytes = bytes;
    this.from = from;
    this.payload = from + frameHeaderBytes;
    this.to = to;
  }
}

const empty = Buffer.alloc(0);
