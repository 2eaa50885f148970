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

/** What goes before the first part and what follows the end are `outside`. */
type State = 'outside' | 'delimiter' | 'head' | 'content' | 'failed';

const lf = 0x0a;
const cr = 0x0d;
const dash = 0x2d;
const noBytes = Buffer.alloc(0);
const crByte = Buffer.from([cr]);

/**
 * Cuts a multipart body (RFC 7578) into its parts as it passes. As lenient as the most lenient recipient: lines may end in
 * LF alone, a boundary may be followed by blanks, the end by further parts. What others read otherwise is a problem.
 */
export class FormDataReader {
  readonly #sink: PartSink;
  /** The boundary with the line end before it; what follows decides what it is. */
  readonly #delimiter: Buffer;
  #state: State = 'outside';
  /** Bytes that are not decided: never more than a head or a delimiter line. */
  #rest: Buffer;
  #parts = 0;
  #isInPart = false;
  /** The next byte is the end of the empty line, which may begin a delimiter and is no content. */
  #isAtLineEnd = false;
  /** A CR went before the delimiter that is being looked at. */
  #hadCr = false;
  /** The line ends of delimiters and heads; undefined until one was seen. */
  #isCrLf: boolean | undefined;
  /** The end was seen. */
  #hasEnded = false;
  /** Why parts may have been missed. */
  problem: string | undefined;

  constructor(boundary: string, sink: PartSink) {
    this.#sink = sink;
    this.#delimiter = Buffer.from(`\n--${boundary}`, 'latin1');
    // The first delimiter may stand at the very start.
    this.#rest = Buffer.from([lf]);
  }

  push(chunk: Buffer): void {
    if (this.#hasFailed) return;
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
    if (!this.#hasEnded) this.#fail('multipart without its end');
  }

  /** Reads on from a position; returns the same one when more bytes are needed. */
  #step(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case 'outside':
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
      if (this.#isInPart) this.#noteLineEnd(this.#hadCr);
      this.#endPart();
      this.#hasEnded = true;
      this.#state = 'outside';
      return at + 2;
    }
    let end = at;
    while (end < bytes.length && isBlank(bytes[end])) end++;
    if (end === bytes.length)
      return end - at > limits.httpChunkLineBytes ? this.#fail('multipart with a long boundary line') : at;
    if (bytes[end] !== lf) {
      this.#state = this.#isInPart ? 'content' : 'outside';
      if (this.#isInPart && this.#hadCr) this.#sink.bytes(crByte);
      if (this.#isInPart) this.#sink.bytes(this.#delimiter);
      return this.#readContent(bytes, at);
    }
    this.#noteDelimiter(bytes.subarray(at, end));
    this.#endPart();
    this.#state = 'head';
    return end + 1;
  }

  #readHead(bytes: Buffer, at: number): number {
    const end = headEnd(bytes, at);
    if (end < 0) return bytes.length - at > limits.httpTrailerBytes ? this.#fail('multipart with a long head') : at;
    if (++this.#parts > limits.formFields) return this.#fail(`more than ${limits.formFields} parts`);
    this.#isInPart = true;
    const text = bytes.toString('latin1', at, end);
    if (text.includes('\r\n')) this.#noteLineEnd(true);
    if (/(?:^|[^\r])\n/.test(text)) this.#noteLineEnd(false);
    if (/\r(?!\n)/.test(text)) this.problem ??= 'multipart with a bare CR in a head';
    this.#sink.part(partHead(text));
    this.#state = 'content';
    this.#isAtLineEnd = true;
    return end - 1;
  }

  /** Takes what stands between a boundary and the LF behind it. */
  #noteDelimiter(behind: Buffer): void {
    const isCrLf = behind.at(-1) === cr;
    if (this.#isInPart) this.#noteLineEnd(this.#hadCr);
    this.#noteLineEnd(isCrLf);
    if (behind.length > (isCrLf ? 1 : 0)) this.problem ??= 'multipart with blanks behind a boundary';
    if (this.#hasEnded) this.problem ??= 'parts behind the end of multipart';
  }

  /** Where both kinds stand in a body, strict recipients find fewer delimiters than others. */
  #noteLineEnd(isCrLf: boolean): void {
    this.#isCrLf ??= isCrLf;
    if (this.#isCrLf !== isCrLf) this.problem ??= 'multipart with line ends of two kinds';
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
