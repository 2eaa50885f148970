import { randomFillSync } from 'node:crypto';

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** Random bytes are drawn in bulk: one system call serves 256 identifiers. */
const pool = Buffer.alloc(4_096);
let used = pool.length;
let lastMs = 0;
let timePart = '';

/** A new ULID: 48 bits of milliseconds and 80 random bits in Crockford's base 32, so that ids sort by time. */
export function newUlid(nowMs = Date.now()): string {
  if (nowMs !== lastMs) {
    lastMs = nowMs;
    timePart = encodeTime(nowMs);
  }
  if (used + 16 > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  let text = timePart;
  // 16 characters of 5 bits: a byte each keeps the loop simple, three of its bits stay unused.
  for (let index = 0; index < 16; index += 1) text += alphabet[(pool[used + index] ?? 0) & 31];
  used += 16;
  return text;
}

function encodeTime(nowMs: number): string {
  let rest = nowMs;
  let text = '';
  for (let index = 0; index < 10; index += 1) {
    text = `${alphabet[rest % 32]}${text}`;
    rest = Math.floor(rest / 32);
  }
  return text;
}
