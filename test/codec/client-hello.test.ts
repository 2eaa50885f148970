import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ClientHelloParse, parseClientHello } from '../../src/codec/client-hello.ts';
import { limits } from '../../src/core/limits.ts';
import {
  alpn,
  clientHello,
  type Extension,
  firstFlightOfNode,
  type HelloParts,
  handshakeMessage,
  inRecords,
  list16,
  serverNames,
  sized8,
  sized16,
  supportedVersions,
  u16,
} from './hello-builder.ts';
import { readPublicVectors } from './public-vectors.ts';

const usual: readonly Extension[] = [
  [0x1a1a, Buffer.alloc(0)],
  serverNames('shop.example'),
  list16(10, 0x2a2a, 0x11ec, 0x001d),
  [11, sized8(Buffer.from([0, 1]))],
  list16(13, 0x0403, 0x0804),
  alpn('h2', 'http/1.1'),
  supportedVersions(0x3a3a, 0x0304, 0x0303),
  [0xfe0d, Buffer.from('ech')],
];

function complete(bytes: Buffer) {
  const parse = parseClientHello(bytes);
  if (parse.kind !== 'complete') throw new Error(JSON.stringify(parse));
  return parse;
}

interface Asked {
  readonly parse: ClientHelloParse;
  /** Bytes there were when the verdict came. */
  readonly at: number;
  readonly questions: number;
}

/** Lets the bytes come one by one and asks at each, or only once there are as many as were needed at least. */
function byteByByte(bytes: Buffer, heedsNeed = false): Asked {
  let neededBytes = 0;
  let questions = 0;
  for (let length = 1; length <= bytes.length; length++) {
    if (heedsNeed && length < neededBytes) continue;
    const parse = parseClientHello(bytes.subarray(0, length));
    questions++;
    if (parse.kind !== 'partial') return { parse, at: length, questions };
    if (parse.neededBytes <= length || parse.neededBytes < neededBytes)
      throw new Error(`${parse.neededBytes} at ${length}`);
    neededBytes = parse.neededBytes;
  }
  return { parse: parseClientHello(bytes), at: bytes.length, questions };
}

describe('a ClientHello', () => {
  it('is read field by field, GREASE included', () => {
    const { hello, helloBytes } = complete(
      inRecords(clientHello({ cipherSuites: [0x0a0a, 0x1301], extensions: usual })),
    );
    expect(hello).toEqual({
      legacyVersion: 0x0303,
      versions: [0x3a3a, 0x0304, 0x0303],
      cipherSuites: [0x0a0a, 0x1301],
      extensions: [0x1a1a, 0, 10, 11, 13, 16, 43, 0xfe0d],
      serverName: 'shop.example',
      alpn: ['h2', 'http/1.1'],
      groups: [0x2a2a, 0x11ec, 0x001d],
      pointFormats: [0, 1],
      signatureAlgorithms: [0x0403, 0x0804],
      hasEncryptedClientHello: true,
    });
    expect(helloBytes).toEqual(clientHello({ cipherSuites: [0x0a0a, 0x1301], extensions: usual }).subarray(4));
  });

  it.each([
    ['of SSL 3.0 without extensions', { legacyVersion: 0x0300, extensions: undefined }, [0x0300]],
    ['of TLS 1.2 with an empty block of extensions', { extensions: [] }, [0x0303]],
    ['that names versions', { extensions: [supportedVersions(0x0304)] }, [0x0304]],
  ] as const)('%s says which versions it offers', (_, parts, versions) => {
    const { hello } = complete(inRecords(clientHello(parts)));
    expect(hello).toMatchObject({ versions, serverName: undefined, alpn: [], groups: [] });
  });

  it('is the same over records of any size and segments of one byte', () => {
    const message = clientHello({ extensions: usual });
    const whole = complete(inRecords(message));
    for (const recordBytes of [1, 2, 3, 4, 5, 7, 64, message.length - 1, message.length]) {
      const stream = inRecords(message, recordBytes);
      const { parse, at } = byteByByte(stream);
      expect(parse).toEqual(whole);
      expect(at).toBe(stream.length);
    }
  });

  it.each(['X25519MLKEM768', '*X25519MLKEM768:*SecP256r1MLKEM768'])(
    'of a real client with the key shares %s works in one-byte segments and split over records',
    async (groups) => {
      const flight = await firstFlightOfNode(groups);
      const whole = complete(flight);
      expect(whole.hello).toMatchObject({ serverName: 'real.example', alpn: ['h2', 'http/1.1'] });
      expect(whole.hello.groups.length).toBe(groups.split(':').length);
      expect(flight.length).toBeGreaterThan(1_216 * groups.split(':').length);
      expect(byteByByte(flight).parse).toEqual(whole);
      const message = flight.subarray(5);
      for (const recordBytes of [1, 17, 500]) {
        const stream = inRecords(message, recordBytes);
        expect(byteByByte(stream, true)).toMatchObject({ parse: whole, at: stream.length });
      }
    },
  );

  it('is judged by record headers until it is complete: few questions, however small the records', () => {
    const message = clientHello({ extensions: [...usual, [21, Buffer.alloc(3_700)]] });
    expect(byteByByte(inRecords(message), true).questions).toBeLessThan(10);
    expect(byteByByte(inRecords(message, 1), true).questions).toBeLessThan(100);
  });

  it('leaves what follows its last record alone', () => {
    const stream = inRecords(clientHello({ extensions: usual }));
    const earlyData = Buffer.from('1403030001011703030004deadbeef', 'hex');
    expect(parseClientHello(Buffer.concat([stream, earlyData]))).toEqual(parseClientHello(stream));
  });
});

describe('the limit of an opening', () => {
  const padded = (bytes: number) => clientHello({ extensions: [[21, Buffer.alloc(bytes)]] });
  const overhead = padded(0).length;

  it('is reached by a hello of just that size', () => {
    const message = padded(limits.openingBytes - overhead - 4 * 5);
    expect(parseClientHello(inRecords(message, 16_384)).kind).toBe('complete');
  });

  it.each([
    ['a length beyond it', inRecords(handshakeMessage(1, Buffer.alloc(limits.openingBytes)), 100)],
    ['records that add up to more', inRecords(padded(60_000), 16)],
    ['more records than any client makes', inRecords(padded(limits.openingRecords), 1)],
  ])('ends %s as too large, as soon as that is sure', (_, stream) => {
    const tooLarge = { kind: 'malformed', code: 'CLIENT_OPENING_TOO_LARGE' };
    expect(parseClientHello(stream)).toMatchObject(tooLarge);
    const { parse, at } = byteByByte(stream, true);
    expect(parse).toMatchObject(tooLarge);
    expect(at).toBeLessThanOrEqual(limits.openingBytes);
  });

  it('is known from the first nine bytes when the length says so', () => {
    expect(parseClientHello(Buffer.from('16030140000101ffff', 'hex'))).toMatchObject({
      code: 'CLIENT_OPENING_TOO_LARGE',
    });
  });
});

describe('a malformed ClientHello', () => {
  const hello = (parts: HelloParts) => inRecords(clientHello(parts));
  const withExtension = (...extensions: readonly Extension[]) => hello({ extensions });
  const truncated = clientHello({ extensions: usual }).subarray(4, -1);
  const cases: readonly (readonly [string, Buffer])[] = [
    ['another handshake message', inRecords(handshakeMessage(2, Buffer.alloc(40)))],
    ['a record of another type within', Buffer.concat([inRecords(clientHello()).subarray(0, 0), splitByAlert()])],
    ['an empty record', Buffer.from('1603010000', 'hex')],
    ['a record longer than 2^14', Buffer.from('1603014001', 'hex')],
    ['a second message in its record', inRecords(Buffer.concat([clientHello(), clientHello()]))],
    ['an empty body', inRecords(handshakeMessage(1, Buffer.alloc(0)))],
    ['a body that is cut', inRecords(handshakeMessage(1, truncated))],
    ['bytes after the extensions', inRecords(handshakeMessage(1, Buffer.concat([clientHello().subarray(4), u16(0)])))],
    ['a version of major 2', hello({ legacyVersion: 0x0200 })],
    ['a session id of 33 bytes', hello({ sessionId: Buffer.alloc(33) })],
    ['no cipher suite', hello({ cipherSuites: [] })],
    ['no compression method', hello({ compression: Buffer.alloc(0) })],
    ['no null compression', hello({ compression: Buffer.from([1]) })],
    ['an extension twice', withExtension([21, Buffer.alloc(0)], [21, Buffer.alloc(0)])],
    ['server_name twice', withExtension(serverNames('a.example'), serverNames('b.example'))],
    ['two names in server_name', withExtension(serverNames('a.example', 'b.example'))],
    ['no name in server_name', withExtension([0, sized16()])],
    ['an empty server_name', withExtension([0, Buffer.alloc(0)])],
    ['a name of no bytes', withExtension(serverNames(''))],
    ['a name of unknown type', withExtension([0, sized16(Buffer.from([1]), sized16(Buffer.from('a.example')))])],
    ['a name longer than its list', withExtension([0, sized16(Buffer.from([0, 0, 9, 0x61]))])],
    ['bytes after the server_name list', withExtension([0, Buffer.concat([serverNames('a.example')[1], u16(0)])])],
    ['an odd list of groups', withExtension([10, sized16(Buffer.alloc(3))])],
    ['an empty list of groups', withExtension([10, sized16()])],
    ['an empty list of signature algorithms', withExtension([13, sized16()])],
    ['an empty list of point formats', withExtension([11, sized8()])],
    ['an empty ALPN list', withExtension([16, sized16()])],
    ['an empty ALPN name', withExtension(alpn('h2', ''))],
    ['an ALPN name that overflows', withExtension([16, sized16(Buffer.from([200, 0x68]))])],
    ['an empty list of versions', withExtension([43, sized8()])],
    ['an odd list of versions', withExtension([43, sized8(Buffer.alloc(3))])],
    ['pre_shared_key before another extension', withExtension([41, Buffer.alloc(4)], [21, Buffer.alloc(1)])],
  ];

  it.each(cases)('has %s', (_, stream) => {
    const parse = parseClientHello(stream);
    expect(parse).toMatchObject({ kind: 'malformed', code: 'CLIENT_HELLO_MALFORMED' });
    expect(byteByByte(stream).parse).toEqual(parse);
  });

  it.each(['00', '1602', '80', '47455420'])('that begins with %s is no TLS', (hex) => {
    expect(parseClientHello(Buffer.from(hex, 'hex'))).toMatchObject({ kind: 'malformed', code: 'CLIENT_NOT_TLS' });
  });

  function splitByAlert(): Buffer {
    const message = clientHello();
    return Buffer.concat([
      inRecords(message.subarray(0, 10)),
      Buffer.from('15030100020100', 'hex'),
      inRecords(message.subarray(10)),
    ]);
  }
});

describe('hostile input', () => {
  const real = (readPublicVectors<{ kind: string; handshake_hex?: string }>('ja.jsonl') ?? [])
    .filter(({ kind }) => kind === 'client_hello')
    .map(({ handshake_hex = '' }) => Buffer.from(handshake_hex, 'hex'));
  const messages = [...real, clientHello({ extensions: usual }), clientHello({ extensions: undefined })];

  it('never makes the parser throw, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        parseClientHello(Buffer.from(bytes));
        parseClientHello(Buffer.concat([Buffer.from('160301', 'hex'), bytes]));
        parseClientHello(inRecords(handshakeMessage(1, Buffer.from(bytes))));
      }),
      { numRuns: 2_000 },
    );
  });

  it('made of real messages with changed bytes never makes it throw, and no verdict on a prefix is taken back', () => {
    const change = fc.tuple(fc.nat(), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(
        fc.constantFrom(...messages),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 700 }),
        (message, changes, recordBytes) => {
          const stream = inRecords(message, recordBytes);
          for (const [at, value] of changes) stream[at % stream.length] = value;
          const whole = parseClientHello(stream);
          for (let length = 0; length < stream.length; length += 41) {
            const prefix = parseClientHello(stream.subarray(0, length));
            if (prefix.kind !== 'partial') expect(prefix).toEqual(whole);
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('with 15 000 extensions costs no more than its bytes', () => {
    const many = Array.from({ length: 15_000 }, (_, type): Extension => [type + 100, Buffer.alloc(0)]);
    const stream = inRecords(clientHello({ extensions: many }));
    const start = performance.now();
    expect(parseClientHello(stream).kind).toBe('complete');
    expect(performance.now() - start).toBeLessThan(500);
  });
});
