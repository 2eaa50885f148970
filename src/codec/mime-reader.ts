import { limits } from '../core/limits.ts';
import { type MimeHead, mimeHead, mimeHeaders } from './mime-header.ts';

/**
 * Takes a mail as it is read: the head of the whole, then each part that is no multipart, its bytes still encoded and with
 * their offset in the mail; those of a part follow each other. The offset is negative for text that stands elsewhere too.
 */
export interface MimeSink {
  head(head: MimeHead): void;
  part(head: MimeHead): void;
  bytes(chunk: Buffer, at: number): void;
  partEnd(): void;
}

type State = 'head' | 'content' | 'between';

const lf = 0x0a;
const cr = 0x0d;
const dash = 0x2d;
const noBytes: Buffer = Buffer.alloc(0);

/**
 * Reads a mail (RFC 5322, RFC 2045) line by line as it passes, nested multiparts and mails in mails too. As lenient as
 * recipients are: lines may end in LF alone. What goes beyond a limit is given as content as it is, and told.
 */
export class MimeReader {
  readonly #sink: MimeSink;
  /** Delimiter lines of the multiparts that are open, outermost first, without line end. */
  readonly #delimiters: string[] = [];
  /** Those of multiparts that have ended, the last few: some recipients go on with a part behind the end. */
  readonly #ended: string[] = [];
  #state: State = 'head';
  #head = '';
  #isWhole = true;
  #parts = 0;
  #isInPart = false;
  /** A line that is not whole and may be a delimiter, or the last line end, which belongs to a delimiter behind it. */
  #rest: Buffer = noBytes;
  #isLineStart = true;
  #lineEnd: Buffer = noBytes;
  #lineEndAt = 0;
  /** What is read now, and the offset of its first byte in the mail. */
  #bytes: Buffer = noBytes;
  #bytesAt = 0;
  /** Why parts may have been missed. */
  problem: string | undefined;
  /** What is given from here on is not taken apart: it went beyond a limit. */
  isBeyondLimits = false;

  constructor(sink: MimeSink) {
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#begin(bytes);
    let at = 0;
    while (at < bytes.length) {
      const next = this.#state === 'head' ? this.#readHead(bytes, at) : this.#readBody(bytes, at);
      if (next < 0) {
        this.#rest = Buffer.from(bytes.subarray(at));
        return;
      }
      at = next;
    }
  }

  end(): void {
    const rest = this.#rest;
    this.#begin(rest);
    if (this.#state === 'head') {
      this.#head += rest.toString('latin1');
      this.#endHead();
    } else if (rest.length > 0 && !this.#isDelimiter(rest)) this.#pass(rest);
    if (this.#lineEnd.length > 0) this.#pass(noBytes);
    this.#endPart();
    if (this.#delimiters.length > 0) this.problem ??= 'multipart without its end';
  }

  #begin(bytes: Buffer): void {
    // What was kept is read again.
    this.#bytesAt += this.#bytes.length - this.#rest.length;
    this.#bytes = bytes;
    this.#rest = noBytes;
  }

  /** Takes one line of a head; negative when it is not whole. */
  #readHead(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(lf, at);
    if (this.#head.length + bytes.length - at > limits.mailHeadBytes && (end < 0 || end - at > limits.mailHeadBytes)) {
      return this.#giveUpHead('a head longer than the limit', bytes, at);
    }
    if (end < 0) return -1;
    const line = bytes.subarray(at, end + 1);
    // Without an empty line the delimiter of the multipart around ends a head.
    if (line[0] === dash && this.#isDelimiter(line)) {
      this.#endHead();
      return at;
    }
    if (line.length <= 2 && (line.length === 1 || line[0] === cr)) {
      this.#endHead();
      return end + 1;
    }
    this.#head += line.toString('latin1');
    if (this.#head.length > limits.mailHeadBytes)
      return this.#giveUpHead('a head longer than the limit', bytes, end + 1);
    return end + 1;
  }

  #giveUpHead(problem: string, bytes: Buffer, at: number): number {
    this.#goBeyond(problem);
    this.#endHead();
    return at < bytes.length ? at : bytes.length;
  }

  #goBeyond(problem: string): void {
    this.problem ??= problem;
    this.isBeyondLimits = true;
  }

  #endHead(): void {
    const head = mimeHead(mimeHeaders(this.#head));
    this.problem ??= head.doubt;
    this.#isLineStart = true;
    if (this.#isWhole) {
      this.#isWhole = false;
      this.#sink.head(head);
    }
    this.#tellOddHead();
    this.#head = '';
    if (head.boundary !== undefined && this.#delimiters.length < limits.mailDepth) {
      this.#delimiters.push(`--${head.boundary}`);
      this.#state = 'between';
      return;
    }
    const isMail = head.type === 'message/rfc822' || head.type === 'message/global';
    if (isMail && /^(?:7bit|8bit|binary)$/.test(head.transferEncoding) && this.#parts < limits.mailParts) {
      this.#parts += 1;
      this.#beginPart(head);
      this.#endPart();
      this.#state = 'head';
      return;
    }
    if (head.boundary !== undefined) this.#goBeyond(`more than ${limits.mailDepth} multiparts in each other`);
    this.#parts += 1;
    this.#beginPart(head);
    this.#state = 'content';
  }

  /** A line that is no field ends the head for some recipients and not for others: what stands there is content too. */
  #tellOddHead(): void {
    if (!oddLine.test(this.#head)) return;
    this.problem ??= 'a line in a head that is no field';
    this.#sink.part(mimeHead([]));
    this.#sink.bytes(Buffer.from(this.#head, 'latin1'), -1);
    this.#sink.partEnd();
  }

  /** Takes content up to the next line that may be a delimiter; negative when that is not whole. */
  #readBody(bytes: Buffer, at: number): number {
    if (this.#delimiters.length === 0 && this.#ended.length === 0) {
      this.#pass(bytes.subarray(at));
      return bytes.length;
    }
    let lineStart = at;
    if (!this.#isLineStart) {
      const end = bytes.indexOf(lf, at);
      if (end < 0) return this.#passOpenLine(bytes, at);
      lineStart = end + 1;
    }
    for (;;) {
      if (bytes[lineStart] === dash && (lineStart + 1 === bytes.length || bytes[lineStart + 1] === dash)) {
        return this.#delimiterLine(bytes, at, lineStart);
      }
      const end = lineStart < bytes.length ? bytes.indexOf(lf, lineStart) : -1;
      if (lineStart === bytes.length) {
        this.#passLines(bytes, at, lineStart);
        return bytes.length;
      }
      if (end < 0) {
        if (lineStart > at) this.#passLines(bytes, at, lineStart);
        return this.#passOpenLine(bytes, lineStart);
      }
      lineStart = end + 1;
    }
  }

  #delimiterLine(bytes: Buffer, at: number, lineStart: number): number {
    if (lineStart > at) this.#passLines(bytes, at, lineStart);
    const end = bytes.indexOf(lf, lineStart);
    if (end < 0 && bytes.length - lineStart <= limits.mailDelimiterBytes) {
      this.#isLineStart = true;
      this.#rest = Buffer.from(bytes.subarray(lineStart));
      return bytes.length;
    }
    if (end < 0) return this.#passOpenLine(bytes, lineStart);
    const line = bytes.subarray(lineStart, end + 1);
    if (!this.#isDelimiter(line)) this.#passLines(bytes, lineStart, end + 1);
    else this.#delimited(line.toString('latin1').trimEnd());
    return end + 1;
  }

  #isDelimiter(line: Buffer): boolean {
    const text = line.toString('latin1').trimEnd();
    if (this.#delimiters.some((delimiter) => text === delimiter || text === `${delimiter}--`)) return true;
    return this.#ended.includes(text);
  }

  /** A delimiter also ends all multiparts within its own that were not ended. */
  #delimited(text: string): void {
    this.#lineEnd = noBytes;
    this.#endPart();
    this.#beginAnew(text);
    while (this.#delimiters.length > 0) {
      const last = this.#delimiters.at(-1) ?? '';
      if (text === `${last}--`) {
        this.#delimiters.pop();
        this.#noteEnd(last);
        this.#state = 'between';
        return;
      }
      if (text === last) break;
      this.#delimiters.pop();
    }
    this.#state = 'head';
    if (this.#parts < limits.mailParts) return;
    this.#goBeyond(`more than ${limits.mailParts} parts`);
    this.#beginPart(mimeHead([]));
    this.#state = 'content';
  }

  #noteEnd(delimiter: string): void {
    if (!this.#ended.includes(delimiter)) this.#ended.push(delimiter);
    if (this.#ended.length > limits.mailDepth) this.#ended.shift();
  }

  /** A part behind the end of its multipart. */
  #beginAnew(text: string): void {
    if (this.#delimiters.includes(text) || !this.#ended.includes(text)) return;
    this.problem ??= 'parts behind the end of multipart';
    this.#delimiters.push(text);
  }

  /** Whole lines, the last line end kept back. */
  #passLines(bytes: Buffer, from: number, to: number): void {
    const width = to - 2 >= from && bytes[to - 2] === cr ? 2 : 1;
    this.#pass(bytes.subarray(from, to - width));
    this.#lineEnd = Buffer.from(bytes.subarray(to - width, to));
    this.#lineEndAt = this.#bytesAt + to - width;
    this.#isLineStart = true;
  }

  /** A line that goes on in the next chunk and is no delimiter; a CR at its end may belong to a line end. */
  #passOpenLine(bytes: Buffer, from: number): number {
    const to = bytes[bytes.length - 1] === cr ? bytes.length - 1 : bytes.length;
    this.#pass(bytes.subarray(from, to));
    this.#isLineStart = false;
    if (to < bytes.length) this.#rest = Buffer.from(bytes.subarray(to));
    return bytes.length;
  }

  #pass(bytes: Buffer): void {
    const lineEnd = this.#lineEnd;
    this.#lineEnd = noBytes;
    if (!this.#isInPart) return;
    if (lineEnd.length > 0) this.#sink.bytes(lineEnd, this.#lineEndAt);
    if (bytes.length > 0) this.#sink.bytes(bytes, this.#bytesAt + bytes.byteOffset - this.#bytes.byteOffset);
  }

  #beginPart(head: MimeHead): void {
    this.#isInPart = true;
    this.#lineEnd = noBytes;
    this.#sink.part(head);
  }

  #endPart(): void {
    if (this.#isInPart) this.#sink.partEnd();
    this.#isInPart = false;
  }
}

const oddLine = /^(?![!-9;-~]+[ \t]*:|[ \t]|\r?$)/m;
