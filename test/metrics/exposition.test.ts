import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { metricsPage } from '../../docs/generate-metrics.ts';
import { count, takeIncrements } from '../../src/metrics/counters.ts';
import { createExposition } from '../../src/metrics/exposition.ts';

describe('metrics', () => {
  it('add up the increments of every process and show the last value of gauges', () => {
    const exposition = createExposition();
    exposition.add({ 'daylight_failures_total{code="CLIENT_GONE"}': 2 });
    exposition.add({ 'daylight_failures_total{code="CLIENT_GONE"}': 3 });
    exposition.set({ 'daylight_flows_open{relay="0"}': 7 });
    exposition.set({ 'daylight_flows_open{relay="0"}': 4 });
    const lines = exposition.text().split('\n');
    expect(lines).toContain('daylight_failures_total{code="CLIENT_GONE"} 5');
    expect(lines).toContain('# TYPE daylight_failures_total counter');
    expect(lines).toContain('daylight_flows_open{relay="0"} 4');
  });

  it('are handed on once', () => {
    takeIncrements();
    count('daylight_alarms_total{severity="high"}');
    count('daylight_alarms_total{severity="high"}', 2);
    expect(takeIncrements()).toEqual({ 'daylight_alarms_total{severity="high"}': 3 });
    expect(takeIncrements()).toEqual({});
  });

  it('are bounded in number', () => {
    takeIncrements();
    for (let series = 0; series < 10_000; series += 1) count(`daylight_test{n="${series}"}`);
    expect(Object.keys(takeIncrements()).length).toBe(4_096);
  });

  it('stand in docs/metrics.md', () => {
    expect(readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8')).toBe(metricsPage());
  });
});
