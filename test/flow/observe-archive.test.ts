import { afterEach, expect, test, vi } from 'vitest';
import { ArchiveObserver } from '../../src/flow/observe-archive.ts';
import { zip } from '../support/archives.ts';

afterEach(() => vi.restoreAllMocks());

test('an archive is looked into to its end on a machine that has time for others, too', () => {
  let nowMs = 0;
  // Every look at the clock finds a second gone by.
  vi.spyOn(performance, 'now').mockImplementation(() => {
    nowMs += 1_000;
    return nowMs;
  });
  const observer = new ArchiveObserver(true, undefined);
  const file = zip([...Array(50).keys()].map((index) => ({ name: `${index}.txt`, data: Buffer.alloc(1_000, 'x') })));
  for (let at = 0; at < file.length; at += 100) observer.push(file.subarray(at, at + 100));
  expect(observer.end(true)).toMatchObject({ count: 50, troubles: [] });
});

test('and no further than its time of work goes', () => {
  let worked = 0;
  vi.spyOn(process, 'threadCpuUsage').mockImplementation(() => {
    worked += 1_000_000;
    return { user: worked, system: 0 };
  });
  const observer = new ArchiveObserver(true, undefined);
  observer.push(zip([{ name: 'a.txt', data: Buffer.alloc(1_000, 'x') }]));
  expect(observer.end(true)?.troubles).toEqual(['incomplete']);
});
