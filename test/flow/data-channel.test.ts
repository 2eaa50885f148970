import { expect, test } from 'vitest';
import { limits } from '../../src/core/limits.ts';
import { openDataChannel } from '../../src/flow/data-channel.ts';
import type { DataChannel } from '../../src/flow/relay/ftp-options.ts';
import { listenForData } from '../../src/net/data-listener.ts';
import { failureCode } from '../support/failure-code.ts';

const open = (shareKey: string): Promise<DataChannel> =>
  openDataChannel({
    mode: 'passive',
    shareKey,
    meet: (accepted) =>
      listenForData({
        place: { kind: 'own', ip: '127.0.0.1' },
        acceptFrom: '127.0.0.1',
        accepted,
        stranger: () => {},
      }),
    dial: () => Promise.reject(new Error('nobody is dialled')),
    secure: () => Promise.reject(new Error('nothing is secured')),
    idleMs: 1_000,
  });

test('one client has half of the data channels of a relay at most, and others have theirs', async () => {
  const channels: DataChannel[] = [];
  for (let index = 0; index < limits.ftpDataChannels / 2; index += 1) channels.push(await open('192.0.2.1'));
  expect(await failureCode(open('192.0.2.1'))).toBe('GATEWAY_OVERLOADED');
  channels.push(await open('192.0.2.2'));
  channels.shift()?.abort();
  channels.push(await open('192.0.2.1'));
  for (const channel of channels) channel.abort();
});
