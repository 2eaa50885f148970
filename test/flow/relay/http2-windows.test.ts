import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Exchange } from '../../../src/core/http.ts';
import { otherSide, type Side } from '../../../src/core/side.ts';
import { allow, type Verdict } from '../../../src/core/verdict.ts';
import type { MessageInspector } from '../../../src/core/websocket.ts';
import { uninspected } from '../../../src/flow/uninspected.ts';
import * as ws from '../../support/websocket-frames.ts';
import { data, frame, get, headers, number, openHttp2, post, settings } from './http2-recording.ts';

const initialWindow = 2_000;
const connectionWindow = 65_535;

/** What of the first message waits with each piece of it. */
const kept = fc.constantFrom(0, 0, 10, 700, Number.POSITIVE_INFINITY);
const step = fc.oneof(
  fc.record({ kind: fc.constant('send' as const), stream: fc.constantFrom(1, 3), bytes: fc.nat(3_000), keep: kept }),
  fc.record({ kind: fc.constant('grant' as const), stream: fc.constantFrom(0, 1, 3), bytes: fc.nat(9_000) }),
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** Two ends that keep to their windows, and see to it that the relay between them does. */
class Ends {
  readonly #from: Side;
  readonly #send: (side: Side, ...frames: Buffer[]) => void;
  readonly #taken: (side: Side) => string[];
  /** What the sender believes, and what the receiver has. */
  readonly #believed: Record<number, number> = { 0: connectionWindow, 1: initialWindow, 3: initialWindow };
  readonly #left: Record<number, number> = { 0: connectionWindow, 1: initialWindow, 3: initialWindow };
  readonly sent: Record<number, number> = { 1: 0, 3: 0 };
  readonly got: Record<number, number> = { 1: 0, 3: 0 };
  readonly ended = new Set<number>();

  constructor(from: Side, send: (side: Side, ...frames: Buffer[]) => void, taken: (side: Side) => string[]) {
    this.#from = from;
    this.#send = send;
    this.#taken = taken;
  }

  /** Most bytes that may be sent now. */
  room(stream: number): number {
    return Math.max(0, Math.min(this.#believed[0] ?? 0, this.#believed[stream] ?? 0));
  }

  send(stream: number, bytes: Buffer, ends = false): void {
    for (const window of [0, stream]) this.#believed[window] = (this.#believed[window] ?? 0) - bytes.length;
    this.sent[stream] = (this.sent[stream] ?? 0) + bytes.length;
    this.#send(this.#from, data(stream, bytes, ends));
    this.#read();
  }

  grant(stream: number, bytes: number): void {
    if (bytes === 0 || (stream !== 0 && this.ended.has(stream))) return;
    this.#left[stream] = (this.#left[stream] ?? 0) + bytes;
    this.#send(otherSide(this.#from), frame(8, 0, stream, number(bytes)));
    this.#read();
  }

  #read(): void {
    for (const line of this.#taken(otherSide(this.#from))) {
      const [, id = '', end, body = ''] = /^data (\d)( END)? ?([\s\S]*)$/.exec(line) ?? [];
      if (id === '') continue;
      const stream = Number(id);
      for (const window of [0, stream]) this.#left[window] = (this.#left[window] ?? 0) - body.length;
      this.got[stream] = (this.got[stream] ?? 0) + body.length;
      if (end !== undefined) this.ended.add(stream);
    }
    // The relay keeps to the windows of the receiver.
    expect(Math.min(...Object.values(this.#left))).toBeGreaterThanOrEqual(0);
    for (const line of this.#taken(this.#from)) {
      const [, stream = '', bytes = ''] = /^windowUpdate (\d) (\d+)$/.exec(line) ?? [];
      if (stream !== '') this.#believed[Number(stream)] = (this.#believed[Number(stream)] ?? 0) + Number(bytes);
    }
    // And what it keeps takes nothing of them: the sender waits for nobody but the receiver.
    for (const window of [0, 1, 3]) {
      if (this.ended.has(window)) continue;
      const waiting = window === 0 ? this.#waiting(1) + this.#waiting(3) : this.#waiting(window);
      const receivers = (this.#left[window] ?? 0) - waiting;
      expect(this.#believed[window]).toBeGreaterThanOrEqual(Math.min(0, receivers));
      if (waiting === 0) expect(this.#believed[window]).toBeGreaterThanOrEqual(this.#left[window] ?? 0);
    }
  }

  #waiting(stream: number): number {
    return (this.sent[stream] ?? 0) - (this.got[stream] ?? 0);
  }
}

function play(
  ends: Ends,
  steps: readonly Step[],
  next: (keep: number) => void,
  bytesOf: (most: number) => Buffer,
): void {
  for (const { kind, stream, bytes, ...more } of steps) {
    if (kind === 'grant') ends.grant(stream, bytes);
    else {
      const most = Math.min(bytes, ends.room(stream));
      next('keep' in more ? more.keep : 0);
      const part = stream === 1 ? bytesOf(most) : Buffer.alloc(most, 'y');
      if (part.length > 0) ends.send(stream, part);
    }
  }
}

function finish(ends: Ends, last: Buffer): void {
  for (const stream of [3, 1]) ends.send(stream, stream === 1 ? last : Buffer.alloc(0), true);
  for (let round = 0; round < 40; round++) for (const stream of [0, 1, 3]) ends.grant(stream, 10_000);
  expect(ends.got).toEqual(ends.sent);
  expect([...ends.ended].toSorted()).toEqual([1, 3]);
}

describe('two ends that keep to their windows', () => {
  test.each(['client', 'origin'] as const)(
    'lose nothing of what is held of the %s, wait for no one but each other, and get no byte too much',
    (from) => {
      fc.assert(
        fc.property(
          fc.array(step, { maxLength: 60 }),
          fc.constantFrom(0, 1_024, Number.POSITIVE_INFINITY),
          (steps, headKeeps) => {
            let keep = 0;
            const now = (): Verdict => (keep === 0 ? allow : { kind: 'allow', keepBytes: keep });
            const isFirst = from === 'client' ? 'requestBody' : 'responseBody';
            const headStep = from === 'client' ? 'requestHead' : 'responseHead';
            const { client, origin, taken } = openHttp2(
              {},
              (name, { request }) => {
                if (request?.streamId !== 1) return undefined;
                if (name === headStep && headKeeps > 0) return { kind: 'allow', keepBytes: headKeeps };
                return name === isFirst ? now() : undefined;
              },
              { client: settings([4, initialWindow]), origin: settings([4, initialWindow]) },
            );
            client(headers(1, from === 'client' ? post : get, from === 'origin'));
            client(headers(3, from === 'client' ? post : get, from === 'origin'));
            origin(headers(1, [':status=200']), headers(3, [':status=200']));
            taken('client');
            taken('origin');
            const ends = new Ends(from, (side, ...frames) => (side === 'client' ? client : origin)(...frames), taken);
            play(
              ends,
              steps,
              (next) => {
                keep = next;
              },
              (most) => Buffer.alloc(most, 'x'),
            );
            finish(ends, Buffer.alloc(0));
          },
        ),
        { numRuns: 80 },
      );
    },
  );

  test.each(['client', 'origin'] as const)('carry a WebSocket of the %s in the same way', (from) => {
    const messages: MessageInspector = {
      begin: () => allow,
      content: () => allow,
      end: () => allow,
      control: () => {},
      tick: () => {},
      finish: () => {},
    };
    const exchange: Exchange = { ...uninspected, messages: () => messages };
    const framed = from === 'client' ? ws.fromClient : ws.frame;
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.array(fc.nat(5_000), { minLength: 1, maxLength: 15 }),
        (steps, sizes) => {
          const { client, origin, taken } = openHttp2({ exchange: () => exchange }, undefined, {
            client: settings([4, initialWindow]),
            origin: settings([4, initialWindow], [8, 1]),
          });
          const connect = [':method=CONNECT', ':protocol=websocket', ...get.slice(1), 'sec-websocket-version=13'];
          client(headers(1, connect), headers(3, from === 'client' ? post : get, from === 'origin'));
          origin(headers(1, [':status=200']), headers(3, [':status=200']));
          taken('client');
          taken('origin');
          // Messages of all sizes, cut wherever the windows of the moment cut them.
          let rest = Buffer.concat(sizes.map((size) => framed({ opcode: 2, payload: Buffer.alloc(size, 'x') })));
          const ends = new Ends(from, (side, ...frames) => (side === 'client' ? client : origin)(...frames), taken);
          play(
            ends,
            steps,
            () => {},
            (most) => {
              const part = rest.subarray(0, most);
              rest = rest.subarray(part.length);
              return part;
            },
          );
          while (rest.length > 0) {
            const part = rest.subarray(0, Math.min(ends.room(1), 16_384));
            rest = rest.subarray(part.length);
            if (part.length > 0) ends.send(1, part);
            for (const stream of [0, 1]) ends.grant(stream, 5_000);
          }
          finish(ends, Buffer.alloc(0));
        },
      ),
      { numRuns: 40 },
    );
  });
});
