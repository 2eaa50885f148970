import { describe, expect, it } from 'vitest';
import { newUlid } from '../../src/records/ulid.ts';

describe('newUlid', () => {
  it('makes 26 characters of the alphabet that never repeat', () => {
    const made = Array.from({ length: 10_000 }, () => newUlid());
    expect(new Set(made).size).toBe(made.length);
    for (const ulid of made) expect(ulid).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
  });

  it('sorts by time', () => {
    expect(newUlid(1_700_000_000_000) < newUlid(1_700_000_000_001)).toBe(true);
    expect(newUlid(1_469_918_176_385).slice(0, 10)).toBe('01ARYZ6S41');
  });
});
