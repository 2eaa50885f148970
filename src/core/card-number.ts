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

const shortestCard = 13;
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
    while (at < length) {
      if (!this.#active && this.#escapeBytes === 0) {
        const next = skipToDigits(bytes, at);
        this.#remember(bytes, at, next);
        at = next;
      }
      this.#raw(bytes[at] ?? 0, base + at);
      at++;
    }
    this.#offset = base + length;
    return this.#take();
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

/** Whether digits have the prefix and length of a known issuer and a right check digit (ISO/IEC 7812-1 annex B). */
function isCard(digits: Uint8Array, from: number, to: number): boolean {
  let sum = 0;
  for (let index = to - 1, double = false; index >= from; index--, double = !double) {
    const digit = digits[index] ?? 0;
    sum += double ? (digit > 4 ? digit * 2 - 9 : digit * 2) : digit;
  }
  if (sum % 10 !== 0) return false;
  let prefix = 0;
  for (let index = from; index < from + 6; index++) prefix = prefix * 10 + (digits[index] ?? 0);
  return issuers.some(([low, high, lengths]) => prefix >= low && prefix <= high && lengths.includes(to - from));
}

/** Issuer ranges by their first six digits, and the lengths that the issuer uses. */
const issuers: readonly (readonly [low: number, high: number, lengths: readonly number[]])[] = [
  [220000, 220499, [16, 17, 18, 19]], // Mir
  [222100, 272099, [16]], // Mastercard
  [300000, 305999, [14, 16, 17, 18, 19]], // Diners Club
  [309500, 309599, [14, 16, 17, 18, 19]], // Diners Club
  [340000, 349999, [15]], // American Express
  [352800, 358999, [16, 17, 18, 19]], // JCB
  [360000, 369999, [14, 15, 16, 17, 18, 19]], // Diners Club
  [370000, 379999, [15]], // American Express
  [380000, 399999, [14, 16, 17, 18, 19]], // Diners Club
  [400000, 499999, [13, 16, 19]], // Visa
  [501800, 501899, [13, 14, 15, 16, 17, 18, 19]], // Maestro
  [502000, 502099, [13, 14, 15, 16, 17, 18, 19]], // Maestro
  [503800, 503899, [13, 14, 15, 16, 17, 18, 19]], // Maestro
  [506099, 506198, [16, 18, 19]], // Verve
  [508500, 508999, [16]], // RuPay
  [510000, 559999, [16]], // Mastercard
  [589300, 589399, [13, 14, 15, 16, 17, 18, 19]], // Maestro
  [601100, 601199, [16, 17, 18, 19]], // Discover
  [620000, 629999, [16, 17, 18, 19]], // UnionPay, Discover
  [630400, 630499, [13, 14, 15, 16, 17, 18, 19]], // Maestro
  [644000, 659999, [16, 17, 18, 19]], // Discover
  [675900, 676399, [13, 14, 15, 16, 17, 18, 19]], // Maestro
  [810000, 817199, [16, 17, 18, 19]], // UnionPay
  [979200, 979299, [16]], // Troy
];

/**
 * Index from which an idle scanner must read on. Groups have at least three digits, so a look at every third byte meets
 * each; from there it is at most two bytes back to the first digit, and three more to the percent sign of an escape.
 */
function skipToDigits(bytes: Uint8Array, from: number): number {
  const { length } = bytes;
  for (let at = from; at < length; at += shortestGroup) {
    const byte = bytes[at] as number;
    if ((byte >= 0x30 && byte <= 0x39) || byte === 0x25) return Math.max(from, at - 5);
  }
  // What is behind the last look may begin a group that the next bytes complete.
  return Math.max(from, length - 5);
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
