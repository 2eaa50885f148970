import { describe, expect, test } from 'vitest';
import { flags, frameTypes } from '../../../src/codec/http2-frames.ts';
import type { FailureCode } from '../../../src/core/failures.ts';
import type { Exchange } from '../../../src/core/http.ts';
import { limits } from '../../../src/core/limits.ts';
import { allow, type Verdict } from '../../../src/core/verdict.ts';
import { uninspected } from '../../../src/flow/uninspected.ts';
import {
  data,
  frame,
  get,
  type Http2Recording,
  headers,
  keepAll,
  number,
  openHttp2,
  post,
  settings,
  update,
} from './http2-recording.ts';
import type { Judge } from './recording.ts';

const rule = { id: 'r-1', title: 'a rule', rev: 1 };
const block: Verdict = { kind: 'block', rule };
const reset = (streamId: number, error: number): Buffer => frame(frameTypes.rstStream, 0, streamId, number(error));

/** Holds one message of the first stream until its end, of which the test may say more. */
function holds(message: 'request' | 'response', end: Verdict = allow): Judge {
  return (step, { request }) => {
    if (request?.streamId !== 1) return undefined;
    if (step === `${message}Head` || step === `${message}Body`) return keepAll;
    return step === `${message}End` ? end : undefined;
  };
}

const bytesIn = (lines: readonly string[], streamId: number): number =>
  lines
    .filter((line) => line.startsWith(`data ${streamId}`))
    .reduce((sum, line) => sum + line.replace(/^data \d+(?: END)? ?/, '').length, 0);
const granted = (lines: readonly string[], streamId: number): number =>
  lines
    .filter((line) => line.startsWith(`windowUpdate ${streamId} `))
    .reduce((sum, line) => sum + Number(line.split(' ')[2]), 0);

/** Holds every response, and keeps nothing. */
const silentExchange: Exchange = { ...uninspected, responseHead: () => keepAll, responseBody: () => keepAll };

describe('a response that is held', () => {
  test('takes no window of the origin, neither of its stream nor of the connection', () => {
    const { client, origin, taken } = openHttp2({}, holds('response'));
    client(headers(1, get, true), headers(3, get, true));
    taken('origin');
    origin(headers(1, [':status=200']));
    for (let round = 0; round < 20; round++) {
      origin(data(1, Buffer.alloc(10_000)));
      const lines = taken('origin');
      expect([granted(lines, 1), granted(lines, 0)]).toEqual([10_000, 10_000]);
    }
    expect(taken('client')).toEqual([]);
    // Another stream passes frame by frame meanwhile.
    origin(headers(3, [':status=200']), data(3, 'hello', true));
    expect(taken('client')).toEqual(['headers 3 :status=200', 'data 3 END hello']);
  });

  test('goes on in the windows of the client, and the origin hears of no update until both agree again', () => {
    const { client, origin, taken, inspector } = openHttp2({}, holds('response'), { client: settings([4, 1_000]) });
    client(headers(1, get, true));
    origin(headers(1, [':status=200']));
    // The origin, too, has a window of 1 000 bytes.
    for (let round = 0; round < 5; round++) origin(data(1, Buffer.alloc(1_000), round === 4));
    taken('origin');
    expect(bytesIn(taken('client'), 1)).toBe(1_000);
    for (let round = 0; round < 3; round++) {
      client(update(1, 900), update(0, 900));
      expect(bytesIn(taken('client'), 1)).toBe(900);
    }
    expect(granted(taken('origin'), 0)).toBe(0);
    client(update(1, 5_000), update(0, 1_300));
    const rest = taken('client');
    expect(bytesIn(rest, 1)).toBe(1_300);
    expect(rest.at(-1)).toMatch(/^data 1 END/);
    expect(inspector.exchanges[0]?.outcome).toMatchObject({ complete: true, responseBodyBytes: 5_000 });
    // 4 000 bytes were given back when they were held, and as many updates were kept: the next one is the origin's again.
    client(update(0, 77));
    expect(granted(taken('origin'), 0)).toBe(77);
  });

  test('is answered in its place when it is blocked, and leaves both windows as they were', () => {
    const { client, origin, taken, relay } = openHttp2({}, holds('response', block));
    client(headers(1, get, true));
    origin(headers(1, [':status=200', 'a=secret']), data(1, 'secret', true));
    const answer = taken('client');
    expect(answer.join()).toMatch(/^headers 1 :status=403[\s\S]*data 1 END/);
    const pageBytes = bytesIn(answer, 1);
    // The page takes what the origin has spent, and more: it hears of the rest of an update.
    client(update(0, pageBytes));
    expect(granted(taken('origin'), 0)).toBe(6);
    expect(relay.idle?.()).toBe(true);
  });

  test('is refused where there is no room for it, and gives its memory back', () => {
    const frames = Array.from({ length: 64 }, () => data(1, Buffer.alloc(16_000)));
    for (let round = 0; round < 2; round++) {
      let failure: FailureCode | undefined;
      const exchange: Exchange = {
        ...silentExchange,
        finish: (outcome) => {
          failure = outcome.failure;
        },
      };
      const { client, origin, taken } = openHttp2({ exchange: () => exchange });
      client(headers(1, get, true));
      origin(headers(1, [':status=200']));
      let sent = 0;
      for (; sent < 2 * limits.http2HeldBytes && failure === undefined; sent += 64 * 16_000) origin(...frames);
      expect(sent).toBeGreaterThan(0.9 * limits.http2HeldBytes);
      expect(failure).toBe('GATEWAY_OVERLOADED');
      expect(taken('client')[0]).toMatch(/^headers 1 :status=503/);
    }
  });

  test('takes no more memory in frames of single bytes', () => {
    const { client, origin, taken } = openHttp2({}, holds('response'));
    client(headers(1, get, true));
    origin(headers(1, [':status=200']));
    const body = Buffer.concat(Array.from({ length: 1_000 }, () => data(1, 'x')));
    for (let round = 0; round < 20; round++) origin(body);
    origin(data(1, '', true));
    const lines = taken('client');
    expect(bytesIn(lines, 1)).toBe(20_000);
    expect(lines.length).toBeLessThan(20);
  });

  test('whose frames are padded loses the padding, not the window', () => {
    const { client, origin, taken } = openHttp2({}, holds('response'));
    client(headers(1, get, true));
    taken('origin');
    const padded = frame(
      frameTypes.data,
      flags.padded,
      1,
      Buffer.concat([Buffer.from([4]), Buffer.from('body\0\0\0\0')]),
    );
    origin(headers(1, [':status=200']), padded, data(1, '', true));
    expect(taken('client')).toEqual(['headers 1 :status=200', 'data 1 END body']);
    expect(granted(taken('origin'), 0)).toBe(9);
    // Four bytes of it reached the client: five more than it may know of were given back for good.
    client(update(0, 4), update(0, 10));
    expect(granted(taken('origin'), 0)).toBe(10);
  });

  test('that ends in a padded frame gives the padding back to the connection', () => {
    const { client, origin, taken } = openHttp2({}, (step) => (step === 'responseBody' ? keepAll : undefined));
    const payload = Buffer.concat([Buffer.from([200]), Buffer.from('hi'), Buffer.alloc(200)]);
    let left = 65_535;
    for (let streamId = 1; streamId < 800; streamId += 2) {
      client(headers(streamId, get, true));
      origin(
        headers(streamId, [':status=200']),
        frame(frameTypes.data, flags.padded | flags.endStream, streamId, payload),
      );
      client(update(0, bytesIn(taken('client'), streamId)));
      left += granted(taken('origin'), 0) - payload.length;
    }
    expect(left).toBe(65_535);
  });

  test('ends with the reset of its origin, and is done before an orderly one is passed on', () => {
    const broken = openHttp2({}, holds('response'));
    broken.client(headers(1, get, true));
    broken.origin(headers(1, [':status=200']), data(1, 'x'), reset(1, 2));
    expect(broken.taken('client')).toEqual(['rstStream 1 2']);
    expect(broken.inspector.exchanges[0]?.outcome?.failure).toBe('ORIGIN_GONE');

    const orderly = openHttp2({}, holds('response'), { client: settings([4, 5]) });
    orderly.client(headers(1, post), data(1, 'begin'));
    orderly.origin(headers(1, [':status=413']), data(1, 'too '), data(1, 'large', true), reset(1, 0));
    expect(orderly.taken('client')).toEqual(['headers 1 :status=413', 'data 1 too ', 'data 1 l']);
    orderly.taken('origin');
    orderly.client(data(1, 'more'), update(1, 10));
    expect(orderly.taken('client')).toEqual(['windowUpdate 0 4', 'data 1 END arge', 'rstStream 1 0']);
    orderly.client(data(1, 'late', true));
    expect(orderly.taken('client')).toEqual(['windowUpdate 0 4']);
    expect(orderly.taken('origin')).toEqual([]);
    expect(orderly.wire.ending).toBeUndefined();
  });

  test('goes on although the origin has ended the connection behind it', () => {
    const { client, origin, taken, relay, wire, inspector } = openHttp2({}, holds('response'), {
      client: settings([4, 5]),
    });
    client(headers(1, get, true), headers(3, get, true));
    origin(headers(1, [':status=200']), data(1, 'hello'), data(1, ' you', true), headers(3, [':status=200']));
    relay.end('origin', true);
    const lines = taken('client');
    expect(lines).toContain('data 1 hello');
    expect(lines).toContain('rstStream 3 2');
    expect(wire.ending).toBeUndefined();
    client(update(1, 100));
    expect(taken('client')).toEqual(['data 1 END  you']);
    expect(wire.ending).toBe('close ORIGIN_GONE');
    expect(inspector.exchanges.map(({ outcome }) => outcome?.failure)).toEqual([undefined, 'ORIGIN_GONE']);
  });

  test('is given up when its client takes nothing of it, or when the rest of it never comes', () => {
    const stalled = openHttp2({}, holds('response'), { client: settings([4, 0]) });
    stalled.client(headers(1, get, true));
    stalled.origin(headers(1, [':status=200']), data(1, 'x', true));
    const silent = openHttp2({}, holds('response'));
    silent.client(headers(1, [...get, 'content-type=application/grpc'], true));
    silent.origin(headers(1, [':status=200']), data(1, 'x'));
    for (const { relay } of [stalled, silent]) for (const nowMs of [1_000, 12_000]) relay.tick?.(nowMs);
    expect(stalled.inspector.exchanges[0]?.outcome?.failure).toBe('CLIENT_IDLE_TIMEOUT');
    expect(silent.inspector.exchanges[0]?.outcome?.failure).toBe('ORIGIN_IDLE_TIMEOUT');
  });
});

describe('a request that is held', () => {
  test('is unknown to the origin until it is judged, as is what its client says of it', () => {
    const { client, origin, taken } = openHttp2({}, holds('request'));
    client(headers(1, post), data(1, 'half'), update(1, 500));
    expect(taken('origin')).toEqual([]);
    expect(taken('client')).toEqual(['windowUpdate 1 4', 'windowUpdate 0 4']);
    client(data(1, ' whole', true));
    expect(taken('origin')).toEqual([
      `headers 1 ${post.join(' ')}`,
      'windowUpdate 1 500',
      'data 1 half',
      'data 1 END  whole',
    ]);
    origin(headers(1, [':status=204'], true));
    expect(taken('client').at(-1)).toBe('headers 1 END :status=204');
  });

  test('lets its head go before that of a later one, since stream ids only go up, and no byte of its body', () => {
    const { client, taken } = openHttp2({}, holds('request', block));
    client(headers(1, post), data(1, 'half'), headers(3, get, true));
    expect(taken('origin')).toEqual([`headers 1 ${post.join(' ')}`, `headers 3 END ${get.join(' ')}`]);
    client(data(1, 'evil', true));
    expect(taken('origin')).toEqual(['rstStream 1 8']);
  });

  test.each([
    ['a response', [headers(1, [':status=200'], true)]],
    ['an interim response', [headers(1, [':status=103'])]],
    ['DATA', [data(1, 'x')]],
    ['a reset', [reset(1, 8)]],
    ['a window', [update(1, 100)]],
  ])('is an idle stream to its origin, which is cut when it sends %s on it', (_name, frames) => {
    const { client, origin, taken, wire, inspector } = openHttp2({}, holds('request'));
    client(headers(1, post), data(1, 'half'));
    taken('client');
    origin(...frames);
    const [answer, ...rest] = taken('client');
    expect(answer).toMatch(/^headers 1 :status=502/);
    expect(rest.at(-1)).toBe('goaway 0 1 2');
    expect(taken('origin')).toEqual(['goaway 0 0 1']);
    expect(wire.ending).toBe('close ORIGIN_HTTP2_PROTOCOL');
    expect(inspector.exchanges[0]?.outcome?.failure).toBe('ORIGIN_HTTP2_PROTOCOL');
  });

  test('that its client resets was never there', () => {
    const { client, taken, relay, inspector } = openHttp2({}, holds('request'));
    client(headers(1, post), data(1, 'half'), reset(1, 8));
    expect(taken('origin')).toEqual([]);
    expect(inspector.exchanges[0]?.outcome?.failure).toBe('CLIENT_GONE');
    client(headers(3, get, true));
    expect(taken('origin')).toEqual([`headers 3 END ${get.join(' ')}`]);
    expect(relay.idle?.()).toBe(false);
  });

  test('whose client enlarges its window beyond the greatest is reset, and no other stream', () => {
    const held = openHttp2({}, holds('request'));
    held.client(headers(1, post), ...[1, 2, 3].map(() => update(1, 0x7fffffff)), headers(3, get, true));
    expect(held.taken('client')).toEqual(['rstStream 1 1']);
    expect(held.taken('origin')).toEqual([`headers 3 END ${get.join(' ')}`]);
    expect(held.inspector.exchanges[0]?.outcome?.failure).toBe('CLIENT_HTTP2_PROTOCOL');
  });

  test('waits for the windows of its origin', () => {
    const { client, origin, taken, relay, inspector } = openHttp2({}, holds('request'), { origin: settings([4, 3]) });
    client(headers(1, post), data(1, 'hello'), data(1, ' you', true));
    expect(taken('origin').slice(1)).toEqual(['data 1 hel']);
    origin(update(1, 4));
    expect(taken('origin')).toEqual(['data 1 lo', 'data 1  y']);
    for (const nowMs of [1_000, 12_000]) relay.tick?.(nowMs);
    expect(inspector.exchanges[0]?.outcome?.failure).toBe('ORIGIN_IDLE_TIMEOUT');
  });
});

describe('a verdict that comes later', () => {
  function waiting(message: 'request' | 'response'): Http2Recording & { settle(verdict: Verdict): Promise<void> } {
    const { promise, resolve } = Promise.withResolvers<Verdict>();
    const recording = openHttp2(
      {},
      holds(message, { kind: 'allow', until: promise, keepBytes: Number.POSITIVE_INFINITY }),
    );
    const settle = async (verdict: Verdict): Promise<void> => {
      resolve(verdict);
      await new Promise((done) => setImmediate(done));
    };
    return { ...recording, settle };
  }

  test.each(['request', 'response'] as const)('holds up the %s of its stream alone', async (message) => {
    const { client, origin, taken, settle, relay, inspector } = waiting(message);
    client(headers(1, post), data(1, 'up', true));
    origin(...(message === 'response' ? [headers(1, [':status=200']), data(1, 'down', true)] : []));
    for (const nowMs of [1_000, 12_000]) relay.tick?.(nowMs);
    expect(taken(message === 'request' ? 'origin' : 'client').join()).not.toMatch(/data/);
    client(headers(3, get, true));
    origin(headers(3, [':status=200']), data(3, 'free', true));
    expect(taken('client').slice(-1)).toEqual(['data 3 END free']);
    await settle(allow);
    expect(taken(message === 'request' ? 'origin' : 'client').at(-1)).toBe(
      message === 'request' ? 'data 1 END up' : 'data 1 END down',
    );
    if (message === 'request') origin(headers(1, [':status=204'], true));
    expect(inspector.exchanges.map(({ outcome }) => outcome?.complete)).toEqual([true, true]);
  });

  test('that refuses is answered in place of the message', async () => {
    for (const message of ['request', 'response'] as const) {
      const { client, origin, taken, settle, inspector } = waiting(message);
      client(headers(1, post), data(1, 'up', true));
      if (message === 'response') origin(headers(1, [':status=200']), data(1, 'down', true));
      await settle({ kind: 'refuse', code: 'POLICY_SCANNER_BLOCK', detail: 'found' });
      expect(taken('client').join()).toMatch(/headers 1 :status=403/);
      expect(inspector.exchanges[0]?.outcome?.failure).toBe('POLICY_SCANNER_BLOCK');
    }
  });

  test('is of no use to a stream or a connection that is over', async () => {
    const gone = waiting('request');
    gone.client(headers(1, post), data(1, 'up', true), reset(1, 8));
    await gone.settle(allow);
    expect(gone.taken('origin')).toEqual([]);
    const cut = waiting('request');
    cut.client(headers(1, post), data(1, 'up', true));
    cut.relay.cut('GATEWAY_SHUTTING_DOWN', '');
    await cut.settle(block);
    expect(cut.taken('origin')).toEqual([]);
  });
});
