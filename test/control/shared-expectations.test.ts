import { expect, test } from 'vitest';
import type { RelayChild } from '../../src/control/relay-child.ts';
import { SharedExpectations } from '../../src/control/shared-expectations.ts';
import type { ToRelay } from '../../src/core/ipc.ts';
import { limits } from '../../src/core/limits.ts';

test('one client has half of all appointments of its data connections at most, and gets places back', () => {
  const sent: ToRelay[] = [];
  const child: RelayChild = {
    slot: 0,
    writer: 0,
    pid: undefined,
    send: (message) => void sent.push(message),
    kill: () => {},
  };
  const shared = new SharedExpectations();
  let tokens = 0;
  const announce = (clientIp: string): unknown => {
    tokens += 1;
    const expected = {
      clientIp,
      session: 's',
      hosts: ['192.0.2.9'],
      port: 1,
      token: `${tokens}`,
      handOverPort: 1,
      isProxied: false,
    };
    shared.announce(child, tokens, expected, []);
    return sent.at(-1);
  };
  for (let index = 0; index < limits.ftpAppointments / 2; index += 1) announce(`2001:db8::${index.toString(16)}`);
  expect(announce('2001:db8::1')).toMatchObject({ kind: 'data-expected', isKnown: false });
  expect(announce('192.0.2.1')).toMatchObject({ kind: 'data-expected', isKnown: true });
  shared.forget('1');
  // What is forgotten twice frees one place.
  shared.forget('1');
  expect(announce('2001:db8::1')).toMatchObject({ isKnown: true });
  expect(announce('2001:db8::1')).toMatchObject({ isKnown: false });
  for (const { token } of shared.open) shared.forget(token);
});
