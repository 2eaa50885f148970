import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BodyReader } from '../../src/codec/http1-body.ts';
import type { BodyFraming } from '../../src/core/http.ts';
import { limits } from '../../src/core/limits.ts';

interface Reading {
  readonly body: string;
  /** Bytes after the body. */
  readonly rest: number;
  /** What may be forwarded. */
  readonly forwarded: string;
  readonly isComplete: boolean;
  readonly fault: string | undefined;
  readonly trailers: readonly (readonly [string, string])[];
}

function read(framing: BodyFraming, pieces: readonly Buffer[], reader = new BodyReader()): Reading {
  reader.begin(framing);
  const body: Buffer[] = [];
  const forwarded: Buffer[] = [];
  let rest = 0;
  for (const piece of pieces) {
    let at = 0;
    while (at < piece.length && !reader.isComplete && reader.fault === undefined) {
      const after = reader.read(piece, at, piece.length);
      if (reader.fault !== undefined) break;
      body.push(piece.subarray(reader.from, reader.to));
      forwarded.push(piece.subarray(at, reader.heldFrom >= 0 ? reader.heldFrom : after));
      if (reader.section !== undefined) forwarded.push(reader.section);
      at = after;
    }
    rest += piece.length - at;
  }
  return {
    body: Buffer.concat(body).toString('latin1'),
    rest,
    forwarded: Buffer.concat(forwarded).toString('latin1'),
    isComplete: reader.isComplete,
    fault: reader.fault,
    trailers: reader.trailers,
  };
}

function whole(framing: BodyFraming, text: string): Reading {
  return read(framing, [Buffer.from(text, 'latin1')]);
}

const chunked: BodyFraming = { kind: 'chunked' };

describe('a body of known length', () => {
  test('ends with its last byte', () => {
    expect(whole({ kind: 'length', bytes: 5 }, 'hello!')).toMatchObject({ body: 'hello', rest: 1, isComplete: true });
    expect(whole({ kind: 'length', bytes: 5 }, 'hell')).toMatchObject({ body: 'hell', isComplete: false });
    expect(whole({ kind: 'length', bytes: 0 }, 'x')).toMatchObject({ body: '', rest: 1, isComplete: true });
    expect(whole({ kind: 'none' }, 'x')).toMatchObject({ body: '', rest: 1, isComplete: true });
  });

  test('may be longer than 2^32', () => {
    const reader = new BodyReader();
    reader.begin({ kind: 'length', bytes: 2 ** 40 });
    const piece = Buffer.alloc(1 << 20);
    for (let index = 0; index < 100; index++) expect(reader.read(piece, 0, piece.length)).toBe(piece.length);
    expect(reader.isComplete).toBe(false);
  });
});

describe('a body until close', () => {
  test('never ends by itself', () => {
    expect(whole({ kind: 'until-close' }, 'hello')).toMatchObject({ body: 'hello', rest: 0, isComplete: false });
  });
});

describe('a chunked body', () => {
  const message = '5\r\nhello\r\n00a;x=y;z="\\" ;"\r\n0123456789\r\nFF\r\n'.concat(
    'x'.repeat(255),
    '\r\n0\r\nA: b\r\nC:  d \r\n\r\n',
  );
  const body = `hello0123456789${'x'.repeat(255)}`;

  test('is read without its framing, with its trailers', () => {
    expect(whole(chunked, `${message}next`)).toEqual({
      body,
      rest: 4,
      forwarded: message,
      isComplete: true,
      fault: undefined,
      trailers: [
        ['A', 'b'],
        ['C', 'd'],
      ],
    });
  });

  test('means the same in any two pieces, and byte by byte', () => {
    const expected = whole(chunked, message);
    const bytes = Buffer.from(message);
    const reader = new BodyReader();
    for (let cut = 1; cut < bytes.length; cut++) {
      expect(read(chunked, [bytes.subarray(0, cut), bytes.subarray(cut)], reader)).toEqual(expected);
    }
    expect(
      read(
        chunked,
        Array.from(bytes, (byte) => Buffer.from([byte])),
        reader,
      ),
    ).toEqual(expected);
  });

  test('holds back trailers until they are whole', () => {
    const bytes = Buffer.from(message);
    const trailers = message.indexOf('A: b');
    for (let end = trailers + 1; end < bytes.length; end++) {
      expect(read(chunked, [bytes.subarray(0, end)]).forwarded).toBe(message.slice(0, trailers));
    }
  });

  test('has views of the received bytes as its parts', () => {
    const bytes = Buffer.from('5\r\nhello\r\n0\r\n\r\n');
    const reader = new BodyReader();
    reader.begin(chunked);
    reader.read(bytes, 0, bytes.length);
    expect([reader.from, reader.to]).toEqual([3, 8]);
  });

  test('has lines, extensions and trailers up to their limits', () => {
    const line = (bytes: number): string => `5;${'x'.repeat(bytes - 3)}\r\nhello\r\n0\r\n\r\n`;
    expect(whole(chunked, line(limits.httpChunkLineBytes)).isComplete).toBe(true);
    expect(whole(chunked, line(limits.httpChunkLineBytes + 1)).fault).toBe('too-large');
    const trailer = (bytes: number): string => `0\r\nX: ${'y'.repeat(bytes - 7)}\r\n\r\n`;
    expect(whole(chunked, trailer(limits.httpTrailerBytes)).isComplete).toBe(true);
    expect(whole(chunked, trailer(limits.httpTrailerBytes + 1)).fault).toBe('too-large');
    const bytewise = Array.from(Buffer.from(trailer(limits.httpTrailerBytes + 1)), (byte) => Buffer.from([byte]));
    expect(read(chunked, bytewise).fault).toBe('too-large');
  });

  test('may have a chunk of 2^52 bytes less one, no longer size', () => {
    expect(whole(chunked, 'fffffffffffff\r\nx')).toMatchObject({ body: 'x', fault: undefined });
    expect(whole(chunked, '10000000000000\r\nx').fault).toBe('ambiguous');
  });

  test('of any chunks, extensions and trailers, in any pieces, is read back', () => {
    const token = fc.stringMatching(/^[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,12}$/);
    const value = fc.stringMatching(/^[\x21-\x7e]([\x20-\x7e]{0,20}[\x21-\x7e])?$/);
    const trailer = fc.tuple(
      token.map((name) => `x-${name}`),
      value,
    );
    const part = fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.option(token), fc.boolean());
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 8 }),
        fc.array(trailer, { maxLength: 3 }),
        fc.array(fc.nat(500)),
        (parts, trailers, cuts) => {
          const text = parts.map(([bytes, extension, upper]) => {
            const size = bytes.length.toString(16);
            const name = extension === null ? '' : `;${extension}`;
            return `${upper ? size.toUpperCase() : size}${name}\r\n${Buffer.from(bytes).toString('latin1')}\r\n`;
          });
          const fields = trailers.map(([name, content]) => `${name}: ${content}\r\n`).join('');
          const encoded = Buffer.from(`${text.join('')}0\r\n${fields}\r\n`, 'latin1');
          const reading = read(chunked, pieces(encoded, cuts));
          expect(reading.fault).toBeUndefined();
          expect(reading.body).toBe(parts.map(([bytes]) => Buffer.from(bytes).toString('latin1')).join(''));
          expect(reading.forwarded).toBe(encoded.toString('latin1'));
          expect(reading.trailers).toEqual(trailers);
          expect(reading.isComplete).toBe(true);
        },
      ),
    );
  });

  test('of any bytes never throws, and is refused or read within them', () => {
    const noise = fc.array(
      fc.constantFrom(...Array.from('0159afF;="\r\n\t x:', (text) => text), '\r\n', '0\r\n\r\n', '\0'),
    );
    fc.assert(
      fc.property(noise, fc.array(fc.nat(100)), (parts, cuts) => {
        // Trailers that come in pieces are held and judged once they are whole: so the section must end.
        const bytes = Buffer.from(`${parts.join('')}\r\n\r\n`, 'latin1');
        const one = read(chunked, [bytes]);
        const many = read(chunked, pieces(bytes, cuts));
        expect(bytes.toString('latin1').startsWith(one.forwarded)).toBe(true);
        const reading = ({ body, isComplete, fault }: typeof one) => [body, isComplete, fault !== undefined];
        expect(reading(many)).toEqual(reading(one));
      }),
      { numRuns: 2_000 },
    );
  });
});

function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set([0, ...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length])].sort(
    (a, b) => a - b,
  );
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}
