import { afterEach, describe, expect, test } from 'vitest';
import type { Exchange, ExchangeOutcome } from '../../../src/core/http.ts';
import { limits } from '../../../src/core/limits.ts';
import type { Side } from '../../../src/core/side.ts';
import { allow, type Verdict } from '../../../src/core/verdict.ts';
import { uninspected } from '../../../src/flow/uninspected.ts';
import { anotherAddress, type Recording, record } from './recording.ts';

const keepAll: Verdict = { kind: 'allow', keepBytes: Number.POSITIVE_INFINITY };
const mebibyte = 1_048_576;
const piece = Buffer.alloc(65_536, 'x');
const open: Recording[] = [];

interface Held extends Recording {
  /** Sides that take nothing now. */
  readonly full: Record<Side, boolean>;
  /** How its exchanges ended. */
  readonly outcomes: ExchangeOutcome[];
}

/** A connection that holds messages of a kind for as long as they say. */
function openHolding(
  message: 'request' | 'response',
  shareKey = anotherAddress(),
  judge: () => Verdict = () => keepAll,
): Held {
  const outcomes: ExchangeOutcome[] = [];
  const exchange: Exchange = {
    ...uninspected,
    [`${message}Head`]: judge,
    [`${message}Body`]: judge,
    finish: (outcome: ExchangeOutcome) => outcomes.push(outcome),
  };
  const recording = record({ shareKey, inspector: { exchange: () => exchange } });
  const full = { client: false, origin: false };
  recording.wire.isFull = (side) => full[side];
  open.push(recording);
  return { ...recording, full, outcomes };
}

const get = 'GET / HTTP/1.1\r\nHost: a.example\r\n\r\n';

function send({ relay }: Recording, from: Side, megabytes: number): void {
  for (let sent = 0; sent < megabytes * mebibyte; sent += piece.length) relay.receive(from, piece);
}

function download(connection: Held, megabytes: number, fields = ''): void {
  connection.client(get);
  connection.origin(`HTTP/1.1 200 OK\r\n${fields}Content-Length: ${megabytes * mebibyte}\r\n\r\n`);
  send(connection, 'origin', megabytes);
}

function upload(connection: Held, megabytes: number): void {
  connection.client(`POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: ${megabytes * mebibyte}\r\n\r\n`);
  send(connection, 'client', megabytes);
}

/** A connection on which so much was held and let go for a side that takes nothing. */
async function hoarder(message: 'request' | 'response', megabytes: number, shareKey?: string): Promise<Held> {
  const connection = openHolding(message, shareKey);
  connection.full[message === 'response' ? 'client' : 'origin'] = true;
  if (message === 'response') download(connection, megabytes);
  else upload(connection, megabytes);
  await turn();
  return connection;
}

/** What is said behind the present turn of the wire has been. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

function pass(fromMs: number, toMs: number, ...connections: Held[]): void {
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += 1_000) for (const { relay } of connections) relay.tick?.(nowMs);
}

afterEach(() => {
  for (const { relay } of open.splice(0)) relay.cut('CLIENT_GONE', '');
});

describe('a message that was held goes on as its receiver takes it', () => {
  test.each(['response', 'request'] as const)('no more than a send buffer of a %s at first', async (message) => {
    const side = message === 'response' ? 'client' : 'origin';
    const connection = openHolding(message);
    const { wire, relay, full, outcomes } = connection;
    wire.onSend = (to) => {
      full[to] = wire.bytesTo(to).length % mebibyte > mebibyte / 2;
    };
    if (message === 'response') download(connection, 4);
    else upload(connection, 4);
    const first = wire.bytesTo(side).length;
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(limits.sendBufferBytes + 2 * piece.length);
    expect(wire.pauses.at(-1)).toBe(true);
    await turn();
    const second = wire.bytesTo(side).length;
    expect(second).toBeGreaterThan(first);
    expect(second).toBeLessThan(mebibyte);
    if (message === 'response') expect(outcomes[0]).toBeUndefined();
    for (let round = 0; round < 100; round++) {
      full[side] = false;
      relay.drained?.(side);
    }
    expect(wire.bytesTo(side).length).toBeGreaterThan(4 * mebibyte);
    expect(wire.pauses.at(-1)).toBe(false);
    if (message === 'request') connection.origin('HTTP/1.1 204 No Content\r\n\r\n');
    expect(outcomes[0]).toMatchObject({ complete: true });
  });

  test('and what comes behind it waits its turn: the next response, the end of the connection', async () => {
    const connection = openHolding('response');
    const { wire, relay, full, client, origin } = connection;
    client(get + get);
    full.client = true;
    origin(`HTTP/1.1 200 OK\r\nContent-Length: ${mebibyte}\r\n\r\n`);
    send(connection, 'origin', 1);
    origin('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlast');
    relay.end('origin', true);
    await turn();
    expect(wire.to('client').endsWith('last')).toBe(false);
    expect(wire.ending).toBeUndefined();
    full.client = false;
    relay.drained?.('client');
    await turn();
    expect(wire.to('client').replace(/x+/, 'x')).toBe(
      'HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\nxHTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlast',
    );
    expect(wire.ending).toBe('close');
  });

  test('also one that ends with its connection', async () => {
    const connection = openHolding('response');
    const { wire, relay, full, client, origin, outcomes } = connection;
    client(get);
    full.client = true;
    origin('HTTP/1.1 200 OK\r\n\r\n');
    send(connection, 'origin', 1);
    relay.end('origin', true);
    await turn();
    expect(wire.ending).toBeUndefined();
    full.client = false;
    relay.drained?.('client');
    expect(wire.bytesTo('client').length).toBe(mebibyte + 'HTTP/1.1 200 OK\r\n\r\n'.length);
    expect(wire.ending).toBe('close');
    expect(outcomes[0]).toMatchObject({ complete: true });
  });

  test('one that was let go in the middle goes on with the rest behind it', async () => {
    let isDecided = false;
    const recording = openHolding('response', undefined, () => (isDecided ? allow : keepAll));
    const { wire, relay, full, client, origin } = recording;
    full.client = true;
    client(get);
    origin(`HTTP/1.1 200 OK\r\nContent-Length: ${mebibyte + 8}\r\n\r\n`);
    send(recording, 'origin', 0.9375);
    isDecided = true;
    send(recording, 'origin', 0.0625);
    origin('the end.');
    await turn();
    expect(wire.to('client').endsWith('the end.')).toBe(false);
    full.client = false;
    relay.drained?.('client');
    await turn();
    expect(wire.to('client').endsWith('xthe end.')).toBe(true);
    expect(wire.bytesTo('client').length).toBeGreaterThan(mebibyte);
    expect(recording.outcomes[0]).toMatchObject({ complete: true });
  });
});

describe('memory that nobody else has for what a peer takes nothing of', () => {
  test.each([
    ['response', 'client', 'CLIENT_HOARDING'],
    ['request', 'origin', 'ORIGIN_HOARDING'],
  ] as const)('is taken from the connection with most of it: a %s that its %s leaves', async (message, _side, code) => {
    const [most, less] = [await hoarder(message, 62), await hoarder(message, 61)];
    pass(1_000, 5_000, most, less);
    const early = openHolding('response');
    download(early, 20);
    expect(early.outcomes[0]?.failure).toBe('GATEWAY_OVERLOADED');
    expect(early.wire.to('client').slice(0, 100)).toContain('503 Service Unavailable');
    pass(6_000, 7_000, most, less);
    const late = openHolding('response');
    download(late, 20);
    await turn();
    expect(late.outcomes[0]).toMatchObject({ complete: true });
    expect(most.wire.ending).toBe(`abort ${code}`);
    expect(less.wire.ending).toBeUndefined();
  });

  test('is left to a client that takes it slowly', async () => {
    const [slow, other] = [await hoarder('response', 60), await hoarder('response', 62)];
    for (let nowMs = 1_000; nowMs <= 12_000; nowMs += 1_000) {
      slow.full.client = false;
      let sent = 0;
      slow.wire.onSend = (_to, bytes) => {
        sent += bytes.length;
        slow.full.client = sent > mebibyte / 2;
      };
      slow.relay.drained?.('client');
      pass(nowMs, nowMs, slow, other);
    }
    const late = openHolding('response');
    download(late, 20);
    await turn();
    expect(slow.wire.ending).toBeUndefined();
    expect(other.wire.ending).toBe('abort CLIENT_HOARDING');
  });

  test('is no more than its share for one client address, which loses its own stalled connections first', async () => {
    const mine = '198.51.100.9';
    const first = await hoarder('response', 50, mine);
    const second = await hoarder('response', 45, mine);
    const third = openHolding('response', mine);
    download(third, 10);
    expect(third.outcomes[0]?.failure).toBe('CLIENT_HOARDING');
    expect(third.wire.to('client').slice(0, 100)).toContain('429 Too Many Requests');
    const other = openHolding('response');
    download(other, 30);
    await turn();
    expect(other.outcomes[0]).toMatchObject({ complete: true });
    pass(1_000, 8_000, first, second);
    const fourth = openHolding('response', mine);
    download(fourth, 10);
    await turn();
    expect(fourth.outcomes[0]).toMatchObject({ complete: true });
    expect([first.wire.ending, second.wire.ending]).toEqual(['abort CLIENT_HOARDING', undefined]);
  });
});
