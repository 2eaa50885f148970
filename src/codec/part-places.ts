import type { KeptWindow } from './kept-window.ts';

/** A place of a part where its text can be counted on from: the offset of its byte in the mail, and in the text. */
interface Checkpoint {
  readonly raw: number;
  readonly text: number;
}

/** What is shown instead of one byte of text. */
const asterisk = 0x2a;
const equalsSign = 0x3d;
const lf = 0x0a;

/**
 * Finds and masks bytes of a part's text in the mail as it is sent, still encoded: no length changes, so that no size and
 * no framing does. Text is what rules are given, in UTF-8; it is found again for every transfer encoding and for charsets
 * of one byte a character.
 */
export class PartPlaces {
  readonly #encoding: 'identity' | 'base64' | 'quoted-printable';
  /** Length in UTF-8 of each byte of the charset; undefined where text is the decoded bytes. */
  readonly #widths: Uint8Array | undefined;
  #checkpoints: Checkpoint[] = [];
  #text = 0;
  /** base64: symbols of a group that is not whole, where it began, and whether padding has been seen. */
  #symbols = 0;
  #groupStart = 0;
  #isPadded = false;
  /** Places are not known from here on: what is found cannot be masked. */
  isLost: boolean;

  /** `charset` is one that TextDecoder knows; undefined for UTF-8 and what is read as it stands. */
  constructor(transferEncoding: string, charset: string | undefined) {
    this.#encoding =
      transferEncoding === 'base64' || transferEncoding === 'quoted-printable' ? transferEncoding : 'identity';
    this.#widths = charset === undefined ? undefined : widthsOf(charset);
    this.isLost = charset !== undefined && this.#widths === undefined;
  }

  /** Length of the text so far. */
  get textLength(): number {
    return this.#text;
  }

  /** Takes bytes of the part as sent, their offset in the mail, what they were decoded to, and how many wait for more. */
  push(raw: Buffer, at: number, decoded: Buffer, pending: number): void {
    // What is told a second time stands elsewhere.
    this.isLost ||= at < 0;
    if (this.isLost) return;
    const start = this.#encoding === 'quoted-printable' ? at - pending : this.#symbols > 0 ? this.#groupStart : at;
    this.#checkpoints.push({ raw: start, text: this.#text });
    if (this.#encoding === 'base64') this.#countSymbols(raw, at);
    this.decoded(decoded);
  }

  /** What the end of the part gave besides. */
  decoded(bytes: Buffer): void {
    if (this.#widths === undefined) {
      this.#text += bytes.length;
      return;
    }
    // A byte order mark makes it another text than was declared.
    if (this.#text === 0 && bytes[0] !== undefined && (bytes[0] === 0xef || bytes[0] >= 0xfe)) this.isLost = true;
    for (const byte of bytes) this.#text += this.#widths[byte] ?? 1;
  }

  /** Masks a range of the text; false where a byte of it is not in the window any more, or its place is not known. */
  mask(window: KeptWindow, from: number, to: number): boolean {
    const checkpoint = this.#checkpointBefore(from);
    if (this.isLost || checkpoint === undefined) return false;
    let before: Checkpoint | undefined = checkpoint;
    const visit = (text: number, raw: number): boolean => {
      if (before === undefined) return text < to;
      if (text <= from) before = { raw, text };
      else {
        // Ranges come in a row: the next search begins here.
        if (before.text > checkpoint.text) this.#insert(before);
        before = undefined;
      }
      return text < to;
    };
    switch (this.#encoding) {
      case 'identity':
        return this.#maskPlain(window, checkpoint, from, visit);
      case 'quoted-printable':
        return this.#maskQuoted(window, checkpoint, from, visit);
      case 'base64':
        return this.#maskBase64(window, checkpoint, from, to, visit);
    }
  }

  /** Lets go of checkpoints that stand before an offset of the mail, but for the last. */
  forget(before: number): void {
    let count = 0;
    while (count + 1 < this.#checkpoints.length && (this.#checkpoints[count + 1]?.raw ?? before) <= before) count++;
    if (count > 0) this.#checkpoints.splice(0, count);
  }

  #maskPlain(window: KeptWindow, { raw, text }: Checkpoint, from: number, visit: Visit): boolean {
    let at = raw;
    for (let place = text; visit(place, at); at++) {
      const byte = window.byteAt(at);
      if (byte === undefined) return false;
      if (place >= from) window.setByte(at, asterisk);
      place += this.#widths?.[byte] ?? 1;
    }
    return true;
  }

  #maskQuoted(window: KeptWindow, { raw, text }: Checkpoint, from: number, visit: Visit): boolean {
    let at = raw;
    for (let place = text; visit(place, at); ) {
      const byte = window.byteAt(at);
      if (byte === undefined) return false;
      const skipped = byte === equalsSign ? softBreakAt(window, at) : 0;
      if (skipped > 0) {
        at += skipped;
        continue;
      }
      const escaped = byte === equalsSign ? hexAt(window, at + 1) : undefined;
      if (place >= from && escaped === undefined) window.setByte(at, asterisk);
      else if (place >= from)
        for (const [index, digit] of [0x32, 0x41].entries()) window.setByte(at + 1 + index, digit);
      at += escaped === undefined ? 1 : 3;
      place += this.#widths?.[escaped ?? byte] ?? 1;
    }
    return true;
  }

  #maskBase64(window: KeptWindow, { raw, text }: Checkpoint, from: number, to: number, visit: Visit): boolean {
    let at = raw;
    for (let place = text; visit(place, at); ) {
      const places: number[] = [];
      let symbols = '';
      for (; places.length < 4; at++) {
        const byte = window.byteAt(at);
        // The last group may be short, at the end of the part or before its padding.
        if (byte === undefined || byte === equalsSign) break;
        if (isSymbol[byte] !== 1) continue;
        places.push(at);
        symbols += String.fromCharCode(byte);
      }
      const group = Buffer.from(symbols, 'base64');
      if (group.length === 0) return false;
      let isChanged = false;
      for (const [index, byte] of group.entries()) {
        if (place >= from && place < to) {
          group[index] = asterisk;
          isChanged = true;
        }
        place += this.#widths?.[byte] ?? 1;
      }
      if (!isChanged) continue;
      const again = group.toString('base64');
      for (const [index, place] of places.entries()) window.setByte(place, again.charCodeAt(index));
    }
    return true;
  }

  #countSymbols(raw: Buffer, at: number): void {
    for (const [index, byte] of raw.entries()) {
      if (byte === equalsSign) this.#isPadded = true;
      if (isSymbol[byte] !== 1) continue;
      // Padding in the middle begins the groups anew, differently in different readers.
      if (this.#isPadded) this.isLost = true;
      if (this.#symbols === 0) this.#groupStart = at + index;
      this.#symbols = (this.#symbols + 1) % 4;
    }
  }

  #checkpointBefore(text: number): Checkpoint | undefined {
    return this.#checkpoints.findLast((checkpoint) => checkpoint.text <= text);
  }

  #insert(checkpoint: Checkpoint): void {
    const index = this.#checkpoints.findLastIndex(({ text }) => text <= checkpoint.text);
    this.#checkpoints.splice(index + 1, 0, checkpoint);
  }
}

/** Told of each byte of the text in its order; false when no further one is wanted. */
type Visit = (text: number, raw: number) => boolean;

const isSymbol = new Uint8Array(256);
for (const symbol of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/') {
  isSymbol[symbol.charCodeAt(0)] = 1;
}

/** Length of a soft line break with the sign before it (RFC 2045 section 6.7); 0 where there is none. */
function softBreakAt(window: KeptWindow, at: number): number {
  let end = at + 1;
  while (end - at <= 76 && (window.byteAt(end) === 0x20 || window.byteAt(end) === 0x09)) end++;
  if (window.byteAt(end) === 0x0d) end++;
  return window.byteAt(end) === lf ? end + 1 - at : 0;
}

function hexAt(window: KeptWindow, at: number): number | undefined {
  const text = String.fromCharCode(window.byteAt(at) ?? 0, window.byteAt(at + 1) ?? 0);
  return /^[0-9A-Fa-f]{2}$/.test(text) ? Number.parseInt(text, 16) : undefined;
}

const widths = new Map<string, Uint8Array | undefined>();

/** How long each byte is in UTF-8; undefined for charsets whose characters have more than one byte. */
function widthsOf(charset: string): Uint8Array | undefined {
  if (!/^(?:iso-8859-\d{1,2}(?:-i)?|windows-\d{3,4}|koi8-[ru]|ibm866|macintosh|x-mac-cyrillic)$/.test(charset)) {
    return undefined;
  }
  const known = widths.get(charset);
  if (known !== undefined) return known;
  const decoder = new TextDecoder(charset);
  const table = Uint8Array.from({ length: 256 }, (_, byte) => Buffer.byteLength(decoder.decode(Uint8Array.of(byte))));
  widths.set(charset, table);
  return table;
}
