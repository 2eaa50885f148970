import type { HeadChanges } from '../core/verdict.ts';
import { cr, lf } from './http1-bytes.ts';

/**
 * The head with its fields changed: the lines of every name that is removed or set are left out, and what is set stands at
 * the end. Every other byte stays. `head` was accepted by a parser, and ends with its empty line.
 */
export function changeHead(head: Buffer, changes: HeadChanges): Buffer {
  return changeSection(head, head.indexOf(lf) + 1, changes);
}

/** The same of a trailer section, which has no first line. */
export function changeTrailers(section: Buffer, changes: HeadChanges): Buffer {
  return changeSection(section, 0, changes);
}

function changeSection(head: Buffer, fieldsAt: number, changes: HeadChanges): Buffer {
  const dropped = new Set([...changes.remove, ...changes.set.map(([name]) => name.toLowerCase())]);
  const parts: Buffer[] = [];
  let keptFrom = 0;
  let at = fieldsAt;
  while (at < head.length && head[at] !== cr) {
    const next = head.indexOf(lf, at) + 1;
    const name = head.toString('latin1', at, head.indexOf(':', at)).trim().toLowerCase();
    if (dropped.has(name)) {
      parts.push(head.subarray(keptFrom, at));
      keptFrom = next;
    }
    at = next;
  }
  parts.push(head.subarray(keptFrom, at));
  for (const [name, value] of changes.set) parts.push(Buffer.from(`${name}: ${value}\r\n`, 'latin1'));
  parts.push(head.subarray(at));
  return Buffer.concat(parts);
}
