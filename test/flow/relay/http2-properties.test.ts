import { once } from 'node:events';
import { connect, createServer, type ServerHttp2Stream } from 'node:http2';
import { duplexPair } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Side } from '../../../src/core/side.ts';
import type { Verdict } from '../../../src/core/verdict.ts';
import {
  data,
  frame,
  get,
  headers,
  number,
  openHttp2,
  ping,
  post,
  recordHttp2,
  settings,
  settingsAck,
} from './http2-recording.ts';
import type { Judge } from './recording.ts';

const webSocket = [':method=CONNECT', ':protocol=websocket', ...get.slice(1), 'sec-websocket-version=13'];
const rule = { id: 'r-1', title: 'a rule', rev: 1 };
const block: Verdict = { kind: 'block', rule };
/** What an inspector may say at a step: half of the later verdicts are never there. */
const verdicts = fc.constantFrom<Verdict>(
  block,
  { kind: 'reset', rule },
  { kind: 'allow', keepBytes: Number.POSITIVE_INFINITY },
  { kind: 'allow', keepBytes: 2 },
  { kind: 'allow', keepBytes: Number.POSITIVE_INFINITY, until: new Promise(() => {}) },
);
const streamId = fc.constantFrom(0, 1, 2, 3, 5, 7, 2 ** 31 - 1);
const requests = fc.tuple(
  streamId,
  fc.constantFrom(get, post, webSocket, [...get, 'content-length=3'], ['a=b'], []),
  fc.boolean(),
);
const responses = fc.tuple(
  streamId,
  fc.constantFrom([':status=200'], [':status=100'], [':status=304'], ['a=b']),
  fc.boolean(),
);
const anything = fc.tuple(
  fc.integer({ min: 0, max: 12 }),
  fc.integer({ min: 0, max: 255 }),
  streamId,
  fc.string({ unit: fc.constantFrom('\0', '\x01', '\x82', '\xff', 'a'), maxLength: 12 }),
);

const frames = fc.oneof(
  requests.map((fields) => headers(...fields)),
  responses.map((fields) => headers(...fields)),
  fc.tuple(streamId, fc.string({ maxLength: 6 }), fc.boolean()).map((fields) => data(...fields)),
  fc.tuple(streamId, fc.constantFrom(0, 1, 8)).map(([id, error]) => frame(3, 0, id, number(error))),
  fc.tuple(streamId, fc.constantFrom(0, 1, 65_535)).map(([id, bytes]) => frame(8, 0, id, number(bytes))),
  fc.constantFrom(ping, settings(), settings([1, 0]), settings([4, 0]), settingsAck),
  fc.integer({ min: 0, max: 9 }).map((last) => frame(7, 0, 0, Buffer.concat([number(last), number(0)]))),
  { arbitrary: anything.map((fields) => frame(...fields)), weight: 2 },
);

const steps = fc.array(
  fc.oneof(
    { arbitrary: fc.tuple(fc.constantFrom<Side>('client', 'origin'), frames), weight: 20 },
    fc.tuple(fc.constantFrom<Side>('client', 'origin'), fc.constantFrom<'end' | 'cut'>('end', 'cut')),
    fc.tuple(fc.constant<'clock'>('clock'), fc.constantFrom(1_000, 20_000)),
    fc.constantFrom(['drain'] as const, ['timeout'] as const),
  ),
  { maxLength: 40 },
);

describe('whatever comes', () => {
  test('nothing is thrown, nothing is sent behind the end, and every exchange is finished', () => {
    fc.assert(
      fc.property(
        steps,
        fc.dictionary(
          fc.constantFrom('requestHead', 'requestBody', 'requestEnd', 'responseHead', 'responseBody', 'responseEnd'),
          verdicts,
        ),
        (taken, judged) => {
          const own = { origin: settings([8, 1]) };
          const recording = openHttp2({}, (step) => judged[step], own);
          const { relay, wire, inspector } = recording;
          let nowMs = 1_000;
          for (const step of taken) {
            // As the pump does it: a flow that is over gets nothing more.
            if (wire.ending !== undefined) break;
            if (step[0] === 'clock') {
              nowMs += step[1];
              relay.tick?.(nowMs);
            } else if (step[0] === 'drain') relay.drain?.();
            else if (step[0] === 'timeout') {
              if (relay.idle?.() === false) relay.timedOut?.();
            } else if (Buffer.isBuffer(step[1])) relay.receive(step[0], step[1]);
            else relay.end(step[0], step[1] === 'end');
          }
          if (wire.ending === undefined) relay.cut('GATEWAY_SHUTTING_DOWN', '');
          for (const { outcome } of inspector.exchanges) expect(outcome).toBeDefined();
        },
      ),
      { numRuns: 3_000 },
    );
  });

  test('bodies of nghttp2 arrive whole in both directions, however they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 200_000 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 40_000 }),
        fc.constantFrom(16_384, 65_536, 1_000_000),
        fc.constantFrom<Judge>(
          () => undefined,
          // Held as a whole, or but for its end, or now and then, in one direction or both.
          (step) => (/Head|Body/.test(step) ? { kind: 'allow', keepBytes: Number.POSITIVE_INFINITY } : undefined),
          (step) => (/response(?:Head|Body)/.test(step) ? { kind: 'allow', keepBytes: 1_024 } : undefined),
          (step, { requestBody }) =>
            step === 'requestBody' && requestBody.length % 2 === 0 ? { kind: 'allow', keepBytes: 100_000 } : undefined,
        ),
        async (sizes, cut, maxFrameSize, judge) => {
          const { relay, wire } = recordHttp2({}, judge);
          const server = createServer({ settings: { maxFrameSize } });
          server.on('stream', (stream: ServerHttp2Stream) => {
            stream.respond({ ':status': 200 });
            stream.pipe(stream);
          });
          const [client, nearClient] = duplexPair();
          const [origin, nearOrigin] = duplexPair();
          // A wire does not call back into its relay.
          wire.onSend = (to, bytes) => setImmediate(() => (to === 'client' ? nearClient : nearOrigin).write(bytes));
          const pass = (from: Side) => (bytes: Buffer) => {
            for (let at = 0; at < bytes.length; at += cut) relay.receive(from, bytes.subarray(at, at + cut));
          };
          nearClient.on('data', pass('client'));
          nearOrigin.on('data', pass('origin'));
          server.emit('connection', origin);
          const session = connect('http://a.example', { createConnection: () => client, settings: { maxFrameSize } });
          const echoed = sizes.map(async (size) => {
            const body = Buffer.alloc(size, size & 0xff);
            const stream = session.request({ ':method': 'POST' });
            stream.end(body);
            const chunks: Buffer[] = [];
            stream.on('data', (chunk: Buffer) => chunks.push(chunk));
            await once(stream, 'end');
            expect(Buffer.concat(chunks).equals(body)).toBe(true);
          });
          await Promise.all(echoed);
          session.destroy();
        },
      ),
      { numRuns: 40 },
    );
  });
});
