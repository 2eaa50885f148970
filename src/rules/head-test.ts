import { compileCidrs } from '../codec/cidr.ts';
import { canonicalHost, compileHostPatterns } from '../codec/host.ts';
import type { FieldTest } from '../core/rule-document.ts';
import { findCardNumbers, findCredentials, maskCardNumber, maskCredential } from '../core/sensitive.ts';
import { bytesOfText, byteText } from './byte-text.ts';
import { Expression } from './expression/expression.ts';
import { listOf } from './list-of.ts';

/** Where a test is true in the value of a field. */
export interface HeadHit {
  readonly value: string;
  readonly offset: number;
  readonly length: number;
  /** What a record shows, when it is not a part of the value. */
  readonly excerpt?: string;
}

/** A test of a field that is whole at once: where it is true, or undefined when it is false. */
export type HeadTest = (values: readonly string[]) => HeadHit | undefined;

/** Longest part of a field that a regular expression sees. */
const mostExpressionBytes = 8_192;

/** Part of a value: its offset, its length, what makes it distinct, and what to show for it. */
export interface Span {
  readonly offset: number;
  readonly length: number;
  readonly key?: string;
  readonly excerpt?: string;
}

/** Compiles the test of a field that is not a body. */
export function compileHeadTest(test: FieldTest): HeadTest {
  if (test.exists !== undefined) return existence(test.exists);
  const spans = compileSpans(test);
  const count = test.count ?? 1;
  return (values) => (count === 1 ? firstOf(values, spans) : lastOfDistinct(values, spans, count));
}

function existence(expected: boolean): HeadTest {
  return (values) => (values.length > 0 === expected ? { value: '', offset: 0, length: 0 } : undefined);
}

function firstOf(values: readonly string[], spans: (value: string) => Iterable<Span>): HeadHit | undefined {
  for (const value of values) for (const span of spans(value)) return { value, ...span };
  return undefined;
}

/** The match that makes the count full. */
function lastOfDistinct(
  values: readonly string[],
  spans: (value: string) => Iterable<Span>,
  count: number,
): HeadHit | undefined {
  const seen = new Set<string>();
  for (const value of values) {
    for (const span of spans(value)) {
      seen.add(span.key ?? value.slice(span.offset, span.offset + span.length));
      if (seen.size === count) return { value, ...span };
    }
  }
  return undefined;
}

/** What is true of one value: all spans of it that the operator finds. */
export function compileSpans(
  test: FieldTest,
  matches: 'shortest' | 'longest' = 'shortest',
): (value: string) => Iterable<Span> {
  const fold = test.nocase === true || test.field === 'http.host' || test.field === 'tls.sni';
  const folded = (value: string): string => (fold ? value.toLowerCase() : value);
  const texts = (list: FieldTest['equals']): readonly string[] =>
    listOf(list).map((text) => folded(byteText(String(text))));
  if (test.equals !== undefined) {
    const wanted = new Set(texts(test.equals));
    return whole((value) => wanted.has(folded(value)));
  }
  if (test.prefix !== undefined)
    return affixes(texts(test.prefix), folded, (value, text) => (value.startsWith(text) ? 0 : -1));
  if (test.suffix !== undefined) {
    return affixes(texts(test.suffix), folded, (value, text) =>
      value.endsWith(text) ? value.length - text.length : -1,
    );
  }
  if (test.contains !== undefined) return affixes(texts(test.contains), folded, (value, text) => value.indexOf(text));
  if (test.regex !== undefined)
    return expressionSpans(new Expression(test.regex, test.nocase === true), matches === 'longest');
  if (test.detector !== undefined) return detectorSpans(test.detector);
  return compileValueTest(test);
}

function compileValueTest(test: FieldTest): (value: string) => Iterable<Span> {
  const { hosts, cidr, greaterThan, lessThan } = test;
  if (hosts !== undefined) {
    const covers = compileHostPatterns(hosts);
    return whole(lastRemembered((value) => covers(canonicalHost(value) ?? value)));
  }
  if (cidr !== undefined) return whole(compileCidrs(cidr));
  if (greaterThan !== undefined) return whole((value) => numberOf(value) > greaterThan);
  if (lessThan !== undefined) return whole((value) => numberOf(value) < lessThan);
  throw new RangeError(`no operator for ${test.field}`);
}

const nowhere: readonly Span[] = [];

function whole(holds: (value: string) => boolean): (value: string) => readonly Span[] {
  return (value) => (holds(value) ? [{ offset: 0, length: value.length }] : nowhere);
}

/** The exchanges of a connection mostly name one host, and what is true of it stays true. */
function lastRemembered(holds: (value: string) => boolean): (value: string) => boolean {
  let lastValue = '';
  let lastHolds = holds(lastValue);
  return (value) => {
    if (value !== lastValue) {
      lastHolds = holds(value);
      lastValue = value;
    }
    return lastHolds;
  };
}

function affixes(
  texts: readonly string[],
  folded: (value: string) => string,
  find: (value: string, text: string) => number,
): (value: string) => readonly Span[] {
  return (value) => {
    const compared = folded(value);
    let spans: Span[] | undefined;
    for (const text of texts) {
      const offset = find(compared, text);
      if (offset < 0) continue;
      spans ??= [];
      spans.push({ offset, length: text.length, key: text });
    }
    return spans ?? nowhere;
  };
}

function expressionSpans(expression: Expression, isLongest: boolean): (value: string) => Iterable<Span> {
  return (value) => {
    const bytes = bytesOfText(value.slice(0, mostExpressionBytes));
    return isLongest ? expression.longestMatches(bytes) : expression.matches(bytes);
  };
}

function detectorSpans(detector: NonNullable<FieldTest['detector']>): (value: string) => Iterable<Span> {
  if (detector === 'card_number') {
    return (value) =>
      findCardNumbers(value).map(({ digits, offset, bytes }) => ({
        offset,
        length: bytes,
        key: digits,
        excerpt: maskCardNumber(digits),
      }));
  }
  return (value) =>
    findCredentials(value, detector).map(({ pattern, offset, text }) => ({
      offset,
      length: text.length,
      key: text,
      excerpt: maskCredential(text, pattern),
    }));
}

/** Digits alone make a number, so that an empty or odd header value is neither more nor less than anything. */
function numberOf(value: string): number {
  return /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
}
