import type { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/core/limits.ts';
import type { Relay, Wire } from '../../src/core/relay.ts';
import { Pump } from '../../src/flow/pump.ts';
import { createOpaqueRelay } from '../../src/flow/relay/opaque.ts';
import { Peer, turn } from '../support/peer-stream.ts';

function start(relay: (wire: Wire) => Relay, idleTimeoutMs = 10_000) {
  const client = new Peer();
  const origin = new Peer();
  const pump = new Pump({ client, origin, relay, upgradedRelay: (wire) => createOpaqueRelay({ wire }), idleTimeoutMs });
  return { client, origin, pump, done: pump.run() };
}
const opaque = (wire: Wire) => createOpaqueRelay({ wire });
const idleRelay: Relay = { receive: () => {}, end: () => {}, cut: () => {} };

describe('the pump', () => {
  it('carries bytes both ways, keeps the half that is open, and ends when both halves have', async () => {
    const { client, origin, done } = start(opaque);
    client.feed('hello');
    client.feed(null);
    await turn();
    await turn();
    expect(origin.text).toBe('hello');
    expect(origin.writableEnded).toBe(true);
    expect(client.writableEnded).toBe(false);
    origin.feed('world');
    origin.feed(null);
    expect(await done).toEqual({ code: undefined, detail: '', bytesFromClient: 5, bytesFromOrigin: 5 });
    expect(client.text).toBe('world');
  });

  it('sends what a relay sends in one turn as one write', async () => {
    const { client, origin, pump } = start((wire) => ({
      ...idleRelay,
      receive: () => {
        wire.send('origin', Buffer.from('head'));
        wire.send('origin', Buffer.from('body'));
      },
    }));
    client.feed('x');
    await turn();
    expect(origin.sent.map(String)).toEqual(['headbody']);
    pump.cut('GATEWAY_SHUTTING_DOWN');
  });

  it('stops reading the sender while the receiver takes nothing, and goes on when it does', async () => {
    const { client, origin, pump } = start(opaque);
    client.stall = true;
    const part = Buffer.alloc(limits.sendBufferBytes / 4);
    for (let index = 0; index < 6; index += 1) {
      origin.feed(part);
      await turn();
    }
    expect(origin.isPaused()).toBe(true);
    client.stall = false;
    client.stalled?.();
    await turn();
    await turn();
    expect(origin.isPaused()).toBe(false);
    pump.cut('GATEWAY_SHUTTING_DOWN');
  });

  it('ends a flow whose relay throws, with a code, and does not let the error out', async () => {
    const { client, origin, done } = start(() => ({
      ...idleRelay,
      receive: () => {
        throw new Error('inspector broke');
      },
    }));
    client.feed('x');
    expect(await done).toMatchObject({ code: 'GATEWAY_INTERNAL', detail: 'Error: inspector broke' });
    expect(client.destroyed && origin.destroyed).toBe(true);
    expect(origin.sent).toEqual([]);
  });

  it('flushes what was sent before a close, and drops what the client still sends', async () => {
    const { client, done } = start((wire) => ({
      ...idleRelay,
      receive: () => {
        wire.send('client', Buffer.from('page'));
        wire.close('POLICY_RULE_BLOCK');
      },
    }));
    client.feed('bad');
    await turn();
    client.feed('more');
    client.feed(null);
    expect(await done).toMatchObject({ code: 'POLICY_RULE_BLOCK' });
    expect(client.text).toBe('page');
  });

  it('tells the relay of a reset as an unclean end', async () => {
    const ends: [string, boolean][] = [];
    const { origin, pump, done } = start((wire) => ({
      ...idleRelay,
      end: (side, clean) => {
        ends.push([side, clean]);
        wire.abort('ORIGIN_GONE');
      },
    }));
    origin.destroy(new Error('ECONNRESET'));
    expect(await done).toMatchObject({ code: 'ORIGIN_GONE' });
    expect(ends[0]).toEqual(['origin', false]);
    pump.cut('GATEWAY_SHUTTING_DOWN');
  });

  it('tells a client that breaks off after it ended its half from one that has all it wanted', async () => {
    const { client, origin, done } = start(opaque);
    client.feed(null);
    await turn();
    origin.feed('a part');
    await turn();
    client.destroy();
    expect(await done).toMatchObject({ code: 'CLIENT_GONE', bytesFromOrigin: 6 });
  });

  it('queues for an origin that is being dialled, and asks the relay to answer when it cannot be', async () => {
    const client = new Peer();
    const second = new Peer();
    let open: (stream: Duplex) => void = () => {};
    const pump = new Pump({
      client,
      origin: undefined,
      relay: (wire) => ({
        ...idleRelay,
        receive: (_side, bytes) => {
          wire.retarget?.({ host: 'a.example', port: 80 });
          wire.send('origin', bytes);
        },
      }),
      upgradedRelay: opaque,
      idleTimeoutMs: 1_000,
      dial: () => new Promise((resolve) => (open = resolve)),
    });
    const done = pump.run();
    client.feed('GET');
    await turn();
    expect(client.isPaused()).toBe(true);
    open(second);
    await turn();
    expect(second.text).toBe('GET');
    expect(client.isPaused()).toBe(false);
    pump.cut('GATEWAY_SHUTTING_DOWN');
    expect(await done).toMatchObject({ code: 'GATEWAY_SHUTTING_DOWN' });
  });

  it('closes a silent idle flow without a failure, and cuts one that is silent within a transaction', async () => {
    const idle = start(() => ({ ...idleRelay, idle: () => true }), 50);
    idle.pump.tick(Number.MAX_SAFE_INTEGER);
    idle.client.feed(null);
    expect(await idle.done).toMatchObject({ code: undefined });
    const busy = start(() => ({ ...idleRelay, idle: () => false }), 50);
    busy.pump.tick(Number.MAX_SAFE_INTEGER);
    expect(await busy.done).toMatchObject({ code: 'CLIENT_IDLE_TIMEOUT' });
  });

  it.each([
    ['client', 'takes nothing of what is sent to it', 'CLIENT_IDLE_TIMEOUT'],
    ['origin', 'takes nothing of what is sent to it', 'ORIGIN_IDLE_TIMEOUT'],
  ] as const)('blames a %s that %s', async (side, _what, code) => {
    const { client, origin, pump, done } = start(opaque, 50);
    const stalled = side === 'client' ? client : origin;
    stalled.stall = true;
    (side === 'client' ? origin : client).feed(Buffer.alloc(10));
    await turn();
    (side === 'client' ? origin : client).feed(Buffer.alloc(10));
    await turn();
    pump.tick(Number.MAX_SAFE_INTEGER);
    expect(await done).toMatchObject({ code });
  });

  it.each([
    ['was destroyed', (origin: Peer) => origin.destroy(), 'ORIGIN_GONE'],
    ['has ended', (origin: Peer) => origin.feed(null), undefined],
  ])('notices an origin that %s before it ran, after what the client had said', async (_what, end, code) => {
    const client = new Peer();
    const origin = new Peer();
    client.feed('said before');
    end(origin);
    origin.resume();
    await turn();
    await turn();
    origin.pause();
    const pump = new Pump({
      client,
      origin,
      relay: opaque,
      upgradedRelay: opaque,
      idleTimeoutMs: 10_000,
    });
    const done = pump.run();
    await turn();
    await turn();
    client.feed(null);
    expect(await done).toMatchObject({ code, bytesFromClient: 11 });
  });
});
