const noBytes: Buffer = Buffer.alloc(0);

/** Undoes a content transfer encoding (RFC 2045 section 6) as it passes. */
export interface TransferDecoder {
  push(bytes: Buffer): Buffer;
  end(): Buffer;
  /** Bytes that wait for those behind them. */
  readonly pendingBytes: number;
}

/** Makes the decoder of an encoding; of one that changes nothing or that nobody knows, none. */
export function transferDecoder(encoding: string): TransferDecoder | undefined {
  if (encoding === 'base64') return new Base64Decoder();
  return encoding === 'quoted-printable' ? new QuotedPrintableDecoder() : undefined;
}

/** As lenient as recipients are: what is not of the alphabet is passed over, and padding in the middle begins anew. */
class Base64Decoder implements TransferDecoder {
  /** Characters of a group that is not whole. */
  #rest = '';

  get pendingBytes(): number {
    return this.#rest.length;
  }

  push(bytes: Buffer): Buffer {
    const text = this.#rest + bytes.toString('latin1').replace(/[^A-Za-z0-9+/=]+/g, '');
    if (text.includes('=')) return this.#pushPadded(text);
    return this.#whole(text);
  }

  end(): Buffer {
    const rest = this.#rest;
    this.#rest = '';
    return Buffer.from(rest, 'base64');
  }

  #whole(text: string): Buffer {
    const length = text.length - (text.length % 4);
    this.#rest = text.slice(length);
    return Buffer.from(text.slice(0, length), 'base64');
  }

  #pushPadded(text: string): Buffer {
    const pieces = text.split(/=+/);
    const last = pieces.pop() ?? '';
    return Buffer.concat([...pieces.map((piece) => Buffer.from(piece, 'base64')), this.#whole(last)]);
  }
}

class QuotedPrintableDecoder implements TransferDecoder {
  /** An escape or soft line break that is not whole. */
  #rest = '';

  get pendingBytes(): number {
    return this.#rest.length;
  }

  push(bytes: Buffer): Buffer {
    const text = this.#rest + bytes.toString('latin1');
    const open = text.lastIndexOf('=');
    // Blanks may stand between the sign and the end of the line; more of them than a line has are no soft break.
    const isOpen = open >= 0 && text.length - open < 80 && /^=(?:[0-9A-Fa-f]?|[ \t]*\r?)$/.test(text.slice(open));
    this.#rest = isOpen ? text.slice(open) : '';
    return decodeQuoted(isOpen ? text.slice(0, open) : text);
  }

  end(): Buffer {
    const rest = this.#rest;
    this.#rest = '';
    return rest === '' ? noBytes : decodeQuoted(rest);
  }
}

function decodeQuoted(text: string): Buffer {
  if (!text.includes('=')) return Buffer.from(text, 'latin1');
  const decoded = text.replace(/=(?:([0-9A-Fa-f]{2})|[ \t]{0,76}\r?\n)/g, (_, hex: string | undefined) =>
    hex === undefined ? '' : String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(decoded, 'latin1');
}
