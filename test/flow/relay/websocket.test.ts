import { constants, deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { limits } from '../../../src/core/limits.ts';
import type { Relay } from '../../../src/core/relay.ts';
import type { Side } from '../../../src/core/side.ts';
import { allow } from '../../../src/core/verdict.ts';
import type { MessageInspector, WebSocketAgreement } from '../../../src/core/websocket.ts';
import { createWebSocketRelay } from '../../../src/flow/relay/websocket.ts';
import { type FrameWishes, frame, framesIn, fromClient } from '../../support/websocket-frames.ts';
import { anotherAddress, RecordingWire } from './recording.ts';

interface Bench {
  readonly relay: Relay;
  readonly wire: RecordingWire;
  /** `client text 5 "hello"`: what the inspector was told, pieces joined. */
  readonly messages: string[];
  readonly outcome: () => string | undefined;
}

const rule = { id: 'no-secrets', title: 'No secrets', rev: 1 };
const withDeflate: WebSocketAgreement = { deflate: { keepsContext: { client: true, origin: true } } };

/** A relay whose inspector keeps what it is told and judges messages by their content. */
function bench(
  agreement: WebSocketAgreement = { deflate: undefined },
  verdict: 'allow' | 'block' | 'reset' = 'block',
  shareKey = anotherAddress(),
): Bench {
  const wire = new RecordingWire();
  const live: Record<Side, string> = { client: '', origin: '' };
  const content: Record<Side, Buffer[]> = { client: [], origin: [] };
  const messages: string[] = [];
  let outcome: string | undefined;
  const inspector: MessageInspector = {
    begin(from, { type, bytes, isCompressed }) {
      live[from] = `${from} ${type}${isCompressed ? ' compressed' : ''} ${bytes ?? '?'}`;
      content[from] = [];
      return allow;
    },
    content(from, bytes) {
      content[from].push(Buffer.from(bytes));
      return verdict !== 'allow' && Buffer.concat(content[from]).includes('secret') ? { kind: verdict, rule } : allow;
    },
    end(from) {
      messages.push(`${live[from]} ${JSON.stringify(Buffer.concat(content[from]).toString('latin1'))}`);
      return allow;
    },
    control: (from) => messages.push(`${from} control`),
    tick: () => {},
    finish(code, detail) {
      if (outcome !== undefined) throw new Error('finished twice');
      outcome = `${code ?? 'whole'} ${detail}`.trim();
    },
  };
  return {
    relay: createWebSocketRelay({ wire, agreement, messages: inspector, shareKey }),
    wire,
    messages,
    outcome: () => outcome,
  };
}

function deflated(text: string): Buffer {
  return deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

const conversation: readonly FrameWishes[] = [
  { payload: 'hello' },
  { payload: 'fragm', fin: false },
  { opcode: 9, payload: 'ping' },
  { opcode: 0, payload: 'ents', fin: false },
  { opcode: 0, payload: ' of ä' },
  { opcode: 2, payload: Buffer.from([0, 1, 2, 255]) },
  { opcode: 2, payload: Buffer.alloc(300, 7) },
  { payload: '' },
  { opcode: 8, payload: Buffer.from([3, 232, 111, 107]) },
];

describe('a WebSocket', () => {
  it('passes byte for byte, wherever it is cut', () => {
    for (const from of ['client', 'origin'] as const) {
      const bytes = Buffer.concat(
        conversation.map((wishes) => (from === 'client' ? fromClient(wishes) : frame(wishes))),
      );
      const told = new Set<string>();
      for (let cut = 0; cut <= bytes.length; cut += 1) {
        const { relay, wire, messages } = bench();
        relay.receive(from, Buffer.from(bytes.subarray(0, cut)));
        relay.receive(from, Buffer.from(bytes.subarray(cut)));
        expect(wire.bytesTo(from === 'client' ? 'origin' : 'client').equals(bytes)).toBe(true);
        expect(wire.ending).toBeUndefined();
        told.add(messages.join('|'));
      }
      expect([...told]).toEqual([
        [
          `${from} text 5 "hello"`,
          `${from} control`,
          `${from} text ? "fragments of Ã¤"`,
          `${from} binary 4 "\\u0000\\u0001\\u0002ÿ"`,
          `${from} binary 300 ${JSON.stringify('\u0007'.repeat(300))}`,
          `${from} text 0 ""`,
          `${from} control`,
        ].join('|'),
      ]);
    }
  });

  it('passes byte by byte, compressed messages too', () => {
    const bytes = Buffer.concat([
      fromClient({ rsv1: true, payload: deflated('hello') }),
      fromClient({ rsv1: true, payload: deflated('a longer text').subarray(0, 6), fin: false }),
      fromClient({ opcode: 10 }),
      fromClient({ opcode: 0, payload: deflated('a longer text').subarray(6) }),
      fromClient({ payload: 'plain' }),
    ]);
    const { relay, wire, messages } = bench(withDeflate);
    for (const byte of bytes) relay.receive('client', Buffer.from([byte]));
    expect(wire.bytesTo('origin').equals(bytes)).toBe(true);
    expect(messages).toEqual([
      'client text compressed ? "hello"',
      'client control',
      'client text compressed ? "a longer text"',
      'client text 5 "plain"',
    ]);
  });

  it('lets a large frame pass as it comes', () => {
    const payload = Buffer.alloc(200_000, 'x');
    const bytes = fromClient({ opcode: 2, payload });
    const { relay, wire, messages } = bench();
    relay.receive('client', bytes.subarray(0, 50_000));
    expect(wire.bytesTo('origin')).toHaveLength(50_000);
    relay.receive('client', bytes.subarray(50_000));
    expect(wire.bytesTo('origin').equals(bytes)).toBe(true);
    expect(messages).toEqual([`client binary 200000 ${JSON.stringify(payload.toString())}`]);
  });

  it('holds a frame that must come whole', () => {
    const bytes = fromClient({ payload: 'x'.repeat(limits.webSocketHeldFrameBytes) });
    const { relay, wire } = bench();
    relay.receive('client', bytes.subarray(0, -1));
    expect(wire.bytesTo('origin')).toHaveLength(0);
    relay.receive('client', bytes.subarray(-1));
    expect(wire.bytesTo('origin')).toHaveLength(bytes.length);
  });

  it('ends in order when both sides have closed', () => {
    const { relay, wire, outcome } = bench();
    relay.receive('client', fromClient({ opcode: 8, payload: Buffer.from([3, 232]) }));
    relay.receive('origin', frame({ opcode: 8, payload: Buffer.from([3, 232]) }));
    relay.end('origin', true);
    expect(wire.ended).toEqual(['client']);
    relay.end('client', true);
    expect([wire.ending, outcome()]).toEqual(['close', 'whole']);
  });

  it.each([
    ['within a frame', fromClient({ payload: 'hello' }).subarray(0, 4), true],
    ['within a message', fromClient({ payload: 'hello', fin: false }), true],
    ['without an end of TLS', fromClient({ payload: 'hello' }), false],
  ])('that ends %s ends visibly', (_name, bytes, clean) => {
    const { relay, wire, outcome } = bench();
    relay.receive('client', bytes);
    relay.end('client', clean);
    expect([wire.ending, outcome()]).toEqual(['abort CLIENT_GONE', 'CLIENT_GONE the WebSocket was cut']);
  });
});

describe('a rule that blocks a message', () => {
  const closesBoth = (wire: RecordingWire, before: string): void => {
    const close = { opcode: 8, payload: Buffer.from('\u0003\u00f0blocked by rule no-secrets', 'latin1') };
    const plain = before === '' ? [] : [{ opcode: 1, payload: Buffer.from(before) }];
    expect(framesIn(wire.bytesTo('origin'))).toEqual([...plain, close]);
    expect(framesIn(wire.bytesTo('client'))).toEqual([close]);
    expect(wire.ending).toBe('close POLICY_RULE_BLOCK');
  };

  it('closes both sides with 1008, and nothing of the message is forwarded, wherever it is cut', () => {
    const bytes = Buffer.concat([fromClient({ payload: 'fine' }), fromClient({ payload: 'a secret here' })]);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const { relay, wire, outcome } = bench();
      relay.receive('client', Buffer.from(bytes.subarray(0, cut)));
      if (cut < bytes.length) relay.receive('client', Buffer.from(bytes.subarray(cut)));
      relay.receive('client', fromClient({ payload: 'more' }));
      relay.receive('origin', frame({ payload: 'more' }));
      closesBoth(wire, 'fine');
      expect(outcome()).toBe('POLICY_RULE_BLOCK rule no-secrets');
    }
  });

  it('finds it in what is compressed', () => {
    const { relay, wire } = bench(withDeflate);
    const whole = deflated('a secret here');
    relay.receive('client', fromClient({ rsv1: true, payload: whole.subarray(0, 5), fin: false }));
    relay.receive('client', fromClient({ opcode: 0, payload: whole.subarray(5) }));
    closesBoth(wire, '');
  });

  it('finds it over fragments, of which the last is not forwarded', () => {
    const { relay, wire } = bench();
    relay.receive('origin', frame({ payload: 'a sec', fin: false }));
    relay.receive('origin', frame({ opcode: 0, payload: 'ret here' }));
    expect(framesIn(wire.bytesTo('client')).map(({ opcode }) => opcode)).toEqual([1, 8]);
    expect(framesIn(wire.bytesTo('origin')).map(({ opcode }) => opcode)).toEqual([8]);
  });

  it('breaks off where part of a frame was forwarded: no Close frame can stand in it', () => {
    const { relay, wire, outcome } = bench();
    const bytes = frame({ opcode: 2, payload: Buffer.concat([Buffer.alloc(50_000), Buffer.from('secret')]) });
    relay.receive('origin', bytes.subarray(0, 20_000));
    relay.receive('origin', bytes.subarray(20_000));
    expect(wire.bytesTo('client')).toHaveLength(20_000);
    expect([wire.ending, outcome()]).toEqual(['abort POLICY_RULE_BLOCK', 'POLICY_RULE_BLOCK rule no-secrets']);
  });

  it('resets where the rule says so', () => {
    const { relay, wire } = bench({ deflate: undefined }, 'reset');
    relay.receive('client', fromClient({ payload: 'secret' }));
    expect([wire.ending, wire.bytesTo('origin').length]).toEqual(['abort POLICY_RULE_RESET', 0]);
  });
});

describe('compressed messages that never end', () => {
  it('take the share of one client address, and others are relayed beside them', () => {
    const begun = fromClient({ fin: false, rsv1: true, opcode: 2, payload: Buffer.alloc(1_040_000) });
    const hoarder = anotherAddress();
    const benches: Bench[] = [];
    do {
      benches.push(bench(withDeflate, 'allow', hoarder));
      benches.at(-1)?.relay.receive('client', begun);
    } while (benches.at(-1)?.wire.ending === undefined);
    const other = bench(withDeflate, 'allow');
    const whole = fromClient({ rsv1: true, payload: deflated('hello') });
    other.relay.receive('client', whole);
    for (const { relay } of benches) relay.cut('CLIENT_GONE', '');
    expect(benches.at(-1)?.wire.ending).toBe('close GATEWAY_OVERLOADED');
    expect(benches.length).toBeLessThan(limits.webSocketCompressedTotalBytes / 1_040_000);
    expect([other.wire.ending, other.wire.bytesTo('origin')]).toEqual([undefined, whole]);
    const again = bench(withDeflate, 'allow', hoarder);
    again.relay.receive('client', whole);
    expect(again.wire.bytesTo('origin')).toEqual(whole);
  });
});

describe('what breaks the rules of WebSocket', () => {
  const big = Buffer.alloc(limits.webSocketCompressedBytes + 1);
  it.each<readonly [string, WebSocketAgreement, readonly FrameWishes[], number, string]>([
    ['a reserved opcode', withDeflate, [{ opcode: 3 }], 1002, 'MALFORMED'],
    ['a continuation of nothing', withDeflate, [{ opcode: 0 }], 1002, 'MALFORMED'],
    ['a message within a message', withDeflate, [{ fin: false }, { opcode: 2 }], 1002, 'MALFORMED'],
    [
      'compression that was not agreed on',
      { deflate: undefined },
      [{ rsv1: true, payload: deflated('x') }],
      1002,
      'MALFORMED',
    ],
    [
      'a compression bit on a continuation',
      withDeflate,
      [{ fin: false }, { opcode: 0, rsv1: true }],
      1002,
      'MALFORMED',
    ],
    ['a close code of no peer', withDeflate, [{ opcode: 8, payload: Buffer.from([3, 237]) }], 1002, 'MALFORMED'],
    ['a text that is no UTF-8', withDeflate, [{ payload: Buffer.from([0xc3, 0x28]) }], 1007, 'MALFORMED'],
    ['a text that ends in a character', withDeflate, [{ payload: Buffer.from([0xc3]) }], 1007, 'MALFORMED'],
    ['data that is not compressed', withDeflate, [{ rsv1: true, payload: Buffer.alloc(9, 0xff) }], 1002, 'MALFORMED'],
    ['a large compressed message', withDeflate, [{ rsv1: true, opcode: 2, payload: big }], 1009, 'TOO_LARGE'],
    ['a bomb', withDeflate, [{ rsv1: true, payload: deflated('x'.repeat(5_000_000)) }], 1009, 'TOO_LARGE'],
  ])('is refused with a code: %s', (_name, agreement, frames, closeCode, code) => {
    for (const from of ['client', 'origin'] as const) {
      const { relay, wire } = bench(agreement);
      for (const wishes of frames) relay.receive(from, from === 'client' ? fromClient(wishes) : frame(wishes));
      expect(wire.ending).toBe(`close ${from === 'client' ? 'CLIENT' : 'ORIGIN'}_WEBSOCKET_${code}`);
      for (const side of ['client', 'origin'] as const) {
        const last = framesIn(wire.bytesTo(side)).at(-1);
        expect([last?.opcode, last?.payload.readUInt16BE(0)]).toEqual([8, closeCode]);
      }
    }
  });

  it('is a frame behind the Close frame; the receiver of that gets no second one', () => {
    const { relay, wire } = bench();
    relay.receive('client', fromClient({ opcode: 8, payload: Buffer.from([3, 232]) }));
    relay.receive('client', fromClient({ payload: 'more' }));
    expect(wire.ending).toBe('close CLIENT_WEBSOCKET_MALFORMED');
    expect(framesIn(wire.bytesTo('origin'))).toEqual([{ opcode: 8, payload: Buffer.from([3, 232]) }]);
    expect(framesIn(wire.bytesTo('client')).map(({ opcode }) => opcode)).toEqual([8]);
  });

  it.each<[string, FrameWishes, number]>([
    ['frames without content, each by itself', { fin: false, opcode: 0 }, 1],
    ['frames without content, many at once', { fin: false, opcode: 0 }, 1_000],
    ['pings', { opcode: 9 }, 1_000],
    ['single bytes', { fin: false, opcode: 0, payload: 'x' }, 1_000],
  ])('is a compressed message that is held for ever, and grows by %s', (_, wishes, atOnce) => {
    const { relay, wire } = bench(withDeflate);
    relay.receive('client', fromClient({ fin: false, rsv1: true }));
    const one = fromClient(wishes);
    const many = Buffer.concat(Array.from({ length: atOnce }, () => one));
    let sent = 0;
    for (; sent < 2 * limits.webSocketCompressedBytes && wire.ending === undefined; sent += many.length) {
      relay.receive('client', many);
    }
    expect(wire.ending).toBe('close CLIENT_WEBSOCKET_TOO_LARGE');
    expect(framesIn(wire.bytesTo('origin')).map(({ opcode }) => opcode)).toEqual([8]);
  });
});
