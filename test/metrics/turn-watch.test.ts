import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { TurnWatch } from '../../src/metrics/turn-watch.ts';

let watch: TurnWatch;
beforeEach(async () => {
  watch = new TurnWatch();
  await sleep(50);
  watch.take();
});
afterEach(() => watch.stop());

it('tells of a turn that computes, in time and in CPU time, once', async () => {
  const before = process.threadCpuUsage();
  const usedMs = (): number => {
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / 1_000;
  };
  while (usedMs() < 150);
  await sleep(50);
  const { delayMs, cpuMs } = watch.take();
  expect(cpuMs).toBeGreaterThanOrEqual(150);
  expect(delayMs).toBeGreaterThanOrEqual(125);
  await sleep(50);
  expect(watch.take().cpuMs).toBeLessThan(100);
});

it('tells a turn that stood still from one that computed', async () => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  await sleep(50);
  const { delayMs, cpuMs } = watch.take();
  expect(delayMs).toBeGreaterThanOrEqual(175);
  expect(cpuMs).toBeLessThan(100);
});
