import { expect, test } from 'vitest';
import { createOperationalLog } from '../../src/control/operational-log.ts';
import type { RelayChild } from '../../src/control/relay-child.ts';
import { RelayCrashes } from '../../src/control/relay-crashes.ts';
import { createExposition } from '../../src/metrics/exposition.ts';

/** A relay that keeps what it is asked to record. */
function relay(slot: number): RelayChild & { readonly asked: string[] } {
  const asked: string[] = [];
  const send: RelayChild['send'] = (message) => {
    if (message.kind === 'relay-crashed') asked.push(message.crash.logSource);
  };
  return { slot, writer: slot, pid: undefined, send, kill: () => {}, asked };
}

const lines: string[] = [];
const log = createOperationalLog({ write: (line: string) => lines.push(line) > 0 } as unknown as NodeJS.WritableStream);
const crashOf = (logSource: string) => ({ reason: 'SIGKILL', logSource, openFlows: 0 });
const goesOn = { ready: true, draining: false };

test('a crash is recorded by one relay, and by another when that one goes before it said so', () => {
  const crashes = new RelayCrashes(log, createExposition());
  const [first, second, third] = [relay(0), relay(1), relay(2)];
  crashes.note(0, crashOf('a'), true);
  crashes.ask(new Map([[first, { ready: false, draining: false }]]));
  expect(first.asked).toEqual([]);
  const running = new Map([
    [first, { ready: true, draining: true }],
    [second, goesOn],
  ]);
  crashes.ask(running);
  crashes.ask(running);
  expect([first.asked, second.asked]).toEqual([[], ['a']]);
  crashes.note(1, crashOf('b'), true);
  crashes.ask(new Map([[third, goesOn]]));
  expect(third.asked).toEqual(['a', 'b']);
  crashes.recorded('a');
  crashes.ask(new Map([[first, { ready: true, draining: true }]]));
  expect(first.asked).toEqual(['b']);
  crashes.recorded('b');
  crashes.ask(new Map([[second, goesOn]]));
  expect(second.asked).toEqual(['a']);
});

test('one that drained is counted as a failure, and not as one that is started again', () => {
  const metrics = createExposition();
  const crashes = new RelayCrashes(log, metrics);
  lines.length = 0;
  crashes.note(0, crashOf('a'), false);
  crashes.note(0, crashOf('b'), true);
  expect(metrics.text()).toMatch(/^daylight_relay_restarts_total 1$/m);
  expect(metrics.text()).toMatch(/^daylight_failures_total\{code="GATEWAY_RELAY_CRASHED"\} 2$/m);
  expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
    'a relay ended unexpectedly',
    'a relay ended unexpectedly and is started again',
  ]);
});
