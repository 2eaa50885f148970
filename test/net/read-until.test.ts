import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { firstToSpeak, hasSpoken, readUntil } from '../../src/net/read-until.ts';
import { failureCode } from '../support/failure-code.ts';
import { sleep, socketPair } from '../support/tcp.ts';

const limits = {
  deadlineMs: 5_000,
  maximumBytes: 100,
  onDeadline: 'CLIENT_OPENING_TIMEOUT',
  onTooLarge: 'CLIENT_OPENING_TOO_LARGE',
} as const;

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

describe('firstToSpeak', () => {
  it('takes an end that came before the question for an answer', async () => {
    await using client = await socketPair();
    await using origin = await socketPair();
    client.far.end();
    await sleep(50);
    expect(await firstToSpeak(client.near, origin.near, 5_000)).toBe('client');
  });

  it('takes a client that is gone already for one that has spoken', async () => {
    await using client = await socketPair();
    await using origin = await socketPair();
    client.far.resetAndDestroy();
    await closed(client.near);
    expect(await firstToSpeak(client.near, origin.near, 5_000)).toBe('client');
  });

  it('tells an origin that ended from one that spoke', async () => {
    await using client = await socketPair();
    await using origin = await socketPair();
    origin.far.end();
    await sleep(50);
    expect(await firstToSpeak(client.near, origin.near, 5_000)).toBe('gone');
  });

  it('leaves what was said to be read', async () => {
    await using client = await socketPair();
    await using origin = await socketPair();
    origin.far.write('220 ready');
    expect(await firstToSpeak(client.near, origin.near, 5_000)).toBe('origin');
    expect(String(origin.near.read())).toBe('220 ready');
  });
});

describe('readers of a socket that is over', () => {
  it('say so at once instead of waiting out their time', async () => {
    await using pair = await socketPair();
    pair.far.resetAndDestroy();
    await closed(pair.near);
    expect(await hasSpoken(pair.near, 5_000)).toBe(true);
    expect(await failureCode(readUntil(pair.near, limits, () => undefined))).toBe('CLIENT_GONE');
  });
});
