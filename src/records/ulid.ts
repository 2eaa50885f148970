import { randomFillSync } from 'node:crypto';

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** A ULID of this time: 48 bits of milliseconds and 80 random bits in Crockford's base 32, so that ids sort by time. */
export function newUlid(nowMs: number): string {
  let time = '';
  for (let rest = nowMs; time.length < 10; rest = Math.floor(rest / 32)) time = `${alphabet[rest % 32]}${time}`;
  const random = randomFillSync(new Uint8Array(16));
  return time + Array.from(random, (byte) => alphabet[byte & 31]).join('');
}
