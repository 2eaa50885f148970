import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import type { Header } from '../../src/core/http.ts';
import { limits } from '../../src/core/limits.ts';
import { HeadMemo, headText } from '../../src/records/header-text.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const fields = (count: number, bytes: number): readonly Header[] =>
  Array.from({ length: count }, (_, index) => [`x-${index}`, 'v'.repeat(bytes)] as const);

/** Headers that tell how many of them were looked at. */
function watched(headers: readonly Header[]): { headers: readonly Header[]; looked: () => number } {
  let furthest = -1;
  const seen = new Proxy(headers, {
    get(target, key, receiver) {
      if (typeof key === 'string' && /^\d+$/.test(key)) furthest = Math.max(furthest, Number(key));
      return Reflect.get(target, key, receiver) as unknown;
    },
  });
  return { headers: seen, looked: () => furthest + 1 };
}

describe('the header fields of a record', () => {
  test.each([
    ['many short ones', fields(256, 240)],
    ['a few long ones', fields(20, 3_000)],
  ])('%s are quoted as far as the record has room, and no further', (_what, headers) => {
    const { headers: seen, looked } = watched(headers);
    const text = new HeadMemo().textOf(seen);
    expect(text.isTruncated).toBe(true);
    expect(text.json.length).toBeLessThanOrEqual(limits.recordHeadBytes + 2);
    const shown = (JSON.parse(text.json) as unknown[]).length;
    expect(shown).toBeGreaterThan(0);
    expect(looked()).toBe(shown + 1);
    expect(headText(headers)).toEqual(text);
  });

  test('that fill the record to the last byte are whole', () => {
    const last = (bytes: number): readonly Header[] => [...fields(7, 2_040), ['y', 'w'.repeat(bytes)]];
    const room = limits.recordHeadBytes - (headText(last(0)).json.length - 2);
    expect(headText(last(room))).toMatchObject({ isTruncated: false });
    expect(headText(last(room + 1))).toMatchObject({ isTruncated: true });
    expect(headText([...last(room), ['z', '']])).toMatchObject({ isTruncated: true });
  });

  test('are the same text again, from memory, while they are the same', () => {
    const memo = new HeadMemo();
    const first = memo.textOf(fields(3, 10));
    expect(memo.textOf(fields(3, 10))).toEqual(first);
    expect(memo.textOf(fields(2, 11))).toEqual(headText(fields(2, 11)));
  });

  test.each([
    ['short', fields(30, 200), true],
    ['long', fields(1, 60_000), false],
    ['many', fields(256, 200), false],
  ])('are kept for the next record unless they are long: %s ones', async (_what, headers, isKept) => {
    const memo = new HeadMemo();
    const remember = (): WeakRef<readonly Header[]> => {
      const own = [...headers];
      memo.textOf(own);
      return new WeakRef(own);
    };
    const kept = remember();
    // What a reference was made to lives until the end of the turn.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    expect(kept.deref() !== undefined).toBe(isKept);
    expect(memo.textOf([['a', 'b']]).isTruncated).toBe(false);
  });
});
