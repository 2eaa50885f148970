import type { HeadChanges } from '../core/verdict.ts';

/** What stands in place of the first `length` bytes of a mail. */
export interface ChangedMailHead {
  readonly length: number;
  readonly head: Buffer;
}

const lf = 0x0a;
const dot = 0x2e;
const blanks: ReadonlySet<number | undefined> = new Set([0x20, 0x09]);

/**
 * The head of a mail with its fields changed: the lines of every name that is removed or set are left out, and what is set
 * stands first, where no line can hide it from a reader that ends the head elsewhere. Every other byte stays. `bytes` is
 * the begin of the mail as sent, `isAll` whether it is all of it, `isStuffed` whether its receiver takes a dot off the begin of
 * a line (RFC 5321 section 4.5.2): the rest is the line that counts. Undefined when it has no head that can be changed: one
 * that is longer than these bytes, or begins with the rest of a folded line.
 */
export function changedMailHead(
  bytes: Buffer,
  { isAll, isStuffed }: { readonly isAll: boolean; readonly isStuffed: boolean },
  changes: HeadChanges,
): ChangedMailHead | undefined {
  const startOf = (at: number): number => (isStuffed && bytes[at] === dot ? at + 1 : at);
  if (blanks.has(bytes[startOf(0)])) return undefined;
  const dropped = new Set([...changes.remove, ...changes.set.map(([name]) => name.toLowerCase())]);
  const parts: Buffer[] = changes.set.map(([name, value]) => Buffer.from(`${name}: ${value}\r\n`, 'latin1'));
  let length = 0;
  let keptFrom = 0;
  let isDropped = false;
  for (let at = 0; ; ) {
    const end = bytes.indexOf(lf, at);
    if (end < 0 && !isAll) return undefined;
    // A mail in chunks may end within its head, and within a line of it.
    const next = end < 0 ? bytes.length : end + 1;
    if (next === at || isEndOfHead(bytes.subarray(at, next), isStuffed)) break;
    const wasDropped = isDropped;
    const start = startOf(at);
    if (!blanks.has(bytes[start])) isDropped = dropped.has(nameOf(bytes.subarray(start, next)));
    if (isDropped && !wasDropped) parts.push(bytes.subarray(keptFrom, at));
    if (isDropped) {
      keptFrom = next;
      length = next;
    }
    at = next;
  }
  // Up to the last line that goes: what follows it stays where it is.
  return { length, head: Buffer.concat(parts) };
}

/** An empty line; or the line that ends the whole mail, which in chunks is one like any other. */
function isEndOfHead(line: Buffer, isStuffed: boolean): boolean {
  const text = line.length > 3 ? '' : line.toString('latin1');
  return text === '\r\n' || text === '\n' || (isStuffed && text === '.\r\n');
}

/** Blanks before the colon are an old form that some readers take (RFC 5322 section 4.5). */
function nameOf(line: Buffer): string {
  const colon = line.indexOf(0x3a);
  return colon < 0 || colon > 200 ? '' : line.toString('latin1', 0, colon).trimEnd().toLowerCase();
}
