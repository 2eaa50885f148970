/** Reads HTTP/1.1 responses of a known body size off a connection, and checks that size. Bodies are counted, not kept. */
export class ResponseReader {
  /** Head of the last response, as latin1. */
  head = '';
  readonly #bodyBytes: number;
  readonly #complete: () => void;
  #state: 'head' | 'length' | 'chunk-size' | 'chunk' | 'chunk-end' | 'last-chunk' = 'head';
  #text = '';
  /** Bytes left of the body, or of the current chunk with its line end. */
  #left = 0;
  #seen = 0;

  constructor(bodyBytes: number, complete: () => void) {
    this.#bodyBytes = bodyBytes;
    this.#complete = complete;
  }

  /** Takes bytes as they come; calls `complete` at the end of each response. Throws on what is not expected. */
  receive(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) at = this.#state === 'head' ? this.#readHead(bytes, at) : this.#readBody(bytes, at);
  }

  #readHead(bytes: Buffer, at: number): number {
    const before = this.#text.length;
    this.#text += bytes.toString('latin1', at, Math.min(bytes.length, at + 16_384));
    const end = this.#text.indexOf('\r\n\r\n');
    if (end < 0) return bytes.length;
    this.head = this.#text.slice(0, end + 2);
    this.#text = '';
    this.#startBody();
    return at + end + 4 - before;
  }

  #startBody(): void {
    if (!this.head.startsWith('HTTP/1.1 200')) throw new Error(`unexpected response: ${this.head.split('\r\n')[0]}`);
    this.#seen = 0;
    const length = /\r\ncontent-length: *(\d+)/i.exec(this.head)?.[1];
    this.#state = length === undefined ? 'chunk-size' : 'length';
    this.#left = Number(length ?? 0);
  }

  #readBody(bytes: Buffer, at: number): number {
    if (this.#state === 'chunk-size' || this.#state === 'last-chunk') return this.#readLine(bytes, at);
    const count = Math.min(this.#left, bytes.length - at);
    this.#left -= count;
    if (this.#state !== 'chunk-end') this.#seen += count;
    if (this.#left === 0) this.#endPart();
    return at + count;
  }

  #endPart(): void {
    if (this.#state === 'length') this.#end();
    else if (this.#state === 'chunk') [this.#state, this.#left] = ['chunk-end', 2];
    else this.#state = 'chunk-size';
  }

  #readLine(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(10, at);
    this.#text += bytes.toString('latin1', at, end < 0 ? bytes.length : end + 1);
    if (end < 0) return bytes.length;
    const line = this.#text.trim();
    this.#text = '';
    if (this.#state === 'last-chunk') this.#end();
    else
      [this.#state, this.#left] = [Number.parseInt(line, 16) === 0 ? 'last-chunk' : 'chunk', Number.parseInt(line, 16)];
    return end + 1;
  }

  #end(): void {
    if (this.#seen !== this.#bodyBytes) throw new Error(`body of ${this.#seen} bytes instead of ${this.#bodyBytes}`);
    this.#state = 'head';
    this.#complete();
  }
}
