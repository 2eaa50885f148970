/**
 * What a chunk of mail data came to. `content` is the mail without transparency dots, as views; `wireBytes` counts the
 * bytes of the chunk (with those kept back before it) that are decided and may be passed on.
 */
export interface DataStep {
  readonly content: readonly Buffer[];
  /** Bytes to pass on as they came, the terminator included. */
  readonly wire: Buffer;
  /** Behind the terminator, when it was seen: commands again. */
  readonly rest: Buffer | undefined;
  /** The form that another server could take for the end of the mail. */
  readonly lookAlike: string | undefined;
}

const cr = 0x0d;
const lf = 0x0a;
const dot = 0x2e;
const nul = 0x00;
const noBytes = Buffer.alloc(0);

/**
 * Finds the end of mail data, CRLF.CRLF and nothing else (RFC 5321 section 4.1.1.4), over any segmentation. Every other
 * line that is a lone dot to a lax server (bare CR, bare LF, NUL around it) is reported and never passed on: what follows
 * it would be commands to that server and content to us (SMTP smuggling).
 */
export class DataScanner {
  /** The last two bytes before what is scanned next. */
  #before2 = cr;
  #before1 = lf;
  /** A dot that begins a line, and a CR behind it: not decided yet. */
  #kept: Buffer = noBytes;

  push(chunk: Buffer): DataStep {
    const bytes = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    this.#kept = noBytes;
    const content: Buffer[] = [];
    let from = 0;
    for (let at = bytes.indexOf(dot); at >= 0; at = bytes.indexOf(dot, at + 1)) {
      const before1 = at > 0 ? (bytes[at - 1] ?? 0) : this.#before1;
      if (before1 !== lf && before1 !== cr && before1 !== nul) continue;
      const before2 = at > 1 ? (bytes[at - 2] ?? 0) : at === 1 ? this.#before1 : this.#before2;
      const isLineStart = before1 === lf && before2 === cr;
      const after = bytes[at + 1];
      const after2 = bytes[at + 2];
      if (after === undefined || (after === cr && after2 === undefined)) {
        return this.#partial(bytes, content, from, at);
      }
      if (isLineStart && after === cr && after2 === lf) {
        if (at > from) content.push(bytes.subarray(from, at));
        return { content, wire: bytes.subarray(0, at + 3), rest: bytes.subarray(at + 3), lookAlike: undefined };
      }
      if (after === cr || after === lf || after === nul) {
        return { content, wire: noBytes, rest: undefined, lookAlike: nameOf([before2, before1, dot, after, after2]) };
      }
      // Transparency (RFC 5321 section 4.5.2): the first of the dots that begin a line is not part of the mail.
      if (!isLineStart) continue;
      if (at > from) content.push(bytes.subarray(from, at));
      from = at + 1;
    }
    return this.#partial(bytes, content, from, bytes.length);
  }

  #partial(bytes: Buffer, content: Buffer[], from: number, to: number): DataStep {
    if (to > from) content.push(bytes.subarray(from, to));
    this.#kept = bytes.subarray(to);
    if (to > 1) this.#before2 = bytes[to - 2] ?? 0;
    else if (to === 1) this.#before2 = this.#before1;
    if (to > 0) this.#before1 = bytes[to - 1] ?? 0;
    return { content, wire: bytes.subarray(0, to), rest: undefined, lookAlike: undefined };
  }
}

function nameOf(bytes: readonly (number | undefined)[]): string {
  return bytes.map((byte) => (byte === undefined ? '' : (names.get(byte) ?? '?'))).join('');
}

const names: ReadonlyMap<number, string> = new Map([
  [cr, '<CR>'],
  [lf, '<LF>'],
  [nul, '<NUL>'],
  [dot, '.'],
]);
