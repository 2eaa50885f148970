import {
  type ByteSet,
  byteSet,
  complement,
  digits,
  foldCase,
  lineBytes,
  spaces,
  union,
  wordBytes,
} from './byte-set.ts';

/** What an expression means: a tree over bytes. Greedy and lazy repetition are one, because only the match counts. */
export type Syntax =
  | { readonly kind: 'bytes'; readonly set: ByteSet }
  | { readonly kind: 'sequence'; readonly parts: readonly Syntax[] }
  | { readonly kind: 'choice'; readonly parts: readonly Syntax[] }
  | { readonly kind: 'repeat'; readonly part: Syntax; readonly least: number; readonly most: number }
  | { readonly kind: 'assertion'; readonly at: Assertion };

export type Assertion = 'start' | 'end' | 'boundary' | 'no-boundary';

/** Why an expression is refused; the message is for the author of the rule. */
export class ExpressionError extends Error {}

/** Longest counted repetition; each count is a copy of its part in the program. */
const mostRepeats = 500;
/** Groups in groups; real expressions stay under 10. */
const deepestGroup = 50;

/**
 * Parses the part of JavaScript's regular expressions that can be run in time linear in the input: all but back-references
 * and lookaround. Text beyond ASCII stands for its UTF-8 bytes. Throws ExpressionError.
 */
export function parseExpression(source: string, nocase: boolean): Syntax {
  const parser = new Parser(source, nocase);
  return parser.parse();
}

class Parser {
  readonly #source: string;
  #nocase: boolean;
  #at = 0;
  #depth = 0;

  constructor(source: string, nocase: boolean) {
    this.#source = source;
    this.#nocase = nocase;
  }

  parse(): Syntax {
    const syntax = this.#choice();
    if (this.#at < this.#source.length) throw new ExpressionError('a ")" has no "("');
    return syntax;
  }

  #choice(): Syntax {
    const parts = [this.#sequence()];
    while (this.#take('|')) parts.push(this.#sequence());
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : { kind: 'choice', parts };
  }

  #sequence(): Syntax {
    const parts: Syntax[] = [];
    while (this.#at < this.#source.length && !this.#sees('|') && !this.#sees(')')) parts.push(this.#repeated());
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : { kind: 'sequence', parts };
  }

  #repeated(): Syntax {
    const part = this.#atom();
    const counts = this.#quantifier();
    if (counts === undefined) return part;
    if (part.kind === 'assertion') throw new ExpressionError('nothing to repeat');
    this.#take('?');
    if (this.#quantifier() !== undefined) throw new ExpressionError('nothing to repeat');
    return { kind: 'repeat', part, ...counts };
  }

  #quantifier(): { least: number; most: number } | undefined {
    if (this.#take('*')) return { least: 0, most: Number.POSITIVE_INFINITY };
    if (this.#take('+')) return { least: 1, most: Number.POSITIVE_INFINITY };
    if (this.#take('?')) return { least: 0, most: 1 };
    const counted = this.#match(/\{(\d+)(,(\d*))?\}/y);
    if (counted === undefined) return undefined;
    const least = Number(counted[1]);
    const most = counted[2] === undefined ? least : counted[3] === '' ? Number.POSITIVE_INFINITY : Number(counted[3]);
    if (most < least) throw new ExpressionError(`the counts of ${counted[0]} are out of order`);
    if (least > mostRepeats || (Number.isFinite(most) && most > mostRepeats)) {
      throw new ExpressionError(`${counted[0]} repeats more than ${mostRepeats} times`);
    }
    return { least, most };
  }

  #atom(): Syntax {
    if (this.#take('(')) return this.#group();
    if (this.#take('[')) return this.#class();
    if (this.#take('.')) return bytes(lineBytes);
    if (this.#take('^')) return { kind: 'assertion', at: 'start' };
    if (this.#take('$')) return { kind: 'assertion', at: 'end' };
    if (this.#take('\\')) return this.#escape();
    if (this.#match(/[*+?]/y) !== undefined) throw new ExpressionError('nothing to repeat');
    return this.#character(this.#next());
  }

  #group(): Syntax {
    if (++this.#depth > deepestGroup) throw new ExpressionError(`more than ${deepestGroup} groups in each other`);
    const outerCase = this.#nocase;
    if (this.#sees('?')) this.#groupKind();
    const syntax = this.#choice();
    if (!this.#take(')')) throw new ExpressionError('a "(" has no ")"');
    this.#nocase = outerCase;
    this.#depth--;
    return syntax;
  }

  #groupKind(): void {
    if (this.#match(/\?<?[=!]/y) !== undefined) {
      throw new ExpressionError('lookahead and lookbehind cannot be run in linear time');
    }
    const modifier = this.#match(/\?(-?)i:/y);
    if (modifier !== undefined) this.#nocase = modifier[1] === '';
    else if (this.#match(/\?:|\?<[A-Za-z_$][\w$]*>/y) === undefined) {
      throw new ExpressionError('only (...), (?:...), (?<name>...), (?i:...) and (?-i:...) are groups');
    }
  }

  #escape(): Syntax {
    if (this.#match(/[1-9]|k</y) !== undefined) {
      throw new ExpressionError('back-references cannot be run in linear time');
    }
    if (this.#take('b')) return { kind: 'assertion', at: 'boundary' };
    if (this.#take('B')) return { kind: 'assertion', at: 'no-boundary' };
    const set = this.#setEscape();
    return set === undefined ? this.#character(this.#characterEscape()) : bytes(set);
  }

  #setEscape(): ByteSet | undefined {
    const letter = this.#match(/[dDwWsS]/y)?.[0];
    if (letter === undefined) return undefined;
    const set = { d: digits, w: wordBytes, s: spaces }[letter.toLowerCase()] ?? digits;
    return letter === letter.toLowerCase() ? set : complement(set);
  }

  /** What stands behind a backslash and means one character: its code point. */
  #characterEscape(): number {
    const hex = this.#match(/x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}/y);
    // A byte in hexadecimal is that byte, also beyond ASCII, where a character would be two.
    if (hex?.[1] !== undefined) return -Number.parseInt(hex[1], 16) - 1;
    if (hex !== undefined) return Number.parseInt(hex[2] ?? hex[3] ?? '', 16);
    const control = this.#match(/c([A-Za-z])/y)?.[1];
    if (control !== undefined) return control.charCodeAt(0) % 32;
    if (this.#at >= this.#source.length) throw new ExpressionError('a "\\" stands at the end');
    const character = this.#next();
    const known = { n: 10, r: 13, t: 9, v: 11, f: 12, '0': 0 }[String.fromCodePoint(character)];
    if (known !== undefined) return known;
    if (wordBytes[character] === 1 && character !== 0x5f) {
      throw new ExpressionError(`\\${String.fromCodePoint(character)} is not an escape`);
    }
    return character;
  }

  #class(): Syntax {
    const negated = this.#take('^');
    let set: ByteSet = new Uint8Array(256);
    const sequences: Syntax[] = [];
    while (!this.#take(']')) {
      if (this.#at >= this.#source.length) throw new ExpressionError('a "[" has no "]"');
      const member = this.#classMember();
      if (typeof member !== 'number') set = union(set, member);
      else if (this.#match(/-(?!\])/y) !== undefined) set = union(set, range(member, this.#classMember()));
      else if (byteOf(member) === undefined) sequences.push(this.#character(member));
      else set[byteOf(member) ?? 0] = 1;
    }
    if (this.#nocase) set = foldCase(set);
    if (sequences.length === 0) return bytes(negated ? complement(set) : set);
    if (negated) throw new ExpressionError('a negated class can hold only ASCII characters and \\x escapes');
    return { kind: 'choice', parts: [bytes(set), ...sequences] };
  }

  #classMember(): number | ByteSet {
    if (!this.#take('\\')) return this.#next();
    if (this.#take('b')) return 8;
    return this.#setEscape() ?? this.#characterEscape();
  }

  #character(character: number): Syntax {
    const byte = byteOf(character);
    const encoded = byte === undefined ? [...Buffer.from(String.fromCodePoint(character))] : [byte];
    const parts = encoded.map((value) => bytes(this.#nocase ? foldCase(byteSet(value)) : byteSet(value)));
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : { kind: 'sequence', parts };
  }

  #next(): number {
    const character = this.#source.codePointAt(this.#at) ?? 0;
    this.#at += character > 0xffff ? 2 : 1;
    return character;
  }

  #sees(character: string): boolean {
    return this.#source[this.#at] === character;
  }

  #take(character: string): boolean {
    if (!this.#sees(character)) return false;
    this.#at++;
    return true;
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#source) ?? undefined;
    if (match !== undefined) this.#at = pattern.lastIndex;
    return match;
  }
}

function bytes(set: ByteSet): Syntax {
  return { kind: 'bytes', set };
}

/** The byte that a class member or character is; negative numbers are bytes written in hexadecimal. */
function byteOf(character: number): number | undefined {
  if (character < 0) return -character - 1;
  return character < 0x80 ? character : undefined;
}

function range(from: number, to: number | ByteSet): ByteSet {
  const first = byteOf(from);
  const last = typeof to === 'number' ? byteOf(to) : undefined;
  if (first === undefined || last === undefined) {
    throw new ExpressionError('a range in a class can hold only ASCII characters and \\x escapes');
  }
  if (last < first) throw new ExpressionError('a range in a class is out of order');
  return byteSet([first, last]);
}
