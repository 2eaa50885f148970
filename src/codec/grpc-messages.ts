import type { ContentCoding } from './content-coding.ts';
import { ContentDecoder, type DecodedSink, type DecoderBounds } from './content-decoder.ts';

/** What every message costs beside its bytes, so that a stream of empty ones is bounded too. */
const messageBytes = 1_024;
const prefixBytes = 5;
const noBytes: Buffer = Buffer.alloc(0);

/**
 * Undoes the coding of the messages in a body of gRPC, each by itself (grpc-encoding; the prefix of a message says whether it
 * is coded). What comes out is every prefix as it came, and its message as it reads.
 */
export class GrpcMessageDecoder {
  readonly #coding: ContentCoding;
  readonly #bounds: DecoderBounds;
  readonly #sink: DecodedSink;
  /** A prefix that is not whole. */
  #prefix: Buffer = noBytes;
  /** Bytes of the present message that are still to come. */
  #missing = 0;
  #message: ContentDecoder | undefined;
  /** No prefix of gRPC: what follows is shown as it comes. */
  #isPlain = false;
  #isOver = false;
  problem: string | undefined;

  constructor(coding: ContentCoding, bounds: DecoderBounds, sink: DecodedSink) {
    this.#coding = coding;
    this.#bounds = bounds;
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#isOver) {
      if (this.#isPlain) {
        this.#isOver = !this.#sink(chunk.subarray(at));
        return;
      }
      at = this.#missing > 0 ? this.#takeMessage(chunk, at) : this.#takePrefix(chunk, at);
    }
  }

  end(): void {
    if (this.#isOver) return;
    if (this.#missing > 0 || this.#prefix.length > 0) this.problem ??= 'a message of gRPC is cut short';
    if (this.#prefix.length > 0) this.#sink(this.#prefix);
    this.#endMessage();
    this.close();
  }

  /** Gives all memory back; what comes then is not decoded. Must be called if `end` is not. */
  close(): void {
    this.#isOver = true;
    this.#message?.close();
    this.#message = undefined;
  }

  #takePrefix(chunk: Buffer, at: number): number {
    const to = Math.min(chunk.length, at + prefixBytes - this.#prefix.length);
    this.#prefix = Buffer.concat([this.#prefix, chunk.subarray(at, to)]);
    if (this.#prefix.length < prefixBytes) return to;
    const prefix = this.#prefix;
    this.#prefix = noBytes;
    const flags = prefix[0] ?? 0;
    // The highest bit marks the trailers of gRPC-Web.
    this.#isPlain = (flags & 0x7e) !== 0;
    if (this.#isPlain) this.problem ??= 'not gRPC, although labelled so';
    else {
      this.#missing = prefix.readUInt32BE(1);
      const excess = this.#bounds.spend(messageBytes);
      if (excess !== undefined) return this.#fail(excess, to);
      if ((flags & 1) === 1 && this.#missing > 0) {
        this.#message = new ContentDecoder([this.#coding], this.#bounds, this.#sink);
      }
    }
    if (!this.#sink(prefix)) this.close();
    return to;
  }

  #takeMessage(chunk: Buffer, at: number): number {
    const to = Math.min(chunk.length, at + this.#missing);
    const bytes = chunk.subarray(at, to);
    this.#missing -= bytes.length;
    if (this.#message === undefined) this.#isOver = !this.#sink(bytes);
    else this.#message.push(bytes);
    if (this.#missing === 0) this.#endMessage();
    return this.#message?.problem === undefined ? to : this.#fail(this.#message.problem, to);
  }

  #endMessage(): void {
    const message = this.#message;
    this.#message = undefined;
    message?.end();
    this.problem ??= message?.problem;
  }

  #fail(problem: string, at: number): number {
    this.problem ??= problem;
    this.close();
    return at;
  }
}
