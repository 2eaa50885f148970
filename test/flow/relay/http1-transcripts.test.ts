import { describe, expect, test } from 'vitest';
import type { Side } from '../../../src/core/side.ts';
import type { Http1Options } from '../../../src/flow/relay/http1.ts';
import { type Recording, record } from './recording.ts';

type Step = readonly [Side, string] | readonly [Side, 'END' | 'CUT', boolean];

interface Transcript {
  readonly name: string;
  readonly options?: Partial<Http1Options>;
  readonly steps: readonly Step[];
  /** Defaults: each side gets what the other sent. */
  readonly toOrigin?: string;
  readonly toClient?: string;
  readonly ending?: string;
  readonly events: readonly string[];
}

const get = 'GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n';
const head = 'HEAD /a HTTP/1.1\r\nHost: a.example\r\n\r\n';
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
const plain = 'requestHead requestEnd responseHead responseBody responseEnd finish';
const posted = 'requestHead requestBody requestEnd responseHead responseBody responseEnd finish';
const bodiless = 'requestHead requestEnd responseHead responseEnd finish';

const transcripts: readonly Transcript[] = [
  {
    name: 'keep-alive',
    steps: [
      ['client', get],
      ['origin', ok],
      ['client', get],
      ['origin', ok],
    ],
    events: [plain, plain],
  },
  {
    name: 'pipelining',
    steps: [
      ['client', get + head + get],
      ['origin', `${ok}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n${ok}`],
    ],
    events: [plain, bodiless, plain],
  },
  {
    name: 'a body of known length',
    steps: [
      ['client', 'POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 11\r\n\r\nhello world'],
      ['origin', ok],
    ],
    events: [posted],
  },
  {
    name: 'chunks with extensions and trailers in both directions',
    steps: [
      [
        'client',
        'POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\nY: z\r\n\r\n',
      ],
      [
        'origin',
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\nA\r\n0123456789\r\n000\r\nX-Sum: 2\r\n\r\n',
      ],
    ],
    events: [posted],
  },
  {
    name: 'empty chunked bodies',
    steps: [
      ['client', 'POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
      ['origin', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ],
    events: [bodiless],
  },
  {
    name: '204',
    steps: [
      ['client', get],
      ['origin', 'HTTP/1.1 204 No Content\r\n\r\n'],
      ['client', get],
      ['origin', ok],
    ],
    events: [bodiless, plain],
  },
  {
    name: '304 with the length of what it does not send',
    steps: [
      ['client', get],
      ['origin', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n'],
      ['client', get],
      ['origin', ok],
    ],
    events: [bodiless, plain],
  },
  {
    name: 'a response without reason',
    steps: [
      ['client', get],
      ['origin', 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n'],
    ],
    events: [bodiless],
  },
  {
    name: 'interim responses',
    steps: [
      ['client', get],
      ['origin', `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${ok}`],
    ],
    events: ['requestHead requestEnd interim 103 interim 102 responseHead responseBody responseEnd finish'],
  },
  {
    name: 'Expect: 100-continue, with the body after 100',
    steps: [
      ['client', 'PUT / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n'],
      ['origin', 'HTTP/1.1 100 Continue\r\n\r\n'],
      ['client', 'hello'],
      ['origin', ok],
    ],
    events: ['requestHead interim 100 requestBody requestEnd responseHead responseBody responseEnd finish'],
  },
  {
    name: 'an early response, after which the request completes and another follows',
    steps: [
      ['client', 'POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhe'],
      ['origin', ok],
      ['client', 'llo'],
      ['client', get],
      ['origin', ok],
    ],
    events: ['requestHead requestBody responseHead responseBody responseEnd requestBody requestEnd finish', plain],
  },
  {
    name: 'a response until close',
    steps: [
      ['client', get],
      ['origin', 'HTTP/1.1 200 OK\r\n\r\nhello world'],
      ['origin', 'END', true],
    ],
    ending: 'close',
    events: [plain],
  },
  {
    name: 'a response of HTTP/1.0',
    steps: [
      ['client', 'GET / HTTP/1.0\r\n\r\n'],
      ['origin', 'HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
    ],
    ending: 'close',
    events: [plain],
  },
  {
    name: 'HTTP/1.0 kept alive',
    steps: [
      ['client', 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'],
      ['origin', 'HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\nhello'],
      ['client', get],
      ['origin', ok],
    ],
    events: [plain, plain],
  },
  {
    name: 'a client that asks for a close; what follows is not read',
    steps: [
      ['client', `GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n${get}`],
      ['origin', ok],
    ],
    toOrigin: 'GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n',
    ending: 'close',
    events: [plain],
  },
  {
    name: 'an origin that closes; what follows is not forwarded',
    steps: [
      ['client', get],
      ['origin', `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello${ok}`],
    ],
    toClient: 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello',
    ending: 'close',
    events: [plain],
  },
  {
    name: 'a client that half-closes behind its request',
    steps: [
      ['client', get],
      ['client', 'END', true],
      ['origin', ok],
    ],
    ending: 'close',
    events: [plain],
  },
  {
    name: 'an empty line behind a body, which is dropped',
    steps: [
      ['client', `POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello\r\n${get}`],
      ['origin', ok + ok],
    ],
    toOrigin: `POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello${get}`,
    events: [posted, plain],
  },
  {
    name: 'a response that no request asked for',
    steps: [
      ['client', get],
      ['origin', ok + ok],
    ],
    toClient: ok,
    ending: 'close ORIGIN_HTTP_UNSOLICITED',
    events: [plain],
  },
  {
    name: 'a body in answer to HEAD',
    steps: [
      ['client', head],
      ['origin', ok],
    ],
    toClient: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n',
    ending: 'close ORIGIN_HTTP_UNSOLICITED',
    events: [bodiless],
  },
  {
    name: 'a switch to WebSocket, with bytes of both sides behind it',
    steps: [
      [
        'client',
        'GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nCLIENT FRAME',
      ],
      ['origin', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\nORIGIN FRAME'],
    ],
    ending: 'upgrade websocket',
    events: ['requestHead requestEnd responseHead upgraded websocket finish'],
  },
  {
    name: 'an upgrade that the origin ignores',
    steps: [
      ['client', `GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${get}`],
      ['origin', ok],
      ['origin', ok],
    ],
    events: [plain, plain],
  },
  {
    name: 'an offer of HTTP/2 in the clear, which is taken out',
    options: { scheme: 'http' },
    steps: [
      [
        'client',
        'GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, HTTP2-Settings, keep-alive\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\nX: y\r\n\r\n',
      ],
      ['origin', ok],
    ],
    toOrigin: 'GET / HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive\r\nX: y\r\n\r\n',
    events: [plain.replace('requestEnd', 'changed: request offer of HTTP/2 removed: upgrade requestEnd')],
  },
  {
    name: 'a second request that is refused, answered behind the first response',
    steps: [
      ['client', `${get}GET / HTTP/2.0\r\n\r\n`],
      ['origin', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ],
    toOrigin: get,
    toClient: 'HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 505 HTTP Version Not Supported',
    ending: 'close CLIENT_HTTP_VERSION',
    events: [bodiless],
  },
  {
    name: 'absolute form through a proxy to two origins',
    options: { mode: 'proxy', scheme: 'http' },
    steps: [
      [
        'client',
        'GET http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\nProxy-Connection: keep-alive\r\n\r\nGET http://b.example:81 HTTP/1.1\r\nHost: b.example:81\r\n\r\n',
      ],
      ['origin', ok],
      ['origin', ok],
    ],
    toOrigin: 'GET /x?y HTTP/1.1\r\nHost: a.example\r\n\r\nGET / HTTP/1.1\r\nHost: b.example:81\r\n\r\n',
    events: [plain, plain],
  },
];

describe('a transcript', () => {
  test.each(transcripts)('of $name', (transcript) => {
    const recording = play(transcript, (bytes) => [bytes]);
    check(transcript, recording);
  });

  test.each(transcripts)('means the same in any two pieces: $name', (transcript) => {
    const whole = summary(play(transcript, (bytes) => [bytes]));
    for (const [index, [, bytes]] of transcript.steps.entries()) {
      for (let cut = 1; cut < bytes.length; cut++) {
        const recording = play(transcript, (piece, at) =>
          at === index ? [piece.subarray(0, cut), piece.subarray(cut)] : [piece],
        );
        expect(summary(recording)).toEqual(whole);
      }
    }
  });

  test.each(transcripts)('means the same byte by byte: $name', (transcript) => {
    const recording = play(transcript, (bytes) => Array.from(bytes, (byte) => Buffer.from([byte])));
    check(transcript, recording);
    expect(summary(recording)).toEqual(summary(play(transcript, (bytes) => [bytes])));
  });
});

/** Byte counts, bodies and events, without how many pieces they came in. */
function summary({ wire, inspector }: Recording): unknown {
  const exchanges = inspector.exchanges.map(({ events, ...rest }) => ({ ...rest, events: settled(events) }));
  return {
    client: wire.to('client'),
    origin: wire.to('origin'),
    ending: wire.ending,
    retargets: wire.retargets,
    exchanges,
  };
}

/** An early response ends before or between pieces of the request body: the order of the two directions is not fixed. */
function settled(events: readonly string[]): readonly string[] {
  return events.filter((event, index) => events.indexOf(event) === index);
}

function play(transcript: Transcript, cut: (bytes: Buffer, step: number) => readonly Buffer[]): Recording {
  const recording = record(transcript.options);
  for (const [index, [side, bytes, clean]] of transcript.steps.entries()) {
    if (clean !== undefined) recording.relay.end(side, clean);
    else for (const piece of cut(Buffer.from(bytes, 'latin1'), index)) recording.relay.receive(side, piece);
  }
  return recording;
}

function check(transcript: Transcript, { wire, inspector }: Recording): void {
  const sent = (side: Side): string =>
    transcript.steps.map(([from, bytes, clean]) => (from === side && clean === undefined ? bytes : '')).join('');
  expect(wire.to('origin')).toBe(transcript.toOrigin ?? sent('client'));
  const toClient = wire.to('client');
  const expected = transcript.toClient ?? sent('origin');
  if (transcript.ending?.includes('CLIENT_HTTP') === true) expect(toClient.startsWith(expected)).toBe(true);
  else expect(toClient).toBe(expected);
  expect(wire.ending).toBe(transcript.ending);
  expect(inspector.exchanges.map(({ events }) => events.join(' '))).toEqual(transcript.events);
  for (const { outcome } of inspector.exchanges) expect(outcome).toMatchObject({ complete: true, failure: undefined });
}
