import type { SmtpReply } from './smtp-reply.ts';

/** What a server may offer through the gateway. */
export interface OfferPolicy {
  readonly starttls: boolean;
  readonly xclient: boolean;
}

/** An EHLO reply as the client gets it. */
export interface Offer {
  readonly raw: Buffer;
  /** Keywords that the server offers, in upper case, before anything was removed. */
  readonly keywords: ReadonlySet<string>;
  /** What was removed: keywords, and mechanisms of AUTH. */
  readonly removed: readonly string[];
}

/**
 * Removes from an offer what would blind the inspector or cannot work through it: an extension that is not known here may
 * frame what follows in a way of its own (BURL, XEXCH50), and channel binding (RFC 5802 section 6) ties AUTH to a TLS
 * session that ends at the gateway.
 */
export function filterOffer(reply: SmtpReply, policy: OfferPolicy): Offer {
  const keywords = new Set<string>();
  const removed: string[] = [];
  const kept: string[] = [];
  for (const [index, line] of reply.lines.entries()) {
    // The first line is the server's name (RFC 5321 section 4.1.1.1).
    const passed = index === 0 ? line : filterLine(line, policy, keywords, removed);
    if (passed !== undefined) kept.push(passed);
  }
  const isWhole = removed.length === 0;
  return { raw: isWhole ? reply.raw : replyOf(reply.code, kept), keywords, removed };
}

function filterLine(line: string, policy: OfferPolicy, keywords: Set<string>, removed: string[]): string | undefined {
  const [word = '', ...rest] = line.split(/[ =]/);
  const keyword = word.toUpperCase();
  keywords.add(keyword);
  if (!isPassed(keyword, policy)) {
    removed.push(keyword);
    return undefined;
  }
  if (keyword !== 'AUTH') return line;
  const mechanisms = rest.filter((mechanism) => !mechanism.toUpperCase().endsWith('-PLUS'));
  if (mechanisms.length === rest.length) return line;
  for (const mechanism of rest) if (!mechanisms.includes(mechanism)) removed.push(`AUTH ${mechanism.toUpperCase()}`);
  return `${line.slice(0, word.length + 1)}${mechanisms.join(' ')}`;
}

function isPassed(keyword: string, policy: OfferPolicy): boolean {
  if (keyword === 'STARTTLS') return policy.starttls;
  if (keyword === 'XCLIENT' || keyword === 'XFORWARD') return policy.xclient;
  return passedKeywords.has(keyword);
}

const passedKeywords: ReadonlySet<string> = new Set([
  '8BITMIME',
  'AUTH',
  'BINARYMIME',
  'CHUNKING',
  'CONNEG',
  'CONPERM',
  'DELIVERBY',
  'DSN',
  'ENHANCEDSTATUSCODES',
  'ETRN',
  'EXPN',
  'FUTURERELEASE',
  'HELP',
  'LIMITS',
  'MT-PRIORITY',
  'MTRK',
  'NO-SOLICITING',
  'PIPELINING',
  'REQUIRETLS',
  'RRVS',
  'SIZE',
  'SMTPUTF8',
  'UTF8SMTP',
  'VRFY',
]);

/** A reply of several lines. */
function replyOf(code: number, lines: readonly string[]): Buffer {
  const last = lines.length - 1;
  return Buffer.from(lines.map((line, index) => `${code}${index === last ? ' ' : '-'}${line}\r\n`).join(''), 'latin1');
}
