import { compressionHeadBytes, compressionOf, memoryOf } from './compression.ts';
import type { ContentCoding } from './content-coding.ts';
import { type Compression, Inflater, type InflateStep, inflateStepBytes, StepBuffer } from './inflater.ts';

/** Takes decoded bytes, a view that does not outlive the call. False ends the decoding. */
export type DecodedSink = (bytes: Buffer) => boolean;

/** What decoding one body may cost. */
export interface DecoderBounds {
  /** Accounts for bytes that a step made, of any coding in the chain; why it was too much, when it was. */
  spend(bytes: number): string | undefined;
  /** Sets native memory aside; false when there is none. It is given back with `release`. */
  reserve(bytes: number): boolean;
  release(bytes: number): void;
}

/**
 * Undoes the content codings of one body as its bytes pass: synchronous, in bounded steps, so that the bytes are judged
 * before they are forwarded. Takes what clients take: either kind of deflate, gzip in several members, a lying label.
 */
export class ContentDecoder {
  readonly #first: Stage;
  readonly #stages: readonly Stage[];
  #isOver = false;

  constructor(codings: readonly ContentCoding[], bounds: DecoderBounds, sink: DecodedSink) {
    let next: Stage | undefined;
    const stages: Stage[] = [];
    for (const [place, coding] of codings.entries()) {
      next = new Stage(coding, stepBuffer(place), bounds, next ?? { push: sink, end: () => {} });
      stages.push(next);
    }
    if (next === undefined) throw new RangeError('no coding to undo');
    this.#first = next;
    this.#stages = stages;
  }

  /** Why rules did not see all that a client may make of the body; undefined as long as they do. */
  get problem(): string | undefined {
    return this.#stages.find((stage) => stage.problem !== undefined)?.problem;
  }

  push(chunk: Buffer): void {
    if (!this.#isOver && !this.#first.push(chunk)) this.#close();
  }

  end(): void {
    if (!this.#isOver) this.#first.end();
    this.#close();
  }

  /** Gives all memory back; what comes then is not decoded. Must be called if `end` is not. */
  close(): void {
    this.#close();
  }

  #close(): void {
    this.#isOver = true;
    for (const stage of this.#stages) stage.close();
  }
}

interface Downstream {
  push: DecodedSink;
  end(): void;
}

/** Input kept until the first output, for a second try: headers are far shorter. */
const earlyBytes = 4_096;
const noBytes = Buffer.alloc(0);

/** One coding of the chain. */
class Stage implements Downstream {
  readonly #coding: ContentCoding;
  readonly #buffer: StepBuffer;
  readonly #bounds: DecoderBounds;
  readonly #next: Downstream;
  /** The first bytes, until the compression is known; then all bytes until it gave something. */
  #early: Buffer | undefined = noBytes;
  #isIdentity = false;
  #compression: Compression | undefined;
  #inflater: Inflater | undefined;
  #reserved = 0;
  #hasOutput = false;
  problem: string | undefined;

  constructor(coding: ContentCoding, buffer: StepBuffer, bounds: DecoderBounds, next: Downstream) {
    this.#coding = coding;
    this.#buffer = buffer;
    this.#bounds = bounds;
    this.#next = next;
  }

  /** False when nothing further can be decoded, or is wanted. */
  push(input: Buffer): boolean {
    if (input.length === 0) return true;
    if (this.#isIdentity) return this.#next.push(input);
    if (this.#compression !== undefined) return this.#inflate(input, true);
    const early = this.#keep(input);
    const found = compressionOf(this.#coding, early, false);
    return found === undefined || this.#begin(found, early);
  }

  end(): void {
    if (this.#compression === undefined && !this.#isIdentity && this.#early?.length !== 0) {
      const early = this.#early ?? noBytes;
      const found = compressionOf(this.#coding, early, true);
      if (found !== undefined && !this.#begin(found, early)) return;
    }
    if (this.#inflater?.isComplete() === false) this.problem ??= `${this.#coding} data is cut short`;
    this.#next.end();
  }

  close(): void {
    this.#inflater?.close();
    this.#inflater = undefined;
    this.#bounds.release(this.#reserved);
    this.#reserved = 0;
  }

  #begin(found: Compression | 'identity' | 'too-large', early: Buffer): boolean {
    if (found === 'too-large') return this.#fail('the window of zstd is beyond the limit');
    if (found === 'identity') {
      // Some clients then show the bytes as they are, so that is what rules see.
      this.problem = `not ${this.#coding}, although labelled so`;
      this.#isIdentity = true;
      return this.#next.push(early);
    }
    const memory = memoryOf(found, early);
    if (!this.#bounds.reserve(memory)) return this.#fail('no memory left to undo codings');
    this.#reserved += memory;
    this.#compression = found;
    this.#inflater = new Inflater(found, this.#buffer);
    return this.#inflate(early, false);
  }

  #inflate(input: Buffer, isFurther: boolean): boolean {
    const inflater = this.#inflater;
    if (inflater === undefined) return false;
    if (isFurther && !this.#hasOutput) this.#keep(input);
    let at = 0;
    for (;;) {
      const step = inflater.step(input, at);
      at += step.consumed;
      if (!this.#pass(step)) return false;
      if (step.fault !== undefined) return this.#faulted(step.fault);
      if (step.output.length === inflateStepBytes) continue;
      if (at === input.length || isPadding(input, at)) return true;
      return this.#fail(`bytes behind the end of the ${this.#coding} data`);
    }
  }

  #pass({ output }: InflateStep): boolean {
    if (output.length === 0) return true;
    this.#hasOutput = true;
    this.#early = undefined;
    const excess = this.#bounds.spend(output.length);
    return excess === undefined ? this.#next.push(output) : this.#fail(excess);
  }

  /** Deflate without its wrapper may look as if it had one; clients try both. */
  #faulted(fault: string): boolean {
    const early = this.#early;
    if (this.#compression?.kind !== 'zlib' || this.#hasOutput || early === undefined) {
      return this.#fail(`${this.#coding} data is broken: ${fault}`);
    }
    this.#inflater?.close();
    this.#compression = { kind: 'raw-deflate' };
    this.#inflater = new Inflater(this.#compression, this.#buffer);
    return this.#inflate(early, false);
  }

  #fail(problem: string): boolean {
    this.problem ??= problem;
    return false;
  }

  #keep(input: Buffer): Buffer {
    const early = this.#early ?? noBytes;
    const all = early.length === 0 ? input : Buffer.concat([early, input]);
    const isUndecided = this.#compression === undefined && all.length < compressionHeadBytes;
    // While the kind is open, the bytes have to outlive the call.
    this.#early = all.length > earlyBytes ? undefined : isUndecided || all === input ? Buffer.from(all) : all;
    return all;
  }
}

/** Zeros behind the end are padding (tape blocks), which every client takes. */
function isPadding(input: Buffer, from: number): boolean {
  for (let at = from; at < input.length; at++) if (input[at] !== 0) return false;
  return true;
}

/** Decoding is synchronous: one buffer per place in a chain serves all bodies of a process. */
const stepBuffers: StepBuffer[] = [];

function stepBuffer(place: number): StepBuffer {
  let buffer = stepBuffers[place];
  if (buffer === undefined) {
    buffer = new StepBuffer();
    stepBuffers[place] = buffer;
  }
  return buffer;
}
