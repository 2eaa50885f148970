import { decodeWords } from './mime-header.ts';

/** Where something stands in a text of one character per byte. */
export interface MaskedSpan {
  readonly offset: number;
  readonly length: number;
}

/** Finds what is to be masked in a text. */
export type FindSpans = (text: string) => Iterable<MaskedSpan>;

/** Part of a field as it was sent, and as it is read. */
interface Segment {
  readonly raw: string;
  readonly text: string;
  readonly isWord: boolean;
}

/** Of one encoded word, so that it fits into 75 characters (RFC 2047 section 2). */
const wordBytes = 45;
/** Findings in one field: what is masked can be found no more, unless a rule looks for asterisks. */
const mostRounds = 1_000;

/**
 * The value of a field with what is found in it made asterisks: in what a reader sees, encoded words decoded, and else in
 * what was sent. Encoded words in which nothing is found stay as they are. Undefined when nothing is found.
 */
export function maskedField(value: string, find: FindSpans): string | undefined {
  const segments = segmentsOf(value);
  const masked = maskedText(segments.map(({ text }) => text).join(''), find);
  if (masked === undefined) return maskedText(value, find);
  // A rule is asked of both forms, so both are masked.
  const rewritten = rewrittenField(segments, masked);
  return maskedText(rewritten, find) ?? rewritten;
}

/** The field with a text of the same length in place of what it says. */
function rewrittenField(segments: readonly Segment[], masked: string): string {
  let at = 0;
  let result = '';
  for (const { raw, text, isWord } of segments) {
    const part = masked.slice(at, at + text.length);
    at += text.length;
    result += part === text ? raw : isWord ? encodedWords(part) : part;
  }
  return result;
}

/** Folded at blanks where it would be too long for a line (RFC 5322 section 2.1.1). */
export function foldedField(name: string, value: string): string {
  if (name.length + value.length <= 900) return value;
  let lineLength = name.length + 1;
  let folded = '';
  for (const word of value.split(' ')) {
    const isFirst = folded === '';
    const fits = lineLength + 1 + word.length <= 78;
    folded += isFirst ? word : `${fits ? '' : '\r\n'} ${word}`;
    lineLength = isFirst || fits ? lineLength + 1 + word.length : 1 + word.length;
  }
  return folded;
}

function maskedText(text: string, find: FindSpans): string | undefined {
  let masked = text;
  for (let round = 0; round < mostRounds; round++) {
    const before = masked;
    for (const { offset, length } of find(before)) {
      const from = characterStart(before, offset);
      const to = characterEnd(before, offset + length);
      masked = masked.slice(0, from) + '*'.repeat(to - from) + masked.slice(to);
    }
    if (masked === before) return masked === text ? undefined : masked;
  }
  // More than anybody writes: nothing of it is worth to be shown.
  return '*'.repeat(text.length);
}

/** Half a character of UTF-8 would be none. */
function characterStart(text: string, offset: number): number {
  let at = offset;
  while (at > 0 && isContinuation(text, at)) at--;
  return at;
}

function characterEnd(text: string, end: number): number {
  let at = end;
  while (at < text.length && isContinuation(text, at)) at++;
  return at;
}

function isContinuation(text: string, at: number): boolean {
  return (text.charCodeAt(at) & 0xc0) === 0x80;
}

/** Encoded words and what stands between them; blanks between two of them are not read. */
function segmentsOf(value: string): readonly Segment[] {
  const segments: Segment[] = [];
  let end = 0;
  for (const { 0: raw, index } of value.matchAll(encodedWord)) {
    if (index > end) segments.push(plain(value.slice(end, index), segments.length > 0));
    segments.push({ raw, text: decodeWords(raw), isWord: true });
    end = index + raw.length;
  }
  if (end < value.length) segments.push(plain(value.slice(end), false));
  return segments;
}

const encodedWord = /=\?[^?\s]+\?[BbQq]\?[^?\s]*\?=/g;

function plain(raw: string, isBetweenWords: boolean): Segment {
  return { raw, text: isBetweenWords && /^[ \t]+$/.test(raw) ? '' : raw, isWord: false };
}

function encodedWords(text: string): string {
  const words: string[] = [];
  for (let from = 0; from < text.length; ) {
    const most = Math.min(text.length, from + wordBytes);
    const start = most < text.length ? characterStart(text, most) : most;
    const to = start > from ? start : most;
    words.push(`=?utf-8?B?${Buffer.from(text.slice(from, to), 'latin1').toString('base64')}?=`);
    from = to;
  }
  return words.join(' ');
}
