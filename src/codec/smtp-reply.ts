import { limits } from '../core/limits.ts';

/** One reply of a server (RFC 5321 section 4.2), all its lines. */
export interface SmtpReply {
  readonly code: number;
  /** Texts of the lines, latin1, without code and separator. */
  readonly lines: readonly string[];
  /** As it came. */
  readonly raw: Buffer;
}

/** Splits what a server says into replies, over any segmentation. */
export class ReplyReader {
  #pending: Buffer = Buffer.alloc(0);
  #fault: string | undefined;

  /** Why no reply can be read any more; what follows a broken line could be read in two ways. */
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
  next(): SmtpReply | undefined {
    if (this.#fault !== undefined) return undefined;
    const lines: string[] = [];
    let code = -1;
    let from = 0;
    for (;;) {
      const end = this.#pending.indexOf(0x0a, from);
      const length = (end < 0 ? this.#pending.length : end) - from;
      if (length > limits.smtpReplyLineBytes) return this.#fail('a reply line is longer than the limit');
      if (from + length > limits.smtpReplyBytes) return this.#fail('a reply is longer than the limit');
      if (end < 0) return undefined;
      const line = this.#pending.toString('latin1', from, end + 1);
      const [, digits = '', separator, text = ''] = replyLine.exec(line) ?? [];
      if (digits === '' || (code >= 0 && Number(digits) !== code)) return this.#fail('not a reply line');
      code = Number(digits);
      lines.push(text);
      from = end + 1;
      if (separator === '-') continue;
      const raw = this.#pending.subarray(0, from);
      this.#pending = this.#pending.subarray(from);
      return { code, lines, raw };
    }
  }

  #fail(fault: string): undefined {
    this.#fault = fault;
  }
}

/** CRLF ends a line; a CR or LF alone, or a NUL, could end it for one reader and not for another. */
const replyLine = /^([2-5][0-9]{2})(?:([ -])([^\r\n\0]*))?\r\n$/;
