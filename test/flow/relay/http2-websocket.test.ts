import { constants, deflateRawSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { flags, frameTypes } from '../../../src/codec/http2-frames.ts';
import type { Side } from '../../../src/core/side.ts';
import { allow } from '../../../src/core/verdict.ts';
import type { MessageInspector } from '../../../src/core/websocket.ts';
import * as ws from '../../support/websocket-frames.ts';
import {
  data,
  frame,
  get,
  type Http2Recording,
  headers,
  number,
  openHttp2,
  settings,
  update,
} from './http2-recording.ts';
import { RecordingInspector } from './recording.ts';

const connect = [':method=CONNECT', ':protocol=websocket', ...get.slice(1), 'sec-websocket-version=13'];
const offer = [...connect, 'sec-websocket-extensions=permessage-deflate'];
const accept = [':status=200', 'sec-websocket-extensions=permessage-deflate'];
const rule = { id: 'no-secrets', title: 'No secrets', rev: 1 };
const reset = (error: number): Buffer => frame(frameTypes.rstStream, 0, 1, number(error));
const latin1 = (bytes: Buffer): string => bytes.toString('latin1');
const close = (code: number, reason = ''): Buffer =>
  Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]);
const deflated = (text: string): Buffer =>
  deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);

interface Bench extends Http2Recording {
  readonly messages: string[];
  readonly outcomes: string[];
  /** What a side was sent in DATA of the WebSocket's stream, and the other frames of it. */
  got(side: Side): { readonly bytes: Buffer; readonly others: string[] };
}

/** A WebSocket in stream 1, whose inspector blocks what says `secret`. */
function bench(own: Parameters<typeof openHttp2>[2] = {}, verdict: 'block' | 'reset' = 'block'): Bench {
  const messages: string[] = [];
  const outcomes: string[] = [];
  const content: Record<Side, string> = { client: '', origin: '' };
  const inspector: MessageInspector = {
    begin(from) {
      content[from] = '';
      return allow;
    },
    content(from, bytes) {
      content[from] += latin1(bytes);
      return content[from].includes('secret') ? { kind: verdict, rule } : allow;
    },
    end(from) {
      messages.push(`${from} ${content[from]}`);
      return allow;
    },
    control: (from) => messages.push(`${from} control`),
    tick: () => messages.push('tick'),
    finish: (code, detail) => outcomes.push(`${code ?? 'whole'} ${detail}`.trim()),
  };
  const exchanges = new RecordingInspector();
  const recording = openHttp2(
    { exchange: (depth) => Object.assign(exchanges.exchange(depth), { messages: () => inspector }) },
    undefined,
    { origin: settings([8, 1]), ...own },
  );
  return {
    ...recording,
    inspector: exchanges,
    messages,
    outcomes,
    got: (side) => {
      const lines = recording.taken(side);
      const isData = (line: string): boolean => line.startsWith('data 1');
      const bytes = lines.filter(isData).map((line) => line.replace(/^data 1(?: END)? ?/, ''));
      const others = lines.filter((line) => !/^(?:windowUpdate|data 1(?! END))/.test(line));
      return {
        bytes: Buffer.from(bytes.join(''), 'latin1'),
        others: others.map((line) => (isData(line) ? 'END' : line)),
      };
    },
  };
}

function opened(...options: Parameters<typeof bench>): Bench {
  const recording = bench(...options);
  recording.client(headers(1, offer));
  recording.origin(headers(1, accept));
  recording.taken('client');
  recording.taken('origin');
  return recording;
}

describe('a WebSocket over HTTP/2', () => {
  const conversation: readonly ws.FrameWishes[] = [
    { payload: 'hello' },
    { payload: 'fragm', fin: false },
    { opcode: 9, payload: 'ping' },
    { opcode: 0, payload: 'ents' },
    { rsv1: true, payload: deflated('squeezed') },
    { opcode: 2, payload: Buffer.alloc(300, 7) },
    { opcode: 8, payload: close(1000) },
  ];

  test('passes byte for byte, wherever DATA cuts it, and its messages are told of', () => {
    for (const from of ['client', 'origin'] as const) {
      const bytes = Buffer.concat(conversation.map((wishes) => (from === 'client' ? ws.fromClient : ws.frame)(wishes)));
      const told = new Set<string>();
      for (let cut = 1; cut <= bytes.length; cut += cut < 60 ? 1 : 13) {
        const recording = opened();
        for (let at = 0; at < bytes.length; at += cut) recording[from](data(1, bytes.subarray(at, at + cut)));
        const { bytes: passed, others } = recording.got(from === 'client' ? 'origin' : 'client');
        expect(passed.equals(bytes)).toBe(true);
        expect(others).toEqual([]);
        told.add(recording.messages.join('|'));
      }
      const messages = ['hello', 'fragments', 'squeezed', '\x07'.repeat(300)].map((text) => `${from} ${text}`);
      messages.splice(1, 0, `${from} control`);
      expect([...told]).toEqual([[...messages, `${from} control`].join('|')]);
    }
  });

  test('whose frames lie whole in DATA passes in the DATA that came, and costs no window', () => {
    const { client, origin, wire, taken } = opened();
    const up = Buffer.concat([
      data(1, ws.fromClient({ payload: 'hello' })),
      data(1, ws.fromClient({ payload: 'there' })),
    ]);
    const padded = Buffer.concat([Buffer.from([3]), ws.frame({ payload: 'hi' }), Buffer.alloc(3)]);
    const down = frame(frameTypes.data, flags.padded, 1, padded);
    client(up);
    origin(down);
    expect(wire.viewsTo('origin').at(-1)?.equals(up)).toBe(true);
    expect(wire.viewsTo('client').at(-1)?.equals(down)).toBe(true);
    expect(taken('origin').filter((line) => line.startsWith('windowUpdate'))).toEqual([]);
  });

  test('that waits for the rest of a message takes no window meanwhile', () => {
    const { client, taken } = opened();
    const bytes = ws.fromClient({ payload: 'x'.repeat(16_000) });
    client(data(1, bytes.subarray(0, 9_000)));
    expect(taken('client')).toEqual(['windowUpdate 1 9000', 'windowUpdate 0 9000']);
    client(data(1, bytes.subarray(9_000)));
    expect(taken('client')).toEqual([]);
  });

  test('that waits for the rest of a frame holds on to nothing else that was received', () => {
    const { relay, got } = opened();
    const bytes = ws.fromClient({ opcode: 9, payload: 'ping' });
    for (const byte of bytes) {
      const received = data(1, Buffer.from([byte]));
      relay.receive('client', received);
      received.fill(0);
    }
    expect(got('origin').bytes.equals(bytes)).toBe(true);
  });

  test('has a record of its opening at once, and ends in order with both its halves', () => {
    const { client, origin, got, inspector, outcomes, relay } = opened();
    expect(inspector.exchanges[0]?.events.join(' ')).toBe(
      'requestHead requestEnd responseHead upgraded websocket finish',
    );
    expect(inspector.exchanges[0]?.outcome).toMatchObject({ complete: true });
    client(data(1, ws.fromClient({ opcode: 8, payload: close(1000) }), true));
    expect(got('origin').others).toEqual(['END']);
    origin(data(1, ws.frame({ opcode: 8, payload: close(1000) })), data(1, '', true));
    expect(got('client').others).toEqual(['END']);
    expect(outcomes).toEqual(['whole']);
    expect(relay.idle?.()).toBe(true);
  });

  test.each([
    ['a reset, by its client', 'client', true, 'CLIENT_GONE'],
    ['a reset, by its origin', 'origin', true, 'ORIGIN_GONE'],
    ['an end within a frame', 'client', false, 'CLIENT_GONE'],
  ] as const)('that is cut by %s ends visibly', (_name, from, isReset, code) => {
    const recording = opened();
    recording[from](isReset ? reset(8) : data(1, ws.fromClient({ payload: 'hello' }).subarray(0, 4), true));
    expect(recording.outcomes[0]).toMatch(new RegExp(`^${code} `));
    expect(recording.got(from === 'client' ? 'origin' : 'client').others.join()).toMatch(/rstStream 1/);
    expect(recording.relay.idle?.()).toBe(true);
  });

  test('that both sides have closed may be reset', () => {
    const { client, origin, outcomes, taken } = opened();
    client(data(1, ws.fromClient({ opcode: 8, payload: close(1000) })));
    origin(data(1, ws.frame({ opcode: 8, payload: close(1000) })));
    client(reset(8));
    expect(outcomes).toEqual(['whole']);
    expect(taken('origin').at(-1)).toBe('rstStream 1 8');
  });

  test('gets the clock, and ends with its connection', () => {
    const { relay, messages, outcomes } = opened();
    relay.tick?.(1_000);
    expect(messages).toEqual(['tick']);
    relay.cut('GATEWAY_SHUTTING_DOWN', 'now');
    expect(outcomes).toEqual(['GATEWAY_SHUTTING_DOWN now']);
  });

  test('that is silent beyond the idle limit is given up, and no other stream', () => {
    const { client, origin, relay, got, outcomes, wire, taken } = opened();
    client(headers(3, get, true));
    origin(headers(3, [':status=200']));
    taken('client');
    for (const nowMs of [1_000, 9_000]) relay.tick?.(nowMs);
    origin(data(1, ws.frame({ payload: 'still there' })));
    relay.tick?.(18_000);
    expect(outcomes).toEqual([]);
    origin(data(3, 'an event'));
    relay.tick?.(20_000);
    expect(outcomes).toEqual(['CLIENT_IDLE_TIMEOUT no byte within the idle limit']);
    expect(got('client').others).toEqual(['data 3 an event', 'rstStream 1 2']);
    expect(taken('origin').at(-1)).toBe('rstStream 1 8');
    expect(wire.ending).toBeUndefined();
  });

  test('is read from its first byte, which comes before the answer', () => {
    const { client, origin, got, messages } = bench();
    const bytes = ws.fromClient({ payload: 'hello' });
    client(headers(1, offer), data(1, bytes.subarray(0, 3)), data(1, bytes.subarray(3)));
    expect(got('origin')).toMatchObject({ bytes: Buffer.alloc(0) });
    origin(headers(1, accept));
    expect(got('origin').bytes).toEqual(bytes);
    expect(messages).toEqual(['client hello']);
  });

  test('whose client sends without end before it is answered is refused', () => {
    const { client, inspector } = bench();
    client(headers(1, offer));
    for (let round = 0; round < 40; round++) client(data(1, Buffer.alloc(10_000)));
    expect(inspector.exchanges[0]?.outcome?.failure).toBe('GATEWAY_OVERLOADED');
  });
});

describe('a rule that blocks a message', () => {
  const reason = close(1008, 'blocked by rule no-secrets');

  test('closes its stream alone on both sides, with 1008 and the end of both halves', () => {
    for (const from of ['client', 'origin'] as const) {
      const recording = opened();
      recording.client(headers(3, get, true));
      recording.taken('origin');
      recording[from](data(1, (from === 'client' ? ws.fromClient : ws.frame)({ payload: 'a secret' })));
      for (const side of ['client', 'origin'] as const) {
        const { bytes, others } = recording.got(side);
        expect(ws.framesIn(bytes)).toEqual([{ opcode: 8, payload: reason }]);
        expect(others).toEqual(['END', 'rstStream 1 0']);
      }
      expect(recording.outcomes).toEqual(['POLICY_RULE_BLOCK rule no-secrets']);
      recording.origin(headers(3, [':status=204'], true));
      expect(recording.taken('client')).toEqual(['headers 3 END :status=204']);
      // What was on its way is late, not wrong.
      recording.client(data(1, ws.fromClient({ opcode: 8, payload: close(1008) }), true));
      recording.origin(data(1, ws.frame({ payload: 'more' }), true));
      expect(recording.wire.ending).toBeUndefined();
      expect(recording.relay.idle?.()).toBe(true);
    }
  });

  test('waits with the Close frame for the windows, and reads nothing more meanwhile', () => {
    const { client, origin, got, outcomes } = opened({ client: settings([4, 10]) });
    origin(data(1, ws.frame({ payload: 'fine' })), data(1, ws.frame({ payload: 'a secret' })));
    expect(got('client').bytes).toHaveLength(10);
    expect(ws.framesIn(got('origin').bytes).map(({ opcode }) => opcode)).toEqual([8]);
    expect(outcomes).toEqual(['POLICY_RULE_BLOCK rule no-secrets']);
    client(data(1, ws.fromClient({ payload: 'more' })));
    expect(got('origin').bytes).toHaveLength(0);
    client(update(1, 100));
    expect(got('client').others).toEqual(['END', 'rstStream 1 0']);
  });

  test('resets the stream where part of a frame was forwarded, or the rule says so', () => {
    const cut = opened();
    const large = ws.frame({ opcode: 2, payload: Buffer.concat([Buffer.alloc(50_000), Buffer.from('secret')]) });
    for (let at = 0; at < large.length; at += 16_000) cut.origin(data(1, large.subarray(at, at + 16_000)));
    expect(cut.got('client').others).toEqual(['rstStream 1 2']);
    const asked = opened({}, 'reset');
    asked.client(data(1, ws.fromClient({ payload: 'secret' })));
    expect([asked.got('client').others.at(-1), asked.got('origin').others]).toEqual([
      'rstStream 1 8',
      ['rstStream 1 8'],
    ]);
    expect(asked.outcomes).toEqual(['POLICY_RULE_RESET rule no-secrets']);
  });
});

describe('an extended CONNECT that does not become a WebSocket', () => {
  test.each([
    [
      'in another version',
      [...connect.slice(0, -1), 'sec-websocket-version=8'],
      [':status=200'],
      'ORIGIN_WEBSOCKET_MALFORMED',
    ],
    ['with an extension that was not offered', connect, accept, 'ORIGIN_WEBSOCKET_MALFORMED'],
  ])('%s is answered with a page', (_name, request, response, code) => {
    const { client, origin, taken, inspector } = bench();
    client(headers(1, request));
    origin(headers(1, response));
    expect(taken('client')[0]).toMatch(/^headers 1 :status=502/);
    expect(inspector.exchanges[0]?.outcome?.failure).toBe(code);
  });

  test('of another protocol, or with an extension that nobody reads, is refused where only WebSocket may pass', () => {
    const offered = openHttp2({ upgrades: 'websocket' }, undefined, { origin: settings([8, 1]) });
    offered.client(headers(1, [':method=CONNECT', ':protocol=connect-udp', ...get.slice(1)]));
    expect(offered.taken('client')[0]).toMatch(/:status=403.*POLICY_UPGRADE_REFUSED/);
    offered.client(headers(3, connect));
    expect(offered.taken('origin')).toEqual([`headers 3 ${connect.join(' ')}`]);
  });
});
