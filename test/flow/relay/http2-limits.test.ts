import { describe, expect, test } from 'vitest';
import { connectionPreface, flags, frameTypes } from '../../../src/codec/http2-frames.ts';
import { limits } from '../../../src/core/limits.ts';
import {
  blockOf,
  data,
  frame,
  get,
  type Http2Recording,
  headers,
  number,
  openHttp2,
  ping,
  post,
  recordHttp2,
  settings,
  settingsAck,
  update,
} from './http2-recording.ts';

const reset = (streamId: number, error = 8): Buffer => frame(frameTypes.rstStream, 0, streamId, number(error));
const rawHeaders = (flag: number, streamId: number, block: Buffer | string): Buffer =>
  frame(frameTypes.headers, flag, streamId, block);
const whole = flags.endHeaders | flags.endStream;

/** Sends until the connection is over; how many times it took. */
function flood(recording: Http2Recording, send: (round: number) => void, most = 30_000): number {
  for (let round = 0; round < most; round++) {
    send(round);
    if (recording.wire.ending !== undefined) return round;
  }
  return Number.POSITIVE_INFINITY;
}

describe('a client that breaks the rules of the connection is told which and cut', () => {
  test.each([
    ['a frame larger than the origin takes', [frame(0xab, 0, 0, Buffer.alloc(16_385))], 6],
    ['DATA on stream 0', [data(0, 'x')], 1],
    ['DATA on an idle stream', [data(1, 'x')], 1],
    ['DATA behind the end of its stream', [headers(1, get, true), data(1, 'x')], 5],
    ['HEADERS behind the end of its stream', [headers(1, get, true), headers(1, ['a=b'], true)], 5],
    ['HEADERS on stream 0', [headers(0, get, true)], 1],
    ['HEADERS on an even stream', [headers(2, get, true)], 5],
    ['HEADERS on a lower stream', [headers(5, get, true), headers(3, get, true)], 5],
    ['RST_STREAM on an idle stream', [reset(1)], 1],
    ['RST_STREAM on stream 0', [reset(0)], 1],
    ['RST_STREAM of wrong size', [headers(1, get), frame(frameTypes.rstStream, 0, 1, 'abc')], 6],
    ['WINDOW_UPDATE on an idle stream', [update(1, 1)], 1],
    ['WINDOW_UPDATE of nothing', [update(0, 0)], 1],
    ['WINDOW_UPDATE of wrong size', [frame(frameTypes.windowUpdate, 0, 0, 'abc')], 6],
    ['a window that is too large', [update(0, 2 ** 31 - 1)], 3],
    ['PING of wrong size', [frame(frameTypes.ping, 0, 0, '1234567')], 6],
    ['PING on a stream', [frame(frameTypes.ping, 0, 1, '12345678')], 1],
    ['PRIORITY of wrong size', [frame(frameTypes.priority, 0, 1, '1234')], 6],
    ['PRIORITY on stream 0', [frame(frameTypes.priority, 0, 0, '\0\0\0\x01\0')], 1],
    ['a stream that depends on itself', [frame(frameTypes.priority, 0, 3, '\0\0\0\x03\0')], 1],
    ['SETTINGS on a stream', [frame(frameTypes.settings, 0, 1)], 1],
    ['SETTINGS of odd size', [frame(frameTypes.settings, 0, 0, '12345')], 6],
    ['an acknowledgement with settings', [frame(frameTypes.settings, flags.ack, 0, '123456')], 6],
    ['SETTINGS_ENABLE_PUSH of 2', [settings([2, 2])], 1],
    ['SETTINGS_INITIAL_WINDOW_SIZE that is too large', [settings([4, 2 ** 31])], 3],
    ['SETTINGS_MAX_FRAME_SIZE that is too small', [settings([5, 16_383])], 1],
    ['SETTINGS_MAX_FRAME_SIZE that is too large', [settings([5, 2 ** 24])], 1],
    ['PUSH_PROMISE', [frame(frameTypes.pushPromise, flags.endHeaders, 1, '\0\0\0\x02')], 1],
    ['GOAWAY on a stream', [frame(frameTypes.goaway, 0, 1, '12345678')], 1],
    ['GOAWAY of wrong size', [frame(frameTypes.goaway, 0, 0, '1234567')], 6],
    ['CONTINUATION without HEADERS', [frame(frameTypes.continuation, flags.endHeaders, 1)], 1],
    ['a frame within a header block', [rawHeaders(0, 1, ''), ping], 1],
    ['CONTINUATION of another stream', [rawHeaders(0, 1, ''), frame(frameTypes.continuation, 0, 3)], 1],
    ['padding longer than its frame', [headers(1, post), frame(frameTypes.data, flags.padded, 1, '\x05abc')], 1],
    ['padding longer than its block', [rawHeaders(whole | flags.padded, 1, '\x05abc')], 1],
    ['a header block that is no HPACK', [rawHeaders(whole, 1, '\xff\xff\xff\xff\xff\xff')], 9],
  ])('%s', (_name, frames, error) => {
    const { client, taken, wire, relay } = openHttp2();
    client(...frames);
    expect(taken('client').at(-1)).toMatch(new RegExp(`^goaway 0 \\d+ ${error}$`));
    expect(wire.ending).toBe('close CLIENT_HTTP2_PROTOCOL');
    // Nothing is done with what comes behind.
    relay.receive('client', headers(7, get, true));
    relay.receive('origin', ping);
    relay.tick?.(1e9);
  });

  test.each([
    ['without preface', Buffer.from('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n')],
    ['with a wrong preface', Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n')],
    ['with a first frame other than SETTINGS', Buffer.concat([connectionPreface, ping])],
    ['with an acknowledgement first', Buffer.concat([connectionPreface, settingsAck])],
  ])('%s', (_name, bytes) => {
    const { client, wire } = recordHttp2();
    client(bytes);
    expect(wire.ending).toBe('close CLIENT_HTTP2_PROTOCOL');
  });
});

test.each([
  ['a first frame other than SETTINGS', [ping]],
  ['a push', [settings(), frame(frameTypes.pushPromise, flags.endHeaders, 1, '\0\0\0\x02')]],
  ['SETTINGS_ENABLE_PUSH', [settings([2, 1])]],
  ['HEADERS on an idle stream', [settings(), headers(3, [':status=200'])]],
  ['DATA on an idle stream', [settings(), data(3, 'x')]],
  ['HEADERS behind the end of a stream', [settings(), headers(1, [':status=200'], true), headers(1, ['a=b'], true)]],
  ['DATA behind the end of a stream', [settings(), headers(1, [':status=200'], true), data(1, 'x')]],
])('an origin that breaks the rules by %s is cut, and the client has an answer for each request', (_name, frames) => {
  const { client, origin, taken, wire, inspector } = recordHttp2();
  client(connectionPreface, settings(), headers(1, post), headers(5, get, true));
  origin(...frames);
  const lines = taken('client');
  expect(lines.some((line) => /^headers 5 :status=502/.test(line))).toBe(true);
  expect(lines.at(-1)).toBe('goaway 0 5 2');
  expect(wire.ending).toBe('close ORIGIN_HTTP2_PROTOCOL');
  expect(inspector.exchanges.map(({ outcome }) => outcome?.failure)).toContain('ORIGIN_HTTP2_PROTOCOL');
});

describe('a flood is cut', () => {
  test.each([
    ['PING', () => ping],
    ['SETTINGS', () => settings()],
    ['acknowledgements of nothing', () => settingsAck],
    ['PRIORITY', () => frame(frameTypes.priority, 0, 1, '\0\0\0\0\0')],
    ['PRIORITY of ever new streams', (round: number) => frame(frameTypes.priority, 0, 2 * round + 3, '\0\0\0\0\0')],
    ['unknown frames', () => frame(0xbe, 0, 0, 'x')],
    ['WINDOW_UPDATE', () => update(0, 1)],
    ['WINDOW_UPDATE of a stream', () => update(1, 1)],
    ['empty DATA', () => data(1, '')],
    ['padding alone', () => frame(frameTypes.data, flags.padded, 1, '\x01\0')],
    ['GOAWAY', () => frame(frameTypes.goaway, 0, 0, '\0\0\0\0\0\0\0\0')],
  ])('of %s', (_name, flooded) => {
    for (const side of ['client', 'origin'] as const) {
      const recording = openHttp2();
      recording.client(headers(1, post));
      recording.origin(headers(1, [':status=200']));
      const rounds = flood(recording, (round) => recording[side](flooded(round)));
      expect(rounds).toBeLessThanOrEqual(limits.http2EmptyFrames + 10);
      expect(recording.wire.ending).toBe(`close ${side === 'client' ? 'CLIENT' : 'ORIGIN'}_HTTP2_FLOOD`);
      if (side === 'client') expect(recording.taken('client').at(-1)).toBe('goaway 0 1 11');
    }
  });

  test('of resets by the client', () => {
    const recording = openHttp2();
    const rounds = flood(recording, (round) =>
      recording.client(headers(2 * round + 1, get, true), reset(2 * round + 1)),
    );
    expect(rounds).toBe(limits.http2Resets);
    expect(recording.wire.ending).toBe('close CLIENT_HTTP2_RAPID_RESET');
  });

  test('of resets that the client makes the origin send', () => {
    const recording = openHttp2();
    const rounds = flood(recording, (round) => {
      recording.client(headers(2 * round + 1, get, true));
      recording.origin(reset(2 * round + 1, 1));
    });
    expect(rounds).toBe(limits.http2Resets);
    expect(recording.wire.ending).toBe('close CLIENT_HTTP2_RAPID_RESET');
  });

  test('of requests that the gateway has to refuse or reset', () => {
    for (const fields of [
      [...get, 'upgrade=x'],
      [':method=CONNECT', ':authority=a.example:1'],
    ]) {
      const recording = openHttp2({}, undefined, { client: settings([4, 0]) });
      const rounds = flood(recording, (round) => recording.client(headers(2 * round + 1, fields, true)));
      expect(rounds).toBeLessThanOrEqual(limits.http2Resets);
      expect(recording.wire.ending).toBe('close CLIENT_HTTP2_RAPID_RESET');
    }
  });

  test('of streams, beyond what is open at once', () => {
    const recording = openHttp2();
    const rounds = flood(recording, (round) => recording.client(headers(2 * round + 1, get, true)));
    expect(rounds).toBe(limits.http2Streams + limits.http2Resets);
    expect(recording.inspector.exchanges).toHaveLength(limits.http2Streams);
    expect(recording.taken('client')[0]).toBe(`rstStream ${2 * limits.http2Streams + 1} 7`);
  });

  test('of CONTINUATION, empty or full', () => {
    const empty = openHttp2();
    empty.client(rawHeaders(0, 1, blockOf(get)));
    expect(flood(empty, () => empty.client(frame(frameTypes.continuation, 0, 1)))).toBeLessThan(40);
    expect(empty.wire.ending).toBe('close CLIENT_HTTP2_FLOOD');
    const full = openHttp2();
    full.client(rawHeaders(0, 1, blockOf(get)));
    expect(flood(full, () => full.client(frame(frameTypes.continuation, 0, 1, Buffer.alloc(16_384))))).toBeLessThan(5);
    expect(full.wire.ending).toBe('close CLIENT_HTTP_HEAD_TOO_LARGE');
  });

  test('of SETTINGS that nobody acknowledges', () => {
    const recording = openHttp2();
    expect(flood(recording, () => recording.client(settings([3, 100])))).toBe(limits.http2PendingSettings);
  });

  test('but not of what DATA is answered with, nor of a busy client', () => {
    const { client, origin, wire } = openHttp2();
    for (let round = 0; round < 5_000; round++) {
      const id = 2 * round + 1;
      client(headers(id, get, true));
      origin(headers(id, [':status=200']), data(id, 'some'), data(id, 'body', true));
      client(update(id, 4), update(0, 4), update(id, 4), update(0, 4), ping);
      origin(frame(frameTypes.ping, flags.ack, 0, '12345678'));
    }
    expect(wire.ending).toBeUndefined();
  });
});

test('a header block that unpacks to too much is refused, and its connection goes on', () => {
  const { client, origin, taken, wire } = openHttp2();
  const value = 'v'.repeat(3_000);
  const bomb = Buffer.concat([
    blockOf(get),
    Buffer.from([0x40, 1, 0x62, 0x7f, 0xb9, 0x16]),
    Buffer.from(value),
    Buffer.alloc(10_000, 0xbe),
  ]);
  client(rawHeaders(whole, 1, bomb));
  expect(taken('client')[0]).toMatch(/^headers 1 :status=431/);
  client(rawHeaders(whole, 3, Buffer.concat([blockOf(get), Buffer.from([0xbe])])));
  expect(taken('origin')).toEqual([`headers 3 END ${get.join(' ')} b=${value}`]);
  origin(headers(3, [':status=204'], true));
  expect(wire.ending).toBeUndefined();
});

describe('settings', () => {
  test('are passed on with pushes refused, streams and tables bounded', () => {
    const { client, origin, taken } = recordHttp2();
    client(connectionPreface, settings([1, 100_000], [2, 1], [9, 1]));
    origin(settings([3, 2 ** 32 - 1], [1, 4_096]));
    expect(taken('origin')).toEqual(['preface', 'settings 0 000100010000000200000000000900000001']);
    expect(taken('client')).toEqual(['settings 0 0003000003e8000100001000']);
  });

  test('that lower the table bind the decoder once they are acknowledged', () => {
    const { client, origin, wire } = openHttp2();
    client(settings([1, 0]));
    client(headers(1, get, true));
    origin(headers(1, [':status=200']));
    expect(wire.ending).toBeUndefined();
    origin(settingsAck);
    origin(headers(1, ['a=b'], true));
    expect(wire.ending).toBe('close ORIGIN_HTTP2_PROTOCOL');
    expect(wire.detail).toBe('no table size update after the limit was lowered');
  });

  test('that raise the frame size let DATA in larger frames pass, in pieces', () => {
    const { client, origin, taken } = openHttp2({}, undefined, { client: settings([5, 100_000], [4, 1_000_000]) });
    client(headers(1, get, true), update(0, 1_000_000));
    origin(headers(1, [':status=200']), data(1, Buffer.alloc(50_000, 'x'), true));
    const lines = taken('client').slice(1);
    expect(lines.length).toBeGreaterThan(3);
    expect(lines.join('').replace(/data 1( END)? /g, '')).toHaveLength(50_000);
    expect(lines.filter((line) => line.startsWith('data 1 END'))).toHaveLength(1);
  });
});
