/**
 * Splits what one side sends over TLS into records (RFC 8446 section 5.1), of which nothing but the border is read: where
 * TLS ends in mid-stream, what stands behind its last record is something else.
 */
export class TlsRecords {
  #held: Buffer = nothing;
  /** A record that no side may send: nothing is split any more, for TLS itself to refuse it. */
  #isBroken = false;

  push(bytes: Buffer): void {
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
  }

  /** The next record once it is there as a whole. */
  take(): Buffer | undefined {
    if (this.#isBroken) return this.rest();
    if (this.isForeign || this.#held.length < headerBytes) return undefined;
    const length = headerBytes + this.#held.readUInt16BE(3);
    this.#isBroken = length > largestRecordBytes;
    if (this.#isBroken) return this.rest();
    if (this.#held.length < length) return undefined;
    const record = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    return record;
  }

  /** Bytes that were not taken. */
  get length(): number {
    return this.#held.length;
  }

  /** What stands behind the last record is none. */
  get isForeign(): boolean {
    const [type] = this.#held;
    return type !== undefined && !this.#isBroken && (type < firstType || type > lastType);
  }

  /** Everything that was not taken. */
  rest(): Buffer | undefined {
    const rest = this.#held;
    this.#held = nothing;
    return rest.length === 0 ? undefined : rest;
  }
}

const nothing = Buffer.alloc(0);
const headerBytes = 5;
/** Of TLS 1.2, whose records may grow most under encryption (RFC 5246 section 6.2.3). */
const largestRecordBytes = headerBytes + 16_384 + 2_048;
/** From change_cipher_spec to heartbeat. */
const firstType = 20;
const lastType = 24;
