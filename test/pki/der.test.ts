import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  DerError,
  DerReader,
  readBoolean,
  readInteger,
  readNamedBits,
  readOctetBits,
  readOid,
  readSmallInteger,
  readTime,
} from '../../src/pki/der-reader.ts';
import { tags } from '../../src/pki/der-tags.ts';
import {
  integer,
  namedBits,
  octetBits,
  octetString,
  oid,
  sequence,
  setOf,
  time,
  unsignedInteger,
  value,
} from '../../src/pki/der-writer.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

describe('reading', () => {
  test.each([
    ['an indefinite length', '30 80 00 00'],
    ['a long form where the short one fits', '04 81 01 aa'],
    ['a length with a leading zero octet', `04 82 00 80 ${'00'.repeat(128)}`],
    ['a length of four octets', '04 84 00 00 00 01 aa'],
    ['a high tag number', '1f 81 01 00'],
    ['a value longer than what holds it', '04 05 aa'],
    ['nothing at all', ''],
    ['a tag alone', '04'],
  ])('refuses %s', (_, hex) => {
    expect(() => new DerReader(bytes(hex)).read()).toThrow(DerError);
  });

  test('refuses bytes after the last value', () => {
    const reader = new DerReader(bytes('05 00 05 00'));
    reader.read();
    expect(() => reader.end()).toThrow(DerError);
  });

  test.each([
    ['boolean 01', () => readBoolean(bytes('01'))],
    ['empty boolean', () => readBoolean(bytes(''))],
    ['empty integer', () => readInteger(bytes(''))],
    ['padded positive integer', () => readInteger(bytes('00 7f'))],
    ['padded negative integer', () => readInteger(bytes('ff 80'))],
    ['negative small integer', () => readSmallInteger(bytes('ff'))],
    ['large small integer', () => readSmallInteger(bytes('01 00 00'))],
    ['bit string with unused bits where octets belong', () => readOctetBits(bytes('01 fe'))],
    ['named bits with 8 unused', () => readNamedBits(bytes('08 00'))],
    ['empty object identifier', () => readOid(bytes(''))],
    ['object identifier with a padded arc', () => readOid(bytes('2a 80 01'))],
    ['object identifier cut short', () => readOid(bytes('2a 86'))],
    [
      '31 February',
      () => readTime({ tag: tags.utcTime, content: Buffer.from('260231000000Z'), whole: Buffer.alloc(0) }),
    ],
    [
      'time with an offset',
      () => readTime({ tag: tags.utcTime, content: Buffer.from('260101000000+0100'), whole: Buffer.alloc(0) }),
    ],
    ['second 60', () => readTime({ tag: tags.utcTime, content: Buffer.from('260101000060Z'), whole: Buffer.alloc(0) })],
  ])('refuses %s', (_, read) => {
    expect(read).toThrow(DerError);
  });

  test('throws nothing but DerError on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (random) => {
        const reader = new DerReader(random);
        try {
          while (!reader.atEnd) {
            const { tag, content } = reader.read();
            if (tag === tags.oid) readOid(content);
            if (tag === tags.bitString) readNamedBits(content);
            if (tag === tags.utcTime) readTime({ tag, content, whole: content });
          }
        } catch (error) {
          expect(error).toBeInstanceOf(DerError);
        }
      }),
    );
  });
});

describe('writing', () => {
  test.each([
    ['0', integer(0), '02 01 00'],
    ['127', integer(127), '02 01 7f'],
    ['128', integer(128), '02 02 00 80'],
    ['100000', integer(100_000), '02 03 01 86 a0'],
    ['leading zeros', unsignedInteger(bytes('00 00 01')), '02 01 01'],
    ['a high bit', unsignedInteger(bytes('ff')), '02 02 00 ff'],
    ['digitalSignature', namedBits(0), '03 02 07 80'],
    ['keyCertSign and cRLSign', namedBits(5, 6), '03 02 01 06'],
    ['a set out of order', setOf(octetString(bytes('02')), octetString(bytes('01'))), '31 06 04 01 01 04 01 02'],
  ])('writes %s as DER demands', (_, written, hex) => {
    expect(written).toEqual(bytes(hex));
  });

  test('lengths are read back at every border', () => {
    for (const length of [0, 1, 127, 128, 255, 256, 65_535, 65_536]) {
      const reader = new DerReader(octetString(Buffer.alloc(length)));
      expect(reader.read(tags.octetString).content).toHaveLength(length);
      reader.end();
    }
  });

  test('what was written is read back', () => {
    const arcs = fc.tuple(fc.integer({ min: 0, max: 1 }), fc.nat(39), fc.array(fc.nat(), { maxLength: 8 }));
    fc.assert(
      fc.property(arcs, fc.uint8Array({ minLength: 1, maxLength: 40 }), ([first, second, rest], octets) => {
        const dotted = [first, second, ...rest].join('.');
        const reader = new DerReader(sequence(oid(dotted), unsignedInteger(octets), octetBits(octets))).enter();
        expect(readOid(reader.read(tags.oid).content)).toBe(dotted);
        const number = readInteger(reader.read(tags.integer).content).toString('hex');
        expect(BigInt(`0x${number}`)).toBe(BigInt(`0x${Buffer.from(octets).toString('hex')}`));
        expect(readOctetBits(reader.read(tags.bitString).content)).toEqual(Buffer.from(octets));
        reader.end();
      }),
    );
  });

  test('times are read back to the second, in both forms', () => {
    const seconds = fc.integer({ min: -631_152_000, max: 253_402_300_799 });
    fc.assert(
      fc.property(seconds, (second) => {
        const written = new DerReader(time(second * 1_000 + 999)).read();
        expect(readTime(written)).toBe(second * 1_000);
        expect(written.tag).toBe(second < 2_524_608_000 ? tags.utcTime : tags.generalizedTime);
      }),
    );
  });

  test('a value may be empty', () => {
    expect(value(tags.sequence)).toEqual(bytes('30 00'));
  });
});
