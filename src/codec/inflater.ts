import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from 'node:zlib';

/** A compressed format, as the first bytes of a stream told it. */
export type Compression =
  | { readonly kind: 'gzip' | 'zlib' | 'raw-deflate' | 'br' }
  /** `windowLog` bounds the memory of every frame: a later one that needs more fails. */
  | { readonly kind: 'zstd'; readonly windowLog: number };

/** What one step did. `output` is a view that the next step with the same buffer overwrites. */
export interface InflateStep {
  readonly consumed: number;
  readonly output: Buffer;
  readonly fault: string | undefined;
}

/** Bytes that a step gives at most. Large enough that the call into native code costs nothing beside the work. */
export const inflateStepBytes = 65_536;

/**
 * What Node's zlib streams are made of. Their own interface is asynchronous, and a verdict has to come before the bytes
 * are forwarded; an ADR says why this is used, what is assumed of it, and that a test checks it on the Node at hand.
 */
interface NativeHandle {
  onerror: (message: string) => void;
  writeSync(
    flush: number,
    input: Buffer,
    inputAt: number,
    inputBytes: number,
    output: Buffer,
    outputAt: number,
    outputBytes: number,
  ): void;
}
interface NativeStream {
  readonly _handle: NativeHandle;
  /** Room left in the output, and bytes left of the input, after a step. */
  readonly _writeState: Uint32Array;
  reset(): void;
  close(): void;
}

/** Undoes one compression, synchronously and in bounded steps. `close` must be called: the memory is not V8's. */
export class Inflater {
  readonly #stream: NativeStream;
  readonly #kind: Compression['kind'];
  /** Shared by all inflaters at the same place of a chain; clean but for what the last step wrote. */
  readonly #output: StepBuffer;
  #fault: string | undefined;
  #isClosed = false;

  constructor(compression: Compression, output: StepBuffer) {
    this.#stream = spare(compression) ?? nativeStream(compression);
    this.#kind = compression.kind;
    this.#output = output;
    this.#stream._handle.onerror = (message) => {
      this.#fault = message;
    };
  }

  /** Undoes as much of the input as gives one step of output. */
  step(input: Buffer, from: number): InflateStep {
    return this.#write(0, input, from);
  }

  /** Whether the stream had come to its end: it is cut otherwise. */
  isComplete(): boolean {
    this.#write(finishFlag[this.#kind], noBytes, 0);
    return this.#fault === undefined;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const spares = spareStreams[this.#kind];
    if (this.#fault !== undefined || spares === undefined || spares.length === mostSpares) this.#stream.close();
    else spares.push(this.#stream);
  }

  #write(flush: number, input: Buffer, from: number): InflateStep {
    const { bytes } = this.#output;
    const { _handle, _writeState } = this.#stream;
    this.#output.clean();
    const offered = input.length - from;
    _handle.writeSync(flush, input, from, offered, bytes, 0, inflateStepBytes);
    // A failed step does not say how much it wrote. It wrote into zeros, and may have gone a few bytes further.
    if (this.#fault !== undefined) return { consumed: offered, output: this.#output.written(), fault: this.#fault };
    const [room = 0, left = 0] = _writeState;
    return { consumed: offered - left, output: this.#output.take(inflateStepBytes - room), fault: undefined };
  }
}

/** Room for the output of one step, full of zeros before each. */
export class StepBuffer {
  readonly bytes = Buffer.alloc(inflateStepBytes);
  #dirty = 0;

  clean(): void {
    // Native code copies in words: it may have written a little beyond what it reports.
    if (this.#dirty > 0) this.bytes.fill(0, 0, Math.min(inflateStepBytes, this.#dirty + 512));
    this.#dirty = 0;
  }

  take(length: number): Buffer {
    this.#dirty = length;
    return this.bytes.subarray(0, length);
  }

  /** All up to the last byte that is not zero. */
  written(): Buffer {
    let length = inflateStepBytes;
    while (length > 0 && this.bytes[length - 1] === 0) length--;
    return this.take(length);
  }
}

const noBytes = Buffer.alloc(0);

/** Making a stream costs 25 microseconds, as much as a whole small exchange; setting one back costs less than one. */
const mostSpares = 16;
const spareStreams: Readonly<Partial<Record<Compression['kind'], NativeStream[]>>> = {
  gzip: [],
  zlib: [],
  'raw-deflate': [],
  br: [],
};

function spare({ kind }: Compression): NativeStream | undefined {
  const stream = spareStreams[kind]?.pop();
  stream?.reset();
  return stream;
}

const finishFlag: Readonly<Record<Compression['kind'], number>> = {
  gzip: constants.Z_FINISH,
  zlib: constants.Z_FINISH,
  'raw-deflate': constants.Z_FINISH,
  br: constants.BROTLI_OPERATION_FINISH,
  zstd: constants.ZSTD_e_end,
};

function nativeStream(compression: Compression): NativeStream {
  // Smallest allowed: the stream's own output buffer is not used.
  const chunkSize = constants.Z_MIN_CHUNK;
  const stream: unknown = ((): unknown => {
    switch (compression.kind) {
      case 'gzip':
        return createGunzip({ chunkSize });
      case 'zlib':
        return createInflate({ chunkSize });
      case 'raw-deflate':
        return createInflateRaw({ chunkSize });
      case 'br':
        return createBrotliDecompress({ chunkSize });
      case 'zstd':
        return createZstdDecompress({
          chunkSize,
          params: { [constants.ZSTD_d_windowLogMax]: compression.windowLog },
        });
    }
  })();
  if (isNative(stream)) return stream;
  throw new TypeError('zlib of this Node cannot be used synchronously');
}

function isNative(stream: unknown): stream is NativeStream {
  const { _handle: handle, _writeState: state } = stream as Partial<NativeStream>;
  return typeof handle?.writeSync === 'function' && state instanceof Uint32Array;
}
