import type { Wire } from '../../core/relay.ts';

interface ChunkLine {
  /** Octets of the mail before it. */
  readonly at: number;
  readonly octets: number;
  readonly isLast: boolean;
  /** As the client sent it. */
  readonly line: Buffer;
}

/** The BDAT lines of one mail, each to be sent between the octets that it stood between (RFC 3030 section 2). */
export class SmtpChunks {
  readonly #wire: Wire;
  readonly #onLine: (isLast: boolean) => void;
  #lines: ChunkLine[] = [];
  #sent = 0;
  #seen = 0;
  /** Octets that a changed head is longer than the one that came. */
  #shift = 0;

  /** `onLine` is told of each line that was sent. */
  constructor(wire: Wire, onLine: (isLast: boolean) => void) {
    this.#wire = wire;
    this.#onLine = onLine;
  }

  /** Lines that wait. */
  get waiting(): number {
    return this.#lines.length;
  }

  add(line: Buffer, octets: number, isLast: boolean): void {
    // A line of its own: as it came it would hold on to the octets that were received with it, which may be on disk.
    this.#lines.push({ at: this.#seen + this.#shift, octets, isLast, line: Buffer.from(line) });
    this.#seen += octets;
  }

  /** Sends octets, and the lines that stood before them. */
  send(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0) {
      this.flush();
      const next = this.#lines[0];
      const count = next === undefined ? rest.length : Math.min(rest.length, next.at - this.#sent);
      this.#wire.send('origin', rest.subarray(0, count));
      this.#sent += count;
      rest = rest.subarray(count);
    }
  }

  /** Sends the lines that no octet has to come before. */
  flush(): void {
    for (let first = this.#lines[0]; first !== undefined && first.at <= this.#sent; first = this.#lines[0]) {
      this.#lines.shift();
      this.#wire.send('origin', first.line);
      this.#onLine(first.isLast);
    }
  }

  /** Of a mail that nothing was sent of: a head takes the place of its first octets, in a chunk of its own. */
  replaceHead(length: number, headLength: number): void {
    if (this.#lines.length === 0) return;
    this.#shift = headLength - length;
    const changed = this.#lines.flatMap((line): ChunkLine[] => {
      const lost = Math.max(0, Math.min(length, line.at + line.octets) - line.at);
      const octets = line.octets - lost;
      if (octets === 0 && !line.isLast) return [];
      const at = headLength + Math.max(0, line.at - length);
      return [{ ...line, at, octets, line: lost === 0 ? line.line : chunkLine(octets, line.isLast) }];
    });
    const head = { at: 0, octets: headLength, isLast: false, line: chunkLine(headLength, false) };
    this.#lines = headLength === 0 ? changed : [head, ...changed];
  }
}

function chunkLine(octets: number, isLast: boolean): Buffer {
  return Buffer.from(`BDAT ${octets}${isLast ? ' LAST' : ''}\r\n`);
}
