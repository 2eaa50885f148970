import { describe, expect, test } from 'vitest';
import { connectionPreface, flags, frameTypes } from '../../../src/codec/http2-frames.ts';
import type { Side } from '../../../src/core/side.ts';
import {
  blockOf,
  data,
  described,
  frame,
  get,
  headers,
  number,
  ping,
  post,
  recordHttp2,
  settings,
  settingsAck,
} from './http2-recording.ts';

type Step = readonly [Side, ...Buffer[]];

interface Transcript {
  readonly name: string;
  readonly steps: readonly Step[];
  readonly toOrigin: readonly string[];
  readonly toClient: readonly string[];
  readonly events: readonly string[];
}

const hello: readonly Step[] = [
  ['client', connectionPreface, settings([3, 100], [4, 1_000_000])],
  ['origin', settings([3, 128], [4, 65_536], [5, 16_384])],
  ['client', settingsAck],
  ['origin', settingsAck],
];
const helloToOrigin = ['preface', 'settings 0 0003000000640004000f4240000200000000', 'settings 0'];
const helloToClient = ['settings 0 000300000080000400010000000500004000', 'settings 0'];
const getFields = get.join(' ');
const postFields = post.join(' ');
const plain = 'requestHead requestEnd responseHead responseBody responseEnd finish';

const transcripts: readonly Transcript[] = [
  {
    name: 'two streams whose frames are mixed',
    steps: [
      ...hello,
      ['client', headers(1, get, true), headers(3, get, true)],
      [
        'origin',
        headers(3, [':status=200', 'a=b']),
        headers(1, [':status=200']),
        data(3, 'three'),
        data(1, 'one', true),
      ],
      ['origin', data(3, '!', true)],
    ],
    toOrigin: [...helloToOrigin, `headers 1 END ${getFields}`, `headers 3 END ${getFields}`],
    toClient: [
      ...helloToClient,
      'headers 3 :status=200 a=b',
      'headers 1 :status=200',
      'data 3 three',
      'data 1 END one',
      'data 3 END !',
    ],
    events: [plain, plain],
  },
  {
    name: 'a body with trailers, interim responses and a trailers-only answer',
    steps: [
      ...hello,
      ['client', headers(1, [...post, 'te=trailers'])],
      ['origin', headers(1, [':status=100'])],
      ['client', data(1, 'hello'), headers(1, ['x-sum=1'], true)],
      ['origin', headers(1, [':status=103', 'link=</a>']), headers(1, [':status=200', 'grpc-status=0'], true)],
    ],
    toOrigin: [...helloToOrigin, `headers 1 ${postFields} te=trailers`, 'data 1 hello', 'headers 1 END x-sum=1'],
    toClient: [
      ...helloToClient,
      'headers 1 :status=100',
      'headers 1 :status=103 link=</a>',
      'headers 1 END :status=200 grpc-status=0',
    ],
    events: ['requestHead interim 100 requestBody requestEnd interim 103 responseHead responseEnd finish'],
  },
  {
    name: 'windows, pings, priorities, unknown frames, resets and a goodbye as they are',
    steps: [
      ...hello,
      ['client', frame(frameTypes.windowUpdate, 0, 0, number(1_000)), ping, headers(1, get, true)],
      ['client', frame(frameTypes.windowUpdate, 0, 1, number(77)), frame(frameTypes.priority, 0, 1, '\0\0\0\0\x10')],
      ['client', frame(0xf7, 0x55, 1, 'unknown')],
      ['origin', frame(frameTypes.ping, flags.ack, 0, '12345678'), headers(1, [':status=200']), data(1, 'x')],
      ['client', frame(frameTypes.rstStream, 0, 1, number(8))],
      ['origin', frame(frameTypes.goaway, 0, 0, Buffer.concat([number(1), number(0), Buffer.from('bye')]))],
    ],
    toOrigin: [
      ...helloToOrigin,
      'windowUpdate 0 1000',
      'ping 0 3132333435363738',
      `headers 1 END ${getFields}`,
      'windowUpdate 1 77',
      'priority 1 0000000010',
      'type 247 1 756e6b6e6f776e',
      'rstStream 1 8',
    ],
    toClient: [...helloToClient, 'ping 0 3132333435363738', 'headers 1 :status=200', 'data 1 x', 'goaway 0 1 0'],
    events: ['requestHead requestEnd responseHead responseBody finish'],
  },
  {
    name: 'a header block in pieces, padded, with a priority',
    steps: [
      ...hello,
      [
        'client',
        frame(
          frameTypes.headers,
          flags.endStream | flags.padded | flags.priority,
          1,
          Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 7]), blockOf(get).subarray(0, 4), Buffer.alloc(3)]),
        ),
        frame(frameTypes.continuation, 0, 1, blockOf(get).subarray(4, 6)),
        frame(frameTypes.continuation, flags.endHeaders, 1, blockOf(get).subarray(6)),
      ],
      ['origin', headers(1, [':status=204'], true)],
    ],
    toOrigin: [...helloToOrigin, `headers 1 END ${getFields}`],
    toClient: [...helloToClient, 'headers 1 END :status=204'],
    events: ['requestHead requestEnd responseHead responseEnd finish'],
  },
  {
    name: 'padded DATA, padding included',
    steps: [
      ...hello,
      ['client', headers(1, post), frame(frameTypes.data, flags.padded | flags.endStream, 1, '\x02body\0\0')],
      ['origin', headers(1, [':status=200', 'content-length=0'], true)],
    ],
    toOrigin: [...helloToOrigin, `headers 1 ${postFields}`, 'data 1 END \x02body\0\0'],
    toClient: [...helloToClient, 'headers 1 END :status=200 content-length=0'],
    events: ['requestHead requestBody requestEnd responseHead responseEnd finish'],
  },
];

describe('a relay', () => {
  describe.each(transcripts)('passes $name', ({ name, steps, toOrigin, toClient, events }) => {
    const whole = steps.map(([side, ...frames]) => [side, Buffer.concat(frames)] as const);
    const hasPriority = name.includes('priority');

    function run(cut: (bytes: Buffer) => readonly Buffer[]): void {
      const { relay, wire, inspector } = recordHttp2();
      for (const [side, bytes] of whole) for (const piece of cut(bytes)) relay.receive(side, piece);
      expect(wire.ending).toBeUndefined();
      // A priority stands before its block, which the description of a frame does not read.
      if (!hasPriority) expect(described(wire.bytesTo('origin'))).toEqual(toOrigin);
      expect(described(wire.bytesTo('client'))).toEqual(toClient);
      expect(inspector.exchanges.map((exchange) => exchange.events.join(' '))).toEqual(events);
      expect(relay.idle?.()).toBe(true);
    }

    test('in one piece', () => run((bytes) => [bytes]));

    test('byte by byte', () => run((bytes) => [...bytes].map((byte) => Buffer.from([byte]))));

    test('cut at every byte', () => {
      const most = Math.max(...whole.map(([, bytes]) => bytes.length));
      for (let at = 1; at < most; at++)
        run((bytes) => [bytes.subarray(0, at), bytes.subarray(at)].filter((piece) => piece.length > 0));
    });
  });

  test('writes a padded block anew, with its priority', () => {
    const { relay, wire } = recordHttp2();
    for (const [side, ...frames] of transcripts[3]?.steps ?? []) relay.receive(side, Buffer.concat(frames));
    const block = blockOf(get);
    const written = frame(
      frameTypes.headers,
      flags.endStream | flags.endHeaders | flags.priority,
      1,
      // The first block towards a side gives its table up.
      Buffer.concat([Buffer.from([0, 0, 0, 0, 7, 0x20]), block]),
    );
    expect(wire.bytesTo('origin').subarray(-written.length).toString('hex')).toBe(written.toString('hex'));
  });

  test('passes DATA on as views of what it received', () => {
    const { relay, wire } = recordHttp2();
    for (const [side, ...frames] of hello) relay.receive(side, Buffer.concat(frames));
    relay.receive('client', headers(1, post));
    const chunk = Buffer.concat([
      data(1, 'one'),
      data(1, 'two'),
      frame(frameTypes.windowUpdate, 0, 1, number(9)),
      data(1, 'three'),
    ]);
    relay.receive('client', chunk);
    expect(wire.viewsTo('origin').at(-1)).toBe(chunk);
  });
});
