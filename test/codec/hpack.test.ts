import { describe, expect, test } from 'vitest';
import { HpackDecoder } from '../../src/codec/hpack-decoder.ts';
import { encodeFields } from '../../src/codec/hpack-encoder.ts';
import { decodeHuffman } from '../../src/codec/hpack-huffman.ts';
import { staticTable } from '../../src/codec/hpack-static-table.ts';
import { Http2Field } from '../../src/codec/http2-field.ts';
import { limits } from '../../src/core/limits.ts';

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex');
}

function decode(decoder: HpackDecoder, hex: string): string[] {
  const bytes = bytesOf(hex);
  const fields = decoder.decode(bytes, 0, bytes.length);
  if (decoder.fault !== '') throw new Error(decoder.fault);
  return fields.map(({ name, value }) => `${name}: ${value}`);
}

const requests: readonly string[][] = [
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
  [':method: GET', ':scheme: https', ':path: /index.html', ':authority: www.example.com', 'custom-key: custom-value'],
];

const responses: readonly string[][] = [
  [
    ':status: 302',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:21 GMT',
    'location: https://www.example.com',
  ],
  [
    ':status: 307',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:21 GMT',
    'location: https://www.example.com',
  ],
  [
    ':status: 200',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:22 GMT',
    'location: https://www.example.com',
    'content-encoding: gzip',
    'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
  ],
];

/** A table of 256 bytes, as the response examples assume. */
const table256 = '3fe101';

describe('the examples of RFC 7541 appendix C', () => {
  test.each([
    ['C.2.1', '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572', 'custom-key: custom-header', 55],
    ['C.2.2', '040c 2f73 616d 706c 652f 7061 7468', ':path: /sample/path', 0],
    ['C.2.3', '1008 7061 7373 776f 7264 0673 6563 7265 74', 'password: secret', 0],
    ['C.2.4', '82', ':method: GET', 0],
  ])('%s', (_name, hex, field, tableBytes) => {
    const decoder = new HpackDecoder();
    expect(decode(decoder, hex)).toEqual([field]);
    expect(decoder.tableBytes).toBe(tableBytes);
  });

  test.each([
    [
      'C.3, without Huffman code',
      [
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '8286 84be 5808 6e6f 2d63 6163 6865',
        '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      ],
      requests,
      [57, 110, 164],
    ],
    [
      'C.4, with Huffman code',
      [
        '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        '8286 84be 5886 a8eb 1064 9cbf',
        '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      ],
      requests,
      [57, 110, 164],
    ],
    [
      'C.5, entries leave the table',
      [
        `${table256} 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
        '4803 3330 37c1 c0bf',
        '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
      ],
      responses,
      [222, 222, 215],
    ],
    [
      'C.6, the same with Huffman code',
      [
        `${table256} 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
        '4883 640e ffc1 c0bf',
        '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
      ],
      responses,
      [222, 222, 215],
    ],
  ])('%s', (_name, blocks, expected, tableBytes) => {
    const decoder = new HpackDecoder();
    for (const [index, block] of blocks.entries()) {
      expect(decode(decoder, block)).toEqual(expected[index]);
      expect(decoder.tableBytes).toBe(tableBytes[index]);
    }
  });
});

describe('a block is refused', () => {
  test.each([
    ['index 0', '80'],
    ['an index beyond both tables', 'be'],
    ['a name index beyond both tables', '7f00 0161'],
    ['a number without end', 'ffffffff'],
    ['a number that is too large', 'ffffffffffffff7f'],
    ['a number prolonged by zeros', 'ff8080808080808080808000'],
    ['a name without end', '0005 6162'],
    ['a value without end', '0001 6105 62'],
    ['a missing value', '0001 61'],
    ['a Huffman string with EOS', '0001 6184 ffff fffc'],
    ['padding of a whole byte', '0001 6182 1fff'],
    ['padding with zeros', '0001 6181 18'],
    ['a size update behind a field', '82 20'],
    ['a table larger than allowed', '3fe2 1f'],
  ])('%s', (_name, hex) => {
    expect(() => decode(new HpackDecoder(), hex)).toThrow();
  });

  test('that does not begin with a size update after the limit was lowered', () => {
    const decoder = new HpackDecoder();
    decoder.allowTable(100);
    expect(() => decode(decoder, '82')).toThrow('no table size update');
    const other = new HpackDecoder();
    other.allowTable(100);
    expect(decode(other, '3f45 82')).toEqual([':method: GET']);
    expect(decode(other, '82')).toEqual([':method: GET']);
  });
});

test('a table may grow when the other end allows it, and several updates may begin a block', () => {
  const decoder = new HpackDecoder();
  decoder.allowTable(65_536);
  expect(decode(decoder, '20 3fe1 ff03 400161 0162 be')).toEqual(['a: b', 'a: b']);
});

test('an entry larger than the table empties it', () => {
  const decoder = new HpackDecoder();
  decode(decoder, '3f09 400161 0162');
  expect(decoder.tableBytes).toBe(34);
  expect(decode(decoder, `4001 6308 ${'61'.repeat(8)}`)).toEqual(['c: aaaaaaaa']);
  expect(decoder.tableBytes).toBe(0);
});

test('a name may come from the entry that its own addition evicts', () => {
  const decoder = new HpackDecoder();
  expect(decode(decoder, '3f09 4001 6101 62 7e 0163')).toEqual(['a: b', 'a: c']);
});

test('a block that unpacks to more than a head may hold is decoded to its end, without keeping it', () => {
  const decoder = new HpackDecoder();
  const value = 'v'.repeat(3_000);
  const literal = Buffer.concat([Buffer.from([0x40, 1, 0x62, 0x7f, 0xb9, 0x16]), Buffer.from(value)]);
  const bomb = Buffer.concat([literal, Buffer.alloc(10_000, 0xbe)]);
  const fields = decoder.decode(bomb, 0, bomb.length);
  expect(decoder.fault).toBe('');
  expect(decoder.isTooLarge).toBe(true);
  expect(fields.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(limits.httpHeadBytes);
  expect(decode(decoder, '82')).toEqual([':method: GET']);
  expect(decoder.isTooLarge).toBe(false);
});

test('many changes of the table leave the newest entries in it', () => {
  const decoder = new HpackDecoder();
  const written = (round: number): string => `a: ${String(round).padStart(5, '0')}`;
  for (let round = 0; round < 5_000; round++) {
    decode(decoder, `4001 6105 ${Buffer.from(written(round).slice(3)).toString('hex')}`);
    if (round > 100)
      expect(decode(decoder, 'be bf ff03')).toEqual([written(round), written(round - 1), written(round - 68)]);
  }
});

describe('the encoder', () => {
  const fields = [
    ...staticTable.slice(1),
    new Http2Field('x-long', 'v'.repeat(40_000)),
    new Http2Field('cookie', 'a=b'),
    new Http2Field('x-secret', 's', true),
    new Http2Field('authorization', 'Basic x', true),
    new Http2Field('x-empty', ''),
    new Http2Field('x-bytes', '\xe4\xff'),
  ];

  test('writes what the decoder reads, sensitive fields as such, and fills no table', () => {
    const block = Buffer.from(encodeFields(fields, true));
    const decoder = new HpackDecoder();
    const decoded = decoder.decode(block, 0, block.length);
    expect(decoder.fault).toBe('');
    expect(decoded.map(({ header, isSensitive }) => [...header, isSensitive])).toEqual(
      fields.map(({ header, isSensitive }) => [...header, isSensitive]),
    );
    expect(decoder.tableBytes).toBe(0);
    expect(encodeFields(fields, false)).toEqual(block.subarray(1));
  });

  test('writes a field that stands in a table in the same way again', () => {
    const bytes = bytesOf('4001 6101 62 be');
    const [one, again] = new HpackDecoder().decode(bytes, 0, bytes.length);
    expect(again).toBe(one);
    const list = one === undefined ? [] : [one];
    const first = Buffer.from(encodeFields(list, false));
    expect(first.toString('hex')).toBe('0001610162');
    expect(encodeFields(list, false)).toEqual(first);
  });
});

test('an empty string is Huffman code too', () => {
  expect(decodeHuffman(Buffer.alloc(0), 0, 0)).toBe('');
});
