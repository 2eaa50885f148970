import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ContentCoding, contentCodings } from '../../src/codec/content-coding.ts';
import { ContentDecoder, type DecoderBounds } from '../../src/codec/content-decoder.ts';

const page = Buffer.from('<p>The quick brown fox jumps over the lazy dog.</p>\n'.repeat(200));
const zlibHeaderLookalike = Buffer.from([0x78, 0x9c, 0x00, 0x63, 0xff]);

const coders: Readonly<Record<ContentCoding | 'raw', (bytes: Buffer) => Buffer>> = {
  gzip: (bytes) => gzipSync(bytes),
  deflate: (bytes) => deflateSync(bytes),
  raw: (bytes) => deflateRawSync(bytes),
  br: (bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }),
  zstd: (bytes) => zstdCompressSync(bytes),
};

interface Decoded {
  readonly bytes: Buffer;
  readonly problem: string | undefined;
  /** Native memory that was not given back. */
  readonly heldBytes: number;
}

function decode(codings: readonly ContentCoding[], coded: Buffer, pieceBytes = 65_536, bounds = {}): Decoded {
  const parts: Buffer[] = [];
  let heldBytes = 0;
  const decoder = new ContentDecoder(
    codings,
    {
      spend: () => undefined,
      reserve: (bytes) => {
        heldBytes += bytes;
        return true;
      },
      release: (bytes) => {
        heldBytes -= bytes;
      },
      ...bounds,
    },
    (bytes) => {
      parts.push(Buffer.from(bytes));
      return true;
    },
  );
  for (let at = 0; at < coded.length; at += pieceBytes) decoder.push(coded.subarray(at, at + pieceBytes));
  decoder.end();
  return { bytes: Buffer.concat(parts), problem: decoder.problem, heldBytes };
}

describe('Content-Encoding', () => {
  test.each<[string, unknown]>([
    ['gzip', ['gzip']],
    ['X-GZip', ['gzip']],
    ['deflate, gzip', ['deflate', 'gzip']],
    ['identity,,zstd , br', ['zstd', 'br']],
    ['identity', undefined],
    ['', undefined],
    ['foo', 'unknown'],
    ['gzip;q=1', 'unknown'],
    ['gzip, foo', 'unknown'],
    ['gzip,gzip,gzip,gzip,gzip,gzip', 'unknown'],
    ['constructor', 'unknown'],
  ])('"%s" is read as a client reads it', (value, expected) => {
    const found = contentCodings([['Content-Encoding', value]]);
    expect(found.kind === 'coded' ? found.codings : found.kind === 'unknown' ? 'unknown' : undefined).toEqual(expected);
  });

  test.each<[string, unknown]>([
    ['gzip', { kind: 'unknown', label: 'grpc-encoding gzip' }],
    ['Identity', { kind: 'none' }],
    ['', { kind: 'none' }],
  ])('of messages is none of a body that is no gRPC: %s', (value, expected) => {
    expect(contentCodings([['grpc-encoding', value]])).toEqual(expected);
    expect(
      contentCodings([
        ['Content-Encoding', 'br'],
        ['grpc-encoding', value],
      ]),
    ).toMatchObject({ kind: 'coded' });
  });

  test('of messages of gRPC is one of each by itself', () => {
    const type = ['content-type', 'application/grpc+proto'] as const;
    expect(contentCodings([type, ['grpc-encoding', 'GZIP']])).toMatchObject({ kind: 'messages', coding: 'gzip' });
    expect(contentCodings([type, ['grpc-encoding', 'snappy']])).toMatchObject({ kind: 'unknown' });
    expect(contentCodings([type, ['grpc-encoding', 'identity']])).toEqual({ kind: 'none' });
    // What is said of the whole, or said again, hides no coding of messages.
    const gzip = ['grpc-encoding', 'gzip'] as const;
    const identity = ['content-encoding', 'identity'] as const;
    expect(contentCodings([type, identity, gzip])).toMatchObject({ kind: 'messages', coding: 'gzip' });
    expect(contentCodings([type, gzip, ['grpc-encoding', 'identity']])).toMatchObject({ kind: 'unknown' });
    expect(contentCodings([type, ['content-encoding', 'br'], gzip])).toMatchObject({ kind: 'unknown' });
  });

  test('is one list over all its lines', () => {
    const found = contentCodings([
      ['content-encoding', 'gzip'],
      ['Content-Encoding', 'br'],
    ]);
    expect(found).toMatchObject({ kind: 'coded', codings: ['gzip', 'br'] });
  });
});

describe('decoding', () => {
  test.each<[ContentCoding, keyof typeof coders]>([
    ['gzip', 'gzip'],
    ['deflate', 'deflate'],
    ['deflate', 'raw'],
    ['deflate', 'gzip'],
    ['gzip', 'deflate'],
    ['br', 'br'],
    ['zstd', 'zstd'],
  ])('undoes a body labelled %s that is %s, in pieces of any size', (coding, coder) => {
    const coded = coders[coder](page);
    for (const pieceBytes of [1, 2, 7, 65_536]) {
      expect(decode([coding], coded, pieceBytes)).toEqual({ bytes: page, problem: undefined, heldBytes: 0 });
    }
  });

  test('undoes any stack of codings, whatever the pieces', () => {
    const coding = fc.constantFrom<ContentCoding>('gzip', 'deflate', 'br', 'zstd');
    fc.assert(
      fc.property(
        fc.array(coding, { minLength: 1, maxLength: 4 }),
        fc.uint8Array({ minLength: 1, maxLength: 3_000 }),
        fc.integer({ min: 1, max: 600 }),
        (codings, bytes, pieceBytes) => {
          const plain = Buffer.from(bytes);
          const coded = codings.reduce<Buffer>((inner, name) => coders[name](inner), plain);
          expect(decode(codings, coded, pieceBytes)).toEqual({ bytes: plain, problem: undefined, heldBytes: 0 });
        },
      ),
      { numRuns: 150 },
    );
  });

  test('gives any bytes an end without a crash, and all memory back', () => {
    const coding = fc.constantFrom<ContentCoding>('gzip', 'deflate', 'br', 'zstd');
    fc.assert(
      fc.property(coding, fc.uint8Array({ maxLength: 400 }), fc.nat(400), (name, noise, at) => {
        const coded = coders[name](page);
        const broken = Buffer.concat([coded.subarray(0, at), noise, coded.subarray(at)]);
        expect(decode([name], broken, 50).heldBytes).toBe(0);
        expect(decode([name], Buffer.from(noise), 3).heldBytes).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test('reads every member of gzip, zeros behind them, and every frame of zstd', () => {
    const members = Buffer.concat([gzipSync('one '), gzipSync('two'), Buffer.alloc(100)]);
    const frames = Buffer.concat([zstdCompressSync('one '), zstdCompressSync('two')]);
    for (const pieceBytes of [1, 1_000]) {
      expect(decode(['gzip'], members, pieceBytes)).toMatchObject({
        bytes: Buffer.from('one two'),
        problem: undefined,
      });
      expect(decode(['zstd'], frames, pieceBytes)).toMatchObject({ bytes: Buffer.from('one two'), problem: undefined });
    }
  });

  test('takes raw deflate that looks like zlib', () => {
    // A stored block of 156 bytes: its first two bytes pass for a zlib header.
    const stored = Buffer.concat([zlibHeaderLookalike, Buffer.alloc(156, 'A'), deflateRawSync('B')]);
    const expected = Buffer.concat([Buffer.alloc(156, 'A'), Buffer.from('B')]);
    for (const pieceBytes of [1, 3, 1_000]) {
      expect(decode(['deflate'], stored, pieceBytes)).toMatchObject({ bytes: expected, problem: undefined });
    }
  });

  test('keeps what came before a fault', () => {
    const gzip = gzipSync(page);
    gzip[gzip.length - 6] = (gzip[gzip.length - 6] ?? 0) ^ 0xff;
    const { bytes, problem } = decode(['gzip'], gzip);
    expect(bytes.subarray(0, page.length).equals(page)).toBe(true);
    expect(problem).toBe('gzip data is broken: incorrect data check');
  });

  test.each<ContentCoding>(['gzip', 'deflate', 'br', 'zstd'])(
    'says that %s data is cut, or goes on behind its end',
    (name) => {
      const coded = coders[name](page);
      expect(decode([name], coded.subarray(0, -3)).problem).toBe(`${name} data is cut short`);
      expect(decode([name], Buffer.concat([coded, Buffer.from('hidden')]), 9).problem).toMatch(/behind|broken/);
    },
  );

  test('shows the bytes of a body that is not what its label says', () => {
    expect(decode(['gzip'], Buffer.from('plain text'), 1)).toMatchObject({
      bytes: Buffer.from('plain text'),
      problem: 'not gzip, although labelled so',
    });
    expect(decode(['zstd', 'gzip'], gzipSync('plain text'))).toMatchObject({ bytes: Buffer.from('plain text') });
    expect(decode(['gzip'], Buffer.from('x'))).toMatchObject({ bytes: Buffer.from('x') });
    expect(decode(['gzip'], Buffer.alloc(0))).toMatchObject({ problem: undefined });
  });
});

describe('bounds', () => {
  const bombs: readonly [ContentCoding, Buffer][] = (['gzip', 'br', 'zstd'] as const).map((name) => [
    name,
    coders[name](Buffer.alloc(20_000_000)),
  ]);

  test.each(bombs)('stop a bomb of %s within a step of the limit', (name, bomb) => {
    let made = 0;
    const spend: DecoderBounds['spend'] = (bytes) => {
      made += bytes;
      return made > 1_000_000 ? 'too much' : undefined;
    };
    const { bytes, problem, heldBytes } = decode([name], bomb, 65_536, { spend });
    expect(problem).toBe('too much');
    expect(bytes.length).toBeLessThanOrEqual(1_000_000);
    expect(made).toBeLessThanOrEqual(1_000_000 + 65_536);
    expect(heldBytes).toBe(0);
  });

  test('count what an inner coding swallows', () => {
    // 20 MB of gzip header: a comment that never ends.
    const header = Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 16, 0, 0, 0, 0, 0, 3]), Buffer.alloc(20_000_000, 'c')]);
    let made = 0;
    const spend = (bytes: number) => {
      made += bytes;
      return made > 1_000_000 ? 'too much' : undefined;
    };
    expect(decode(['gzip', 'gzip'], gzipSync(header), 65_536, { spend }).problem).toBe('too much');
  });

  test('ask for memory before any is taken, by the window that the data declare', () => {
    const asked: number[] = [];
    const reserve = (bytes: number) => {
      asked.push(bytes);
      return false;
    };
    const wide = zstdCompressSync(Buffer.alloc(10_000_000, 'a'), { params: { [constants.ZSTD_c_windowLog]: 22 } });
    expect(decode(['zstd'], wide, 5, { reserve }).problem).toBe('no memory left to undo codings');
    expect(decode(['zstd'], zstdCompressSync('small'), 5, { reserve }).problem).toBe('no memory left to undo codings');
    expect(decode(['br'], coders.br(page), 5, { reserve }).problem).toBe('no memory left to undo codings');
    expect(asked[0]).toBeGreaterThanOrEqual(2 ** 22);
    expect(asked[1]).toBeLessThan(400_000);
  });

  test('refuse a window of zstd beyond what HTTP allows (RFC 9659)', () => {
    const coded = zstdCompressSync(Buffer.alloc(70_000_000), { params: { [constants.ZSTD_c_windowLog]: 25 } });
    expect(decode(['zstd'], coded).problem).toBe('the window of zstd is beyond the limit');
  });

  test('hold for later frames of zstd too', () => {
    const wide = zstdCompressSync(Buffer.alloc(70_000_000, 'ab'), { params: { [constants.ZSTD_c_windowLog]: 23 } });
    expect(decode(['zstd'], Buffer.concat([zstdCompressSync('small'), wide])).problem).toMatch(/broken/);
  });

  test('end the decoding when nobody wants more', () => {
    let calls = 0;
    const decoder = new ContentDecoder(
      ['gzip'],
      { spend: () => undefined, reserve: () => true, release: () => {} },
      () => {
        calls++;
        return false;
      },
    );
    decoder.push(gzipSync(Buffer.alloc(1_000_000)));
    decoder.push(Buffer.from('more'));
    decoder.end();
    expect(calls).toBe(1);
    expect(decoder.problem).toBeUndefined();
  });
});
