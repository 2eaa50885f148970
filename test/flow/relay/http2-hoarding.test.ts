import { afterEach, describe, expect, test } from 'vitest';
import type { FailureCode } from '../../../src/core/failures.ts';
import type { Exchange, ExchangeOutcome } from '../../../src/core/http.ts';
import { limits } from '../../../src/core/limits.ts';
import type { Side } from '../../../src/core/side.ts';
import { uninspected } from '../../../src/flow/uninspected.ts';
import {
  data,
  get,
  type Http2Recording,
  headers,
  keepAll,
  openHttp2,
  post,
  settings,
  update,
} from './http2-recording.ts';

interface Hoarding extends Http2Recording {
  /** How its exchanges ended; undefined for those that are complete. */
  readonly endings: (FailureCode | undefined)[];
}

/** A connection that holds all messages of a kind until their end. */
function openHolding(message: 'request' | 'response', own: Parameters<typeof openHttp2>[2]): Hoarding {
  const endings: (FailureCode | undefined)[] = [];
  const exchange = {
    ...uninspected,
    [`${message}Head`]: () => keepAll,
    [`${message}Body`]: () => keepAll,
    finish: ({ failure }: ExchangeOutcome) => endings.push(failure),
  } as Exchange;
  const connection = { ...openHttp2({ exchange: () => exchange, streamIdleMs: 300_000 }, undefined, own), endings };
  open.push(connection);
  return connection;
}

const noWindow = settings([4, 0]);
const mebibyte = 1_048_576;
const part = Buffer.alloc(16_384);
const open: Hoarding[] = [];

/** A connection on which `megabytes` were held and let go for a side that has no window. */
function hoarder(message: 'request' | 'response' = 'response', megabytes = 60): Hoarding {
  const receiver = message === 'response' ? 'client' : 'origin';
  const connection = openHolding(message, { [receiver]: noWindow });
  download(connection, message, 1, megabytes);
  return connection;
}

function download(connection: Http2Recording, message: string, streamId: number, megabytes: number): void {
  const isResponse = message === 'response';
  connection.client(headers(streamId, isResponse ? get : post, isResponse));
  const send = isResponse ? connection.origin : connection.client;
  if (isResponse) send(headers(streamId, [':status=200']));
  for (let at = 0; at < megabytes * mebibyte; at += part.length) send(data(streamId, part));
  send(data(streamId, '', true));
}

function pass(fromMs: number, toMs: number, ...connections: Http2Recording[]): void {
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += 1_000) for (const { relay } of connections) relay.tick?.(nowMs);
}

afterEach(() => {
  for (const { relay } of open.splice(0)) relay.cut('CLIENT_GONE', '');
});

/** A download of a client that takes all, when others hold the memory. */
function honest(megabytes = 20): Hoarding {
  const connection = openHolding('response', { client: settings([4, 2 ** 30]) });
  connection.client(update(0, 2 ** 30));
  download(connection, 'response', 1, megabytes);
  drain(connection);
  return connection;
}

/** The client reads all that it is sent. */
function drain({ relay }: Hoarding): void {
  for (let round = 0; round < 500; round++) relay.drained?.('client');
}

describe('memory that nobody else has for what a peer takes nothing of', () => {
  test.each([
    ['response', 'client', 'CLIENT_HOARDING'],
    ['request', 'origin', 'ORIGIN_HOARDING'],
  ] as const)('is taken from the connection with most of it: a %s that its %s leaves', (message, side, code) => {
    const [most, less] = [hoarder(message, 62), hoarder(message, 61)];
    pass(1_000, 5_000, most, less);
    const early = honest();
    expect(early.endings).toEqual(['GATEWAY_OVERLOADED']);
    pass(6_000, 7_000, most, less);
    const late = honest();
    expect(late.endings).toEqual([undefined]);
    expect(most.endings).toEqual([code]);
    expect(most.wire.ending).toBe(`close ${code}`);
    expect(most.taken(side).at(-1)).toMatch(/^goaway 0 \d+ 11$/);
    // The other one may stay: there is room enough again.
    expect(less.wire.ending).toBeUndefined();
  });

  test('is left to it while nobody needs it', () => {
    const [one, other] = [hoarder('response', 40), hoarder('response', 40)];
    pass(1_000, 20_000, one, other);
    expect(honest().endings).toEqual([undefined]);
    expect([one.wire.ending, other.wire.ending]).toEqual([undefined, undefined]);
  });

  test('is left to those who take it slowly, and to messages that nobody has let go', () => {
    const slow = hoarder('response', 60);
    const waiting = openHolding('response', { client: noWindow });
    waiting.client(headers(1, get, true));
    waiting.origin(headers(1, [':status=200']));
    for (let at = 0; at < 62 * mebibyte; at += part.length) waiting.origin(data(1, part));
    for (let nowMs = 1_000; nowMs <= 20_000; nowMs += 1_000) {
      slow.client(update(0, mebibyte / 2), update(1, mebibyte / 2));
      drain(slow);
      pass(nowMs, nowMs, slow, waiting);
    }
    expect(honest().endings).toEqual(['GATEWAY_OVERLOADED']);
    expect([slow.wire.ending, waiting.wire.ending]).toEqual([undefined, undefined]);
  });

  test('is not kept by taking a byte now and then, or by taking something else', () => {
    const [one, other] = [hoarder('response', 62), hoarder('response', 62)];
    for (let nowMs = 1_000; nowMs <= 8_000; nowMs += 1_000) {
      for (const connection of [one, other]) {
        const streamId = 1 + nowMs / 500;
        download(connection, 'response', streamId, 0.01);
        connection.client(update(streamId, part.length), update(1, 1), update(0, part.length + 1));
        pass(nowMs, nowMs, connection);
      }
    }
    const late = honest();
    expect(late.endings).toEqual([undefined]);
    expect([...one.endings, ...other.endings].filter((failure) => failure === undefined)).toHaveLength(16);
    expect([one, other].filter(({ wire }) => wire.ending === 'close CLIENT_HOARDING')).toHaveLength(1);
  });

  test('is freed for all who come at once, as far as it goes', () => {
    const hoarders = [hoarder('response', 62), hoarder('response', 62)];
    pass(1_000, 8_000, ...hoarders);
    const waiting = [hoarder('response', 50), hoarder('response', 50)];
    expect(waiting.flatMap(({ endings }) => endings)).toEqual([]);
    expect(hoarders.map(({ wire }) => wire.ending)).toEqual(Array(2).fill('close CLIENT_HOARDING'));
  });
});

describe('a client that leaves a window and reads nothing', () => {
  test('gets no more than a send buffer of what was held, and the rest as it reads', () => {
    const connection = openHolding('response', { client: settings([4, 2 ** 30]) });
    const { wire, client, relay } = connection;
    client(update(0, 2 ** 30));
    const full: Record<Side, boolean> = { client: false, origin: false };
    wire.isFull = (side) => full[side];
    download(connection, 'response', 1, 4);
    const first = wire.bytesTo('client').length;
    expect(first).toBeGreaterThan(limits.sendBufferBytes);
    expect(first).toBeLessThan(limits.sendBufferBytes + 20_000);
    full.client = true;
    client(update(0, 1));
    expect(wire.bytesTo('client').length).toBe(first);
    full.client = false;
    for (let round = 0; round < 20; round++) relay.drained?.('client');
    expect(wire.bytesTo('client').length).toBeGreaterThan(4 * mebibyte);
    expect(connection.endings).toEqual([undefined]);
  });
});
