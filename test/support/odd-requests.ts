/** Requests with one or two things about them that servers take differently, each with another request in its body. */

export interface OddRequest {
  readonly id: number;
  /** One character per byte. */
  readonly bytes: string;
}

/** Makes `count` of them, the same for the same seed. Paths of the request itself and of the one in it end in `-ID`. */
export function oddRequests(seed: number, count: number): readonly OddRequest[] {
  const chance = new Chance(seed);
  return Array.from({ length: count }, (_, id) => ({ id, bytes: requestOf(chance, id) }));
}

/** Numbers of a linear congruence, so that a failure can be repeated. */
class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((this.#state / 0x7fffffff) * limit) % limit;
  }

  any<T>(values: readonly [T, ...T[]]): T {
    return values[this.below(values.length)] ?? values[0];
  }

  /** The first, four times of five: what is odd stays rare, so that most of a request is taken by servers. */
  usual<T>(values: readonly [T, ...T[]]): T {
    return this.below(5) > 0 ? values[0] : this.any(values);
  }
}

type Texts = readonly [string, ...string[]];

const methods: Texts = ['POST', 'GET', 'PUT', 'HEAD', 'OPTIONS', 'DELETE', 'TRACE', 'FOO', 'post', 'SUBSCRIBE'];
const versions: Texts = [
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/1.2',
  'HTTP/01.1',
  'http/1.1',
  'HTTP/1.1 ',
  'HTTP/2.0',
  'HTTP/0.9',
  '',
];
const hosts: Texts = [
  ...([
    'Host: a.test',
    'Host: a.test, b.test',
    'Host : a.test',
    'host:a.test',
    'Host: a.test\r\nHost: a.test',
  ] as const),
  ...['Host:', 'Host: a.test\0', 'Host: a.test/x'],
];
const codingNames: Texts = [
  ...([
    'Transfer-Encoding',
    'transfer-encoding',
    'Transfer-Encoding ',
    ' Transfer-Encoding',
    'Transfer_Encoding',
  ] as const),
  ...['Transfer-Encoding\0', '\x0bTransfer-Encoding', 'X: y\rTransfer-Encoding', 'X: y\nTransfer-Encoding', 'TE'],
];
const codings: Texts = [
  ...([
    'chunked',
    'Chunked',
    'chunked ',
    'x, chunked',
    'chunked, x',
    'chunked, chunked',
    'identity',
    '\tchunked',
  ] as const),
  ...['"chunked"', 'chunked;a=b', 'chunked\0', 'xchunked', ', chunked', 'chunked,', '\r\n chunked', 'gzip, chunked'],
  'cow\r\nTransfer-Encoding: chunked',
];
const lengthNames: Texts = [
  ...(['Content-Length', 'content-length', 'Content-Length ', ' Content-Length', 'Content_Length'] as const),
  ...['Content-Length\0', 'Content-\r\n Length'],
];
const extras: Texts = [
  ...([
    'Connection: Content-Length',
    'Connection: Transfer-Encoding',
    'Connection: close',
    'Expect: 100-continue',
  ] as const),
  'Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__',
  'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13',
  ...[
    'Expect: 100-continue, x',
    'X: y\r\n z',
    ': x',
    'NoColon',
    'X\0: y',
    'Trailer: Content-Length',
    'Content-Encoding: chunked',
  ],
];

function requestOf(chance: Chance, id: number): string {
  const inner = `GET /smuggled-${id} HTTP/1.1\r\nHost: a.test\r\n\r\n`;
  const framing = chance.below(6);
  const isChunked = framing === 0 || framing === 2 || framing === 5;
  const body = isChunked ? chunked(chance, inner) : inner;
  const fields: string[] = [chance.usual(hosts)];
  const length = (of: number): string => `${chance.usual(lengthNames)}: ${lengthValue(chance, of)}`;
  if (isChunked)
    fields.push(
      `${chance.usual(codingNames)}:${chance.usual([' ', '', '\t', '\x0b', '\xa0'])}${chance.usual(codings)}`,
    );
  if (framing === 1 || framing === 2 || framing === 4)
    fields.push(length(chance.usual([body.length, inner.length, 0, 5])));
  if (framing === 4) fields.push(length(chance.usual([body.length, 0])));
  if (framing === 5) fields.push(`Transfer-Encoding: ${chance.usual(codings)}`);
  if (chance.below(4) === 0) fields.push(chance.any(extras));
  const end = chance.usual(['\r\n', '\n', '\r']);
  const version = chance.usual(versions);
  const line = `${chance.usual(methods)} ${target(chance, id)}${version === '' ? '' : ` ${version}`}`;
  const head = `${line}${end}${shuffled(chance, fields).join(chance.usual(['\r\n', '\n']))}${end}`;
  return `${chance.below(20) === 0 ? '\r\n' : ''}${head}${chance.usual(['\r\n', '\n'])}${body}`;
}

function target(chance: Chance, id: number): string {
  const path = `/odd-${id}`;
  return chance.usual([
    ...([
      path,
      `http://a.test${path}`,
      `${path}#f`,
      `${path}\x80`,
      `/${path}`,
      `${path}%00`,
      `http://b.test${path}`,
    ] as const),
    ...[`${path} /x`, `${path}\t`, '*'],
  ]);
}

function lengthValue(chance: Chance, of: number): string {
  return chance.usual([
    ...([
      `${of}`,
      `+${of}`,
      `0${of}`,
      ` ${of}`,
      `${of} `,
      `${of}, ${of}`,
      `${of},${of}`,
      `0x${of.toString(16)}`,
    ] as const),
    ...[`${of}\0`, `-${of}`, `${of}\t`, `${of}.0`, `${of}e0`, `"${of}"`, `${of};`, `\x0b${of}`, '0', ''],
    ...[`${of}\r\nContent-Length: ${of}`, `0\r\nContent-Length: ${of}`],
  ]);
}

/** The inner request as a chunk, or behind what some take for the last chunk. */
function chunked(chance: Chance, inner: string): string {
  const size = inner.length.toString(16);
  const last = '\r\n0\r\n\r\n';
  const odd: Texts = [
    ...([`0\r\n\r\n${inner}`, `0\n\n${inner}`, `${size}\n${inner}\n0\n\n`, `0x${size}\r\n${inner}${last}`] as const),
    ...[`${size} \r\n${inner}${last}`, ` ${size}\r\n${inner}${last}`, `+${size}\r\n${inner}${last}`],
    ...[`${size};a="\r\n${inner}${last}`, `${size};a=b\rc\r\n${inner}${last}`, `${size};\n${inner}${last}`],
    ...[`${'0'.repeat(20)}${size}\r\n${inner}${last}`, `${size}\r\n${inner}0\r\n\r\n`, `0\r\nX\r\n\r\n${inner}`],
    ...[
      `${size}\r\n${inner}\r\n0\r\nContent-Length: 5\r\n\r\n`,
      `${size}\r\n${inner}\r\n0\r\nX: y\n\r\n`,
      `0;a\r\n\r\n${inner}`,
    ],
    ...[
      `00\r\n\r\n${inner}`,
      `-0\r\n\r\n${inner}`,
      `0\r\n\n${inner}`,
      `0\r\n \r\n${inner}`,
      `${size}\r\r\n${inner}${last}`,
    ],
    ...[
      `1${'0'.repeat(16)}${size}\r\n${inner}${last}`,
      `${size}\0\r\n${inner}${last}`,
      `${size}\xa0\r\n${inner}${last}`,
    ],
  ];
  return chance.below(3) === 0 ? chance.any(odd) : `${size}\r\n${inner}${last}`;
}

function shuffled(chance: Chance, values: readonly string[]): readonly string[] {
  const left = [...values];
  return values.map(() => left.splice(chance.below(left.length), 1)[0] ?? '');
}
