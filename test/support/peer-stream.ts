import { Duplex } from 'node:stream';

/** A stream in memory: `feed` is what its peer sends, `sent` what was written to it. `stall` stops the writing side. */
export class Peer extends Duplex {
  readonly sent: Buffer[] = [];
  stalled: (() => void) | undefined;
  stall = false;
  constructor() {
    super({ allowHalfOpen: true });
  }
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.sent.push(chunk);
    if (this.stall) this.stalled = done;
    else done();
  }
  override _final(done: () => void): void {
    done();
  }
  feed(text: string | Buffer | null): void {
    this.push(text === null ? null : Buffer.from(text));
  }
  get text(): string {
    return Buffer.concat(this.sent).toString();
  }
}

/** Lets the event loop go around once. */
export const turn = () => new Promise((resolve) => setImmediate(resolve));
