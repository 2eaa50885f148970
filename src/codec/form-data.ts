import { limits } from '../core/limits.ts';
import { type Disposition, parseDisposition } from './disposition.ts';

/** Head of a part of a multipart body. */
export interface PartHead extends Disposition {
  /** Content-Type as sent; undefined without one. */
  readonly type: string | undefined;
  /** Content-Transfer-Encoding in lower case; empty without one. Clients of before RFC 7578 send it. */
  readonly transferEncoding: string;
}

/** Takes the parts of a body in order: a head, any number of views on its bytes, an end. */
export interface PartSink {
  part(head: PartHead): void;
  bytes(chunk: Buffer): void;
  partEnd(): void;
}

type State = 'preamble' | 'delimiter' | 'head' | 'content' | 'epilogue' | 'failed';

const lf = 0x0a;
const cr = 0x0d;
const dash = 0x2d;
const noBytes = Buffer.alloc(0);
const crByte = Buffer.from([cr]);

/** The same parameter, wherever a recipient might find it: some search the text alone, within quotes too. */
const anyBoundary = /[;\s"]boundary\s*=/gi;

/** Whether recipients may cut a body by another boundary than `multipartBoundary` tells. */
export function hasSeveralBoundaries(contentType: string): boolean {
  return (contentType.match(anyBoundary)?.length ?? 0) > 1;
}

/** The boundary that a Content-Type names when it is multipart (RFC 2046 section 5.1.1). */
export function multipartBoundary(contentType: string): string | undefined {
  if (!/^\s*multipart\//i.test(contentType)) return undefined;
  const found = /;\s*boundary\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]+))/i.exec(contentType);
  const boundary = found?.[1]?.replace(/\\(.)/g, '$1') ?? found?.[2];
  return boundary === undefined || boundary === '' || boundary.length > 256 ? undefined : boundary;
}

/**
 * Cuts a multipart body (RFC 7578) into its parts as it passes. As lenient as recipients are: lines may end in LF alone,
 * a boundary may be followed by blanks.
 */
export class FormDataReader {
  readonly #sink: PartSink;
  /** The boundary with the line end before it; what follows decides what it is. */
  readonly #delimiter: Buffer;
  #state: State = 'preamble';
  /** Bytes that are not decided: never more than a head or a delimiter line. */
  #rest: Buffer;
  #parts = 0;
  #isInPart = false;
  /** The next byte is the end of the empty line, which may begin a delimiter and is no content. */
  #isAtLineEnd = false;
  /** A CR went before the delimiter that is being looked at. */
  #hadCr = false;
  /** Why parts may have been missed. */
  problem: string | undefined;

  constructor(boundary: string, sink: PartSink) {
    this.#sink = sink;
    this.#delimiter = Buffer.from(`\n--${boundary}`, 'latin1');
    // The first delimiter may stand at the very start.
    this.#rest = Buffer.from([lf]);
  }

  push(chunk: Buffer): void {
    if (this.#state === 'epilogue' || this.#state === 'failed') return;
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    for (let next = this.#step(bytes, at); next !== at; next = this.#step(bytes, at)) at = next;
    const left = this.#hasFailed ? noBytes : bytes.subarray(at);
    this.#rest = left.length === 0 ? noBytes : Buffer.from(left);
  }

  get #hasFailed(): boolean {
    return this.#state === 'failed';
  }

  end(): void {
    if (this.#state === 'content') this.#pass(this.#rest, 0, this.#rest.length);
    this.#endPart();
    if (this.#state !== 'epilogue') this.#fail('multipart without its end');
  }

  /** Reads on from a position; returns the same one when more bytes are needed. */
  #step(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case 'preamble':
      case 'content':
        return this.#readContent(bytes, at);
      case 'delimiter':
        return this.#readDelimiterLine(bytes, at);
      case 'head':
        return this.#readHead(bytes, at);
      default:
        return bytes.length;
    }
  }

  #readContent(bytes: Buffer, at: number): number {
    const found = bytes.indexOf(this.#delimiter, at);
    if (found >= 0) {
      this.#hadCr = found > at && bytes[found - 1] === cr;
      this.#pass(bytes, at, this.#hadCr ? found - 1 : found);
      this.#isAtLineEnd = false;
      this.#state = 'delimiter';
      return found + this.#delimiter.length;
    }
    // The end may be the begin of a delimiter, with a CR before it.
    const safe = Math.max(at, bytes.length - this.#delimiter.length - 1);
    this.#pass(bytes, at, safe);
    return safe;
  }

  /** What follows a boundary: two dashes end the body, a line end begins a part, anything else makes it content. */
  #readDelimiterLine(bytes: Buffer, at: number): number {
    if (bytes.length - at < 2) return at;
    if (bytes[at] === dash && bytes[at + 1] === dash) {
      this.#endPart();
      this.#state = 'epilogue';
      return bytes.length;
    }
    let end = at;
    while (end < bytes.length && isBlank(bytes[end])) end++;
    if (end === bytes.length)
      return end - at > limits.httpChunkLineBytes ? this.#fail('multipart with a long boundary line') : at;
    if (bytes[end] !== lf) {
      this.#state = this.#isInPart ? 'content' : 'preamble';
      if (this.#isInPart && this.#hadCr) this.#sink.bytes(crByte);
      if (this.#isInPart) this.#sink.bytes(this.#delimiter);
      return this.#readContent(bytes, at);
    }
    this.#endPart();
    this.#state = 'head';
    return end + 1;
  }

  #readHead(bytes: Buffer, at: number): number {
    const end = headEnd(bytes, at);
    if (end < 0) return bytes.length - at > limits.httpTrailerBytes ? this.#fail('multipart with a long head') : at;
    if (++this.#parts > limits.formFields) return this.#fail(`more than ${limits.formFields} parts`);
    this.#isInPart = true;
    this.#sink.part(partHead(bytes.toString('latin1', at, end)));
    this.#state = 'content';
    this.#isAtLineEnd = true;
    return end - 1;
  }

  #pass(bytes: Buffer, from: number, to: number): void {
    if (to <= from) return;
    const first = this.#isAtLineEnd ? from + 1 : from;
    this.#isAtLineEnd = false;
    if (this.#isInPart && to > first) this.#sink.bytes(bytes.subarray(first, to));
  }

  #endPart(): void {
    if (this.#isInPart) this.#sink.partEnd();
    this.#isInPart = false;
  }

  #fail(problem: string): number {
    this.problem ??= problem;
    this.#endPart();
    this.#state = 'failed';
    return 0;
  }
}

/** Position behind the empty line, or -1. */
function headEnd(bytes: Buffer, at: number): number {
  let lineStart = at;
  for (;;) {
    const end = bytes.indexOf(lf, lineStart);
    if (end < 0) return -1;
    if (end === lineStart || (end === lineStart + 1 && bytes[lineStart] === cr)) return end + 1;
    lineStart = end + 1;
  }
}

function partHead(text: string): PartHead {
  const unfolded = text.replace(/\r?\n[ \t]+/g, ' ');
  const disposition = /^content-disposition[ \t]*:(.*)$/im.exec(unfolded)?.[1] ?? '';
  const type = /^content-type[ \t]*:[ \t]*(.*?)[ \t]*\r?$/im.exec(unfolded)?.[1];
  const encoding = /^content-transfer-encoding[ \t]*:[ \t]*([\w-]+)/im.exec(unfolded)?.[1];
  return { ...parseDisposition(disposition), type, transferEncoding: encoding?.toLowerCase() ?? '' };
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === cr;
}
