import { isUtf8 } from 'node:buffer';

/** Checks text that comes in pieces for being UTF-8; a character may be cut by the end of a piece. */
export class Utf8Stream {
  #rest: Buffer | undefined;

  /** Takes the next piece; false when the text is not UTF-8, whatever follows. */
  push(bytes: Buffer): boolean {
    const piece = this.#rest === undefined ? bytes : Buffer.concat([this.#rest, bytes]);
    const whole = piece.length - cutBytes(piece);
    this.#rest = whole === piece.length ? undefined : Buffer.from(piece.subarray(whole));
    return isUtf8(whole === piece.length ? piece : piece.subarray(0, whole)) && this.#couldGoOn();
  }

  /** Ends the text; false when it ends within a character. Ready for the next text. */
  end(): boolean {
    const isWhole = this.#rest === undefined;
    this.#rest = undefined;
    return isWhole;
  }

  /** RFC 6455 section 8.1: what no further byte can make valid is refused at once. */
  #couldGoOn(): boolean {
    const [first = 0, second] = this.#rest ?? [];
    if (this.#rest === undefined) return true;
    if (first < 0xc2 || first > 0xf4) return false;
    if (second === undefined) return true;
    // RFC 3629 section 4: no overlong forms, no surrogates, nothing beyond U+10FFFF.
    if (first === 0xe0) return second >= 0xa0;
    if (first === 0xed) return second < 0xa0;
    if (first === 0xf0) return second >= 0x90;
    return first !== 0xf4 || second < 0x90;
  }
}

/** Length of a character at the end that is cut, 0 to 3. */
function cutBytes(bytes: Buffer): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}
