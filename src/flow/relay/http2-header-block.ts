import type { FrameReader } from '../../codec/http2-frame-reader.ts';
import { flags } from '../../codec/http2-frames.ts';

/** A header block as HEADERS and CONTINUATION frames bring it. One of one frame is a view; the others are put together. */
export class HeaderBlock {
  bytes: Buffer = empty;
  from = 0;
  to = 0;
  streamId = 0;
  endsStream = false;
  /** The five bytes of a deprecated priority field. */
  priority: Buffer | undefined;
  frames = 0;
  isOpen = false;
  #parts: Buffer[] | undefined;
  #length = 0;

  /** Bytes so far. */
  get length(): number {
    return this.#length;
  }

  /** Takes a HEADERS frame. Returns why it is wrong, or nothing. */
  open(frame: FrameReader): string {
    let { payload: from, to } = frame;
    let padding = 0;
    if ((frame.flags & flags.padded) !== 0) padding = frame.bytes[from++] ?? 0;
    const hasPriority = (frame.flags & flags.priority) !== 0;
    this.priority = undefined;
    if (hasPriority) {
      if (from + 5 > to) return 'a HEADERS frame that is too short';
      if ((frame.bytes.readUInt32BE(from) & 0x7fffffff) === frame.streamId) return 'a stream that depends on itself';
      this.priority = Buffer.from(frame.bytes.subarray(from, from + 5));
      from += 5;
    }
    to -= padding;
    if (from > to) return 'padding longer than its frame';
    this.streamId = frame.streamId;
    this.endsStream = (frame.flags & flags.endStream) !== 0;
    this.frames = 1;
    this.isOpen = (frame.flags & flags.endHeaders) === 0;
    this.#length = to - from;
    if (this.isOpen) this.#parts = [Buffer.from(frame.bytes.subarray(from, to))];
    else this.#set(frame.bytes, from, to);
    return '';
  }

  /** Takes a CONTINUATION frame of the same stream. */
  add(frame: FrameReader): void {
    this.frames += 1;
    this.isOpen = (frame.flags & flags.endHeaders) === 0;
    this.#length += frame.to - frame.payload;
    this.#parts?.push(Buffer.from(frame.bytes.subarray(frame.payload, frame.to)));
    if (this.isOpen) return;
    const whole = Buffer.concat(this.#parts ?? []);
    this.#parts = undefined;
    this.#set(whole, 0, whole.length);
  }

  /** Lets go of the bytes once they are decoded. */
  release(): void {
    this.bytes = empty;
  }

  #set(bytes: Buffer, from: number, to: number): void {
    this.bytes = bytes;
    this.from = from;
    this.to = to;
  }
}

const empty = Buffer.alloc(0);
