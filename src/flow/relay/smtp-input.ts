import type { Wire } from '../../core/relay.ts';

const noBytes: Buffer = Buffer.alloc(0);

/** What a client has sent and nobody has taken yet. */
export class SmtpInput {
  #bytes: Buffer = noBytes;
  #isPaused = false;

  get length(): number {
    return this.#bytes.length;
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  set bytes(bytes: Buffer) {
    this.#bytes = bytes;
  }

  push(bytes: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
  }

  takeAll(): Buffer {
    const bytes = this.#bytes;
    this.#bytes = noBytes;
    return bytes;
  }

  /** Stops or resumes the reading of it. */
  pause(wire: Wire, paused: boolean): void {
    if (this.#isPaused === paused) return;
    this.#isPaused = paused;
    wire.pause('client', paused);
  }

  clear(): void {
    this.#bytes = noBytes;
  }

  /** A line with its line end; undefined while it is not whole, or `too-long`. */
  takeLine(mostBytes: number): Buffer | 'too-long' | undefined {
    const end = this.#bytes.indexOf(0x0a);
    if (end >= mostBytes || (end < 0 && this.#bytes.length >= mostBytes)) return 'too-long';
    if (end < 0) return undefined;
    const line = this.#bytes.subarray(0, end + 1);
    this.#bytes = this.#bytes.subarray(end + 1);
    return line;
  }
}
