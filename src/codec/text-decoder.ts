/** Turns bytes of an encoding into text as they come. */
export interface TextStream {
  decode(bytes: Buffer, options: { readonly stream: boolean }): string;
}

/**
 * Reads an encoding as browsers do (WHATWG Encoding). The decoders of Big5 and Shift_JIS that Node has take the byte behind
 * one that begins a character for its second half even where both mean nothing; browsers show it if it is ASCII, so that
 * `\x81secret` would be read without its `s` here, and with it there. Throws RangeError for a label that nobody knows.
 */
export function textStream(label: string): TextStream {
  const decoder = new TextDecoder(label);
  const { encoding } = decoder;
  return encoding === 'big5' || encoding === 'shift_jis' ? new PairStream(encoding) : decoder;
}

/** One encoding of bytes and pairs of bytes. */
interface PairTable {
  /** What each byte means by itself; `begins` where it begins a pair. */
  readonly bytes: Uint16Array;
  /** What two bytes mean; 0 for nothing. */
  readonly pairs: Uint16Array;
}

const begins = 0;
const replacement = 0xfffd;
const firstLead = 0x81;

class PairStream implements TextStream {
  readonly #table: PairTable;
  /** The first byte of a pair whose second one has not come. */
  #lead = 0;

  constructor(encoding: 'big5' | 'shift_jis') {
    this.#table = tableOf(encoding);
  }

  decode(bytes: Buffer, { stream }: { readonly stream: boolean }): string {
    const { bytes: single, pairs } = this.#table;
    const units = Buffer.allocUnsafe(4 * bytes.length + 2);
    let length = 0;
    const put = (unit: number): void => {
      length = units.writeUInt16LE(unit, length);
    };
    let lead = this.#lead;
    for (const byte of bytes) {
      if (lead !== 0) {
        const unit = pairs[(lead << 8) | byte] ?? 0;
        lead = 0;
        put(unit === 0 ? replacement : unit);
        if (unit !== 0 || byte >= 0x80) continue;
      }
      const unit = byte < 0x80 ? byte : (single[byte] ?? replacement);
      if (unit === begins && byte !== 0) lead = byte;
      else put(unit);
    }
    this.#lead = stream ? lead : 0;
    if (!stream && lead !== 0) put(replacement);
    return units.toString('utf16le', 0, length);
  }
}

const tables = new Map<string, PairTable>();

/** Asks Node's decoder for every pair, once. */
function tableOf(encoding: 'big5' | 'shift_jis'): PairTable {
  const known = tables.get(encoding);
  if (known !== undefined) return known;
  const decoder = new TextDecoder(encoding);
  const isJapanese = encoding === 'shift_jis';
  const bytes = Uint16Array.from({ length: 256 }, (_, byte) => {
    if (isJapanese && byte >= 0xa1 && byte <= 0xdf) return 0xff61 - 0xa1 + byte;
    if (byte < firstLead || byte === 0xff || (isJapanese && (byte === 0xa0 || byte > 0xfc))) {
      return byte < 0x80 || (isJapanese && byte === 0x80) ? byte : replacement;
    }
    return begins;
  });
  const pairs = new Uint16Array(0x10000);
  for (let lead = firstLead; lead < 0xff; lead += 1) {
    if (bytes[lead] !== begins) continue;
    for (let trail = 0x40; trail < 0xff; trail += 1) {
      const text = decoder.decode(Uint8Array.of(lead, trail));
      const unit = text.charCodeAt(0);
      // Characters for private use: of Shift_JIS those of its own rows stand in browsers too.
      const isPrivate = unit >= 0xe000 && unit <= 0xf8ff && !(isJapanese && lead >= 0xf0 && lead <= 0xf9);
      if (text.length === 1 && unit !== replacement && !isPrivate) pairs[(lead << 8) | trail] = unit;
    }
  }
  const table = { bytes, pairs };
  tables.set(encoding, table);
  return table;
}
