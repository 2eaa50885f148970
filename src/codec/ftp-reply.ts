import { limits } from '../core/limits.ts';

/** One reply of an FTP server (RFC 959 section 4.2), all its lines. */
export interface FtpReply {
  readonly code: number;
  /** Lines without line ends, latin1; the first and last without code and separator. */
  readonly lines: readonly string[];
  /** As it came. */
  readonly raw: Buffer;
}

/** Splits what a server says into replies, over any segmentation. */
export class FtpReplyReader {
  #pending: Buffer = Buffer.alloc(0);
  #fault: string | undefined;

  /** Why no reply can be read any more. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Bytes that belong to no complete reply. */
  get pendingBytes(): number {
    return this.#pending.length;
  }

  push(bytes: Buffer): void {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
  }

  /** The next complete reply; undefined when there is none or the bytes are none (`fault`). */
  next(): FtpReply | undefined {
    if (this.#fault !== undefined) return undefined;
    const lines: string[] = [];
    let code = '';
    let from = 0;
    for (;;) {
      const end = this.#pending.indexOf(0x0a, from);
      const length = (end < 0 ? this.#pending.length : end) - from;
      if (length > limits.ftpLineBytes) return this.#fail('a reply line is longer than the limit');
      if (from + length > limits.ftpReplyBytes) return this.#fail('a reply is longer than the limit');
      if (end < 0) return undefined;
      const [, line] = plainLine.exec(this.#pending.toString('latin1', from, end + 1)) ?? [];
      if (line === undefined) return this.#fail('not a reply line');
      from = end + 1;
      const [, digits = '', separator, text = ''] = codedLine.exec(line) ?? [];
      if (code === '' && digits === '') return this.#fail('not a reply line');
      const isEdge = code === '' || (digits === code && separator === ' ');
      lines.push(isEdge ? text : line);
      const isLast = separator === ' ' && (code === '' || digits === code);
      if (code === '') code = digits;
      if (!isLast) continue;
      const raw = this.#pending.subarray(0, from);
      this.#pending = this.#pending.subarray(from);
      return { code: Number(code), lines, raw };
    }
  }

  #fail(fault: string): undefined {
    this.#fault = fault;
  }
}

/** CRLF ends a line; a CR or LF alone, or a NUL, could end it for one reader and not for another. */
const plainLine = /^([^\r\n\0]*)\r\n$/;
const codedLine = /^([1-5][0-9]{2})([ -])(.*)$/s;
