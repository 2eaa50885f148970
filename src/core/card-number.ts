import { isCard } from './card-issuer.ts';
import { cardSyncBytes, nextCardRun, shortestCard } from './card-run.ts';

/** A payment card number found in a run of bytes. */
export interface CardNumber {
  /** Digits alone, without separators. */
  readonly digits: string;
  /** Offset of the first digit, from the first byte ever given to the scanner. */
  readonly offset: number;
  /** Length as written, separators included. */
  readonly bytes: number;
  /** Offset behind the byte that showed the number to be complete. */
  readonly readTo: number;
}

const longestCard = 19;
/** Groups of a card at most: a 19-digit number in groups of at least 3. */
const mostGroups = 6;
/** Printed cards have groups of 3 (a 19-digit tail) to 13 digits; shorter groups are dates, times and lists. */
const shortestGroup = 3;
const none: readonly CardNumber[] = [];

/**
 * Finds card numbers in a stream of bytes in one pass: 13 to 19 digits, plain or in groups with one space, hyphen or
 * plus (a space in form encoding) between, percent escapes read as what they stand for; with a known issuer prefix,
 * a length of that issuer, and the Luhn check digit; never a part of a longer run of digits, a word or a fraction.
 */
export class CardNumberScanner {
  #offset = 0;
  /** The two logical bytes before the next one. */
  #previous = 0;
  #beforePrevious = 0;
  /** Of a percent escape: its bytes so far, 0 to 2, and the first hex digit. */
  #escapeBytes = 0;
  #escapeHigh = 0;
  #separator = 0;
  #active = false;
  /** Groups of digits that may begin a number: where they start, their sizes, whether a number may start there. */
  #groups = 0;
  readonly #starts = new Float64Array(mostGroups + 1);
  readonly #sizes = new Uint8Array(mostGroups + 1);
  readonly #opens = new Uint8Array(mostGroups + 1);
  /** Digits of the groups, and behind them those of the run that is open. */
  readonly #digits = new Uint8Array(2 * longestCard + 1);
  #grouped = 0;
  #open = false;
  #openSize = 0;
  #openStart = 0;
  #openLeft = false;
  #found: CardNumber[] = [];

  /** Takes the next bytes; returns the numbers that are now known to be complete. */
  push(bytes: Uint8Array): readonly CardNumber[] {
    const base = this.#offset;
    const { length } = bytes;
    let at = 0;
    let runEnd = 0;
    while (at < length) {
      if (at >= runEnd && !this.#active && this.#escapeBytes === 0) {
        const run = nextCardRun(bytes, at);
        runEnd = run + shortestCard;
        const next = Math.max(at, run - cardSyncBytes);
        this.#remember(bytes, at, next);
        at = next;
      }
      const byte = bytes[at] as number;
      if (this.#escapeBytes === 0 && isDigit(byte)) at = this.#run(bytes, at, base);
      else this.#raw(byte, base + at++);
    }
    this.#offset = base + length;
    return this.#take();
  }

  /** How many of the last bytes may belong to a number that is not complete. */
  get pendingBytes(): number {
    const begun = this.#groups > 0 ? (this.#starts[0] ?? 0) : this.#open ? this.#openStart : this.#offset;
    return Math.max(this.#offset - begun, this.#escapeBytes);
  }

  /** Ends the stream: a number at its very end is complete now. */
  end(): readonly CardNumber[] {
    this.#breakEscape(this.#offset);
    this.#other(0, this.#offset, this.#offset);
    return this.#take();
  }

  #take(): readonly CardNumber[] {
    if (this.#found.length === 0) return none;
    const found = this.#found;
    this.#found = [];
    return found;
  }

  /** Takes the digits from an index on; returns the index behind them. */
  #run(bytes: Uint8Array, from: number, base: number): number {
    let at = from;
    for (let byte = bytes[at] as number; isDigit(byte); byte = bytes[at] ?? 0) {
      this.#digit(byte, base + at++);
      // Whatever follows, a run that is too long stays too long.
      if (this.#openSize > longestCard) while (isDigit(bytes[at] ?? 0)) at++;
    }
    this.#remember(bytes, from, at);
    return at;
  }

  #remember(bytes: Uint8Array, from: number, to: number): void {
    if (to === from) return;
    this.#beforePrevious = to - from >= 2 ? (bytes[to - 2] ?? 0) : this.#previous;
    this.#previous = bytes[to - 1] ?? 0;
  }

  #raw(byte: number, offset: number): void {
    if (this.#escapeBytes === 0) {
      if (byte === 0x25) this.#escapeBytes = 1;
      else this.#feed(byte, offset, offset + 1);
      return;
    }
    const hex = hexValue(byte);
    if (hex < 0) {
      this.#breakEscape(offset);
      this.#raw(byte, offset);
    } else if (this.#escapeBytes === 1) {
      this.#escapeBytes = 2;
      this.#escapeHigh = byte;
    } else {
      this.#escapeBytes = 0;
      this.#feed(hexValue(this.#escapeHigh) * 16 + hex, offset - 2, offset + 1);
    }
  }

  /** The bytes after a percent sign were no escape: they stand for themselves. */
  #breakEscape(offset: number): void {
    const pending = this.#escapeBytes;
    this.#escapeBytes = 0;
    if (pending > 0) this.#feed(0x25, offset - pending, offset + 1);
    if (pending > 1) this.#feed(this.#escapeHigh, offset - 1, offset + 1);
  }

  /** Takes one logical byte: where it starts, and how far had to be read to know it. */
  #feed(byte: number, start: number, readTo: number): void {
    if (isDigit(byte)) this.#digit(byte, start);
    else if (this.#open && isSeparator(byte)) this.#separate(byte, start, readTo);
    else this.#other(byte, start, readTo);
    this.#beforePrevious = this.#previous;
    this.#previous = byte;
  }

  #digit(byte: number, start: number): void {
    if (!this.#open) {
      this.#open = true;
      this.#openStart = start;
      this.#openSize = 0;
      this.#openLeft = this.#active || opensNumber(this.#beforePrevious, this.#previous);
      this.#active = true;
    }
    // One digit beyond the longest card is kept, to know that the run is too long.
    if (this.#openSize <= longestCard) this.#digits[this.#grouped + this.#openSize++] = byte - 0x30;
  }

  #separate(separator: number, start: number, end: number): void {
    this.#closeGroup(start, end);
    if (this.#groups > 1 && separator !== this.#separator) this.#dropGroups(this.#groups - 1);
    this.#separator = separator;
  }

  #other(byte: number, start: number, end: number): void {
    if (this.#open && !isWordByte(byte)) this.#closeGroup(start, end);
    this.#open = false;
    this.#active = false;
    this.#dropGroups(this.#groups);
  }

  #closeGroup(end: number, readTo: number): void {
    this.#open = false;
    const size = this.#openSize;
    if (size < shortestGroup || size > longestCard) {
      this.#dropGroups(this.#groups);
      return;
    }
    this.#starts[this.#groups] = this.#openStart;
    this.#sizes[this.#groups] = size;
    this.#opens[this.#groups] = this.#openLeft ? 1 : 0;
    this.#groups++;
    this.#grouped += size;
    let surplus = 0;
    for (let rest = this.#grouped; rest > longestCard; surplus++) rest -= this.#sizes[surplus] ?? 0;
    this.#dropGroups(surplus);
    if (this.#grouped >= shortestCard) this.#judge(end, readTo);
  }

  #dropGroups(count: number): void {
    if (count === this.#groups) {
      this.#groups = 0;
      this.#grouped = 0;
    }
    if (count === 0 || this.#groups === 0) return;
    let digits = 0;
    for (let index = 0; index < count; index++) digits += this.#sizes[index] ?? 0;
    this.#digits.copyWithin(0, digits, this.#grouped);
    this.#starts.copyWithin(0, count, this.#groups);
    this.#sizes.copyWithin(0, count, this.#groups);
    this.#opens.copyWithin(0, count, this.#groups);
    this.#groups -= count;
    this.#grouped -= digits;
  }

  /** Whether the groups so far end in a card number: the longest reading counts. */
  #judge(end: number, readTo: number): void {
    for (let index = 0, from = 0; this.#grouped - from >= shortestCard; from += this.#sizes[index++] ?? 0) {
      if (this.#opens[index] === 0 || !isCard(this.#digits, from, this.#grouped)) continue;
      const offset = this.#starts[index] ?? 0;
      const digits = this.#digits.subarray(from, this.#grouped).join('');
      this.#found.push({ digits, offset, bytes: end - offset, readTo });
      this.#dropGroups(this.#groups);
      return;
    }
  }
}

/**
 * Digits that follow a letter belong to an identifier or a digest, and digits after "0." to a fraction. A letter that
 * ends a JSON escape (`\n4111...`) is none.
 */
function opensNumber(beforePrevious: number, previous: number): boolean {
  if (previous === 0x2e) return !isDigit(beforePrevious);
  if (!isWordByte(previous)) return true;
  return beforePrevious === 0x5c && (previous === 0x6e || previous === 0x72 || previous === 0x74);
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isSeparator(byte: number): boolean {
  return byte === 0x20 || byte === 0x2d || byte === 0x2b;
}

function isWordByte(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x41 && byte <= 0x5a) || byte === 0x5f;
}

function hexValue(byte: number): number {
  if (isDigit(byte)) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
