import { describe, expect, test } from 'vitest';
import { limits } from '../../src/core/limits.ts';
import { FlowPlaces, flowMostOf } from '../../src/flow/flow-places.ts';

const limitsFile = (files: string): string =>
  `Limit                     Soft Limit           Hard Limit           Units\nMax processes             1000 1000 processes\nMax open files            ${files}              524288               files\n`;

test.each([
  ['1024', 384, 288],
  ['unlimited', limits.flowsPerRelay, limits.flowsPerRelay * 0.75],
  ['1048576', limits.flowsPerRelay, limits.flowsPerRelay * 0.75],
  ['100', 16, 12],
])('with %s descriptors there is room for %i flows, %i of one address', (files, bytes, clientBytes) => {
  expect(flowMostOf(limitsFile(files))).toEqual({ bytes, clientBytes });
});

test('without such a file the limit of the gateway is the only one', () => {
  expect(flowMostOf('').bytes).toBe(limits.flowsPerRelay);
});

describe('one client address', () => {
  test('has its share and no more, until it gives some back', () => {
    const places = new FlowPlaces({ bytes: 4, clientBytes: 3 });
    const taken = ['a', 'a', 'a', 'a', 'b', 'b', 'c'].map((address) => places.take(address));
    expect(taken).toEqual([true, true, true, false, true, false, false]);
    places.give('a');
    expect([places.take('b'), places.take('a')]).toEqual([true, false]);
  });

  test('that is a balancer’s, which tells nothing of its clients, has all of them', () => {
    const places = new FlowPlaces({ bytes: 4, clientBytes: 3 });
    expect([1, 2, 3, 4, 5].map(() => places.take(undefined))).toEqual([true, true, true, true, false]);
  });

  test('has its share behind a balancer as well, once that has told of it', () => {
    const places = new FlowPlaces({ bytes: 4, clientBytes: 3 });
    const claimed = ['a', 'a', 'a', 'a'].map((key) => places.take(undefined) && places.claim(key));
    expect(claimed).toEqual([true, true, true, false]);
    // Whose claim was turned down still has a place, until it is given back.
    expect(places.take('b')).toBe(false);
    places.give(undefined);
    expect([places.take(undefined) && places.claim('b'), places.take(undefined)]).toEqual([true, false]);
    places.give('a');
    expect(places.take('a')).toBe(true);
  });
});
